"""split names

The data migration: the last word of a name is the last name.

Revision ID: 3d15
Revises: 2b7c
Create Date: 2024-03-04 11:05:31.770125

"""

import sqlalchemy as sa
from alembic import op

revision = "3d15"
down_revision = "2b7c"
branch_labels = None
depends_on = None

# not the model, which goes on changing
patient = sa.table("patient", *map(sa.column, ("id", "name", "first_name", "last_name")))


def upgrade():
    with op.batch_alter_table("patient") as table:
        table.add_column(sa.Column("first_name", sa.String(), nullable=False, server_default=""))
        table.add_column(sa.Column("last_name", sa.String(), nullable=False, server_default=""))
    connection = op.get_bind()
    for id, name in connection.execute(sa.select(patient.c.id, patient.c.name)).all():
        first, _, last = name.rpartition(" ")
        connection.execute(
            patient.update().where(patient.c.id == id).values(first_name=first, last_name=last)
        )
    with op.batch_alter_table("patient") as table:
        table.alter_column("first_name", server_default=None)
        table.alter_column("last_name", server_default=None)
        table.drop_column("name")


def downgrade():
    with op.batch_alter_table("patient") as table:
        table.add_column(sa.Column("name", sa.String(), nullable=False, server_default=""))
    op.execute(
        patient.update().values(
            name=sa.func.trim(patient.c.first_name + sa.literal(" ") + patient.c.last_name)
        )
    )
    with op.batch_alter_table("patient") as table:
        table.alter_column("name", server_default=None)
        table.drop_column("last_name")
        table.drop_column("first_name")
