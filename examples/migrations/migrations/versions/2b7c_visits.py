"""visits

Revision ID: 2b7c
Revises: 1f0a
Create Date: 2024-01-22 15:40:02.511904

"""

import sqlalchemy as sa
from alembic import op

revision = "2b7c"
down_revision = "1f0a"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "visit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name="visit_patient_fk"),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade():
    op.drop_table("visit")
