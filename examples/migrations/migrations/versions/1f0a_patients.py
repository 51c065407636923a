"""patients

Revision ID: 1f0a
Revises:
Create Date: 2024-01-08 09:12:44.028316

"""

import sqlalchemy as sa
from alembic import op

revision = "1f0a"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "patient",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade():
    op.drop_table("patient")
