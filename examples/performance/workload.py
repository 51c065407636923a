"""The app and the tables that all contenders use.

The tests write to one table. :data:`metadata` has nineteen more, each with a foreign key to the
one before it, for what costs more the more tables there are; :data:`one_table` has none.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

TABLES = 20


class Base(DeclarativeBase):
    """What Flask-SQLAlchemy makes ``db.Model`` of."""


# The recipe needs the option; it means nothing to a session that is bound to an engine.
db = SQLAlchemy(
    model_class=Base,
    session_options={"join_transaction_mode": "create_savepoint"},
)


class Item(db.Model):  # type: ignore[name-defined,misc]
    """What the tests write."""

    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


metadata: sa.MetaData = db.metadata
item = metadata.tables["item"]
INSERT = item.insert().values(name="of the test")
COUNT = sa.select(sa.func.count()).select_from(item)

one_table = sa.MetaData()
item.to_metadata(one_table)

_above = "item"
for _number in range(1, TABLES):
    sa.Table(
        f"part_{_number}",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("above_id", sa.ForeignKey(f"{_above}.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False, index=True),
    )
    _above = f"part_{_number}"


def create_app(url: str | sa.URL) -> Flask:
    """Make an app with one view, which inserts an item."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)

    @app.post("/items")
    def add_item() -> Any:
        db.session.add(Item(name="of a request"))
        db.session.commit()
        return "", 201

    return app
