"""state of a visit

Revision ID: 4e92
Revises: 3d15
Create Date: 2024-05-13 08:55:17.903441

"""

import sqlalchemy as sa
from alembic import op

revision = "4e92"
down_revision = "3d15"
branch_labels = None
depends_on = None

state = sa.Enum("booked", "done", name="visit_state", length=20)


def upgrade():
    # create_table() makes the type by itself, add_column() does not
    state.create(op.get_bind(), checkfirst=True)
    with op.batch_alter_table("visit") as table:
        table.add_column(sa.Column("state", state, nullable=False, server_default="booked"))


def downgrade():
    with op.batch_alter_table("visit") as table:
        table.drop_column("state")
    state.drop(op.get_bind(), checkfirst=True)
