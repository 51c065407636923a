"""cancelled visits, and an index

On PostgreSQL both want to be outside of a transaction: a new value of an enum may be used only
when it is committed, and CREATE INDEX CONCURRENTLY keeps nobody from writing.

Revision ID: 5c38
Revises: 4e92
Create Date: 2024-06-03 17:21:48.112097

"""

from alembic import op

revision = "5c38"
down_revision = "4e92"
branch_labels = None
depends_on = None


def upgrade():
    with op.get_context().autocommit_block():
        if op.get_context().dialect.name == "postgresql":
            op.execute("ALTER TYPE visit_state ADD VALUE IF NOT EXISTS 'cancelled'")
        op.create_index("visit_patient_ix", "visit", ["patient_id"], postgresql_concurrently=True)
    op.execute("UPDATE visit SET state = 'cancelled' WHERE reason = 'cancelled'")


def downgrade():
    op.execute("UPDATE visit SET state = 'done' WHERE state = 'cancelled'")
    # the value stays: PostgreSQL cannot drop one
    op.drop_index("visit_patient_ix", "visit")
