"""A price list: the program under test, which opens a connection for each of its steps."""

from pathlib import Path

from sqlalchemy import Engine, text

SEED = Path(__file__).with_name("seed.sql")


class PriceList:
    def __init__(self, engine: Engine):
        self.engine = engine

    def add(self, item: str, cents: int) -> None:
        with self.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO price VALUES (:item, :cents)"), {"item": item, "cents": cents}
            )

    def items(self) -> list[str]:
        with self.engine.connect() as connection:
            return list(connection.scalars(text("SELECT item FROM price ORDER BY item")))

    def seeded(self) -> int:
        """Tell how often the seed script ran on this database."""
        with self.engine.connect() as connection:
            return connection.scalar(text("SELECT count(*) FROM seeded"))
