"""What only psycopg 3 has, and what it does in another way than psycopg2."""

from __future__ import annotations

from contextlib import closing, suppress

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from .postgresql import PostgreSQLStyles


class PsycopgStyles(PostgreSQLStyles):
    def test_commit_composed_by_the_driver(self):
        """COMMIT composed by ``psycopg.sql`` commits."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            cursor = raw.cursor()
            cursor.execute(
                sql.SQL("INSERT INTO {} (name) VALUES (%s)").format(sql.Identifier("users")),
                ("bob",),
            )
            cursor.execute(sql.Composed([sql.SQL("COM"), sql.SQL("MIT")]))
            raw.rollback()
        self.assert_users("bob")

    def test_driver_connection_as_a_block(self):
        """The driver's own ``with connection:`` commits or rolls back, and closes."""
        for name, error in ("bob", None), ("carol", ZeroDivisionError):
            fairy = self.engine_in_use.raw_connection()
            with suppress(ZeroDivisionError), fairy.driver_connection as connection:
                connection.cursor().execute("INSERT INTO users (name) VALUES (%s)", (name,))
                if error is not None:
                    raise error
            self.assertTrue(connection.closed)
            fairy.invalidate()
        self.assert_users("bob")

    def test_driver_transaction(self):
        """The driver's ``with connection.transaction():`` nests, and commits at its end."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            connection = raw.driver_connection
            with connection.transaction():
                connection.execute("INSERT INTO users (name) VALUES ('bob')")
                with suppress(ZeroDivisionError), connection.transaction():
                    connection.execute("INSERT INTO users (name) VALUES ('carol')")
                    raise ZeroDivisionError
                with connection.transaction(force_rollback=True):
                    connection.execute("INSERT INTO users (name) VALUES ('dave')")
                with connection.transaction():
                    connection.execute("INSERT INTO users (name) VALUES ('erin')")
            raw.rollback()
            with connection.transaction():
                connection.execute("INSERT INTO users (name) VALUES ('frank')")
                raise psycopg.Rollback
        self.assert_users("bob", "erin")

    def test_driver_autocommit_method(self):
        """``set_autocommit()`` is the attribute's other name."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            raw.driver_connection.set_autocommit(True)
            raw.driver_connection.execute("INSERT INTO users (name) VALUES ('bob')")
            raw.rollback()
            raw.driver_connection.set_autocommit(False)
        self.assert_users("bob")

    def test_core_failed_statement(self):
        """A failed statement fails its transaction."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            with self.assertRaises(DBAPIError):
                connection.execute(self.add("bob"))
            with self.assertRaises(DBAPIError) as caught:
                connection.execute(self.add("carol"))
            self.assertIsInstance(caught.exception.orig, psycopg.errors.InFailedSqlTransaction)
            connection.commit()
        self.assert_users()

    def test_work_after_a_textual_commit(self):
        """After a textual COMMIT psycopg 3 begins the next transaction."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.execute(text("COMMIT"))
            connection.execute(self.add("carol"))
            connection.rollback()
        self.assert_users("bob")

    def test_copy(self):
        """COPY through a raw cursor is committed or rolled back like a statement."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            with raw.cursor().copy("COPY users (name) FROM STDIN") as copying:
                copying.write_row(("bob",))
                copying.write_row(["carol"])
            raw.commit()
            with raw.cursor().copy("COPY users (name) FROM STDIN") as copying:
                copying.write_row(("dave",))
            raw.rollback()
            with raw.cursor().copy("COPY users (name) TO STDOUT") as copying:
                names = [name for (name,) in copying.rows()]
        self.assertEqual(sorted(names), sorted([*self.before, "bob", "carol"]))
        self.assert_users("bob", "carol")

    def test_execute_values(self):
        """The driver's executemany() gives what each execution returns."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            with raw.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO users (name) VALUES (%s) RETURNING name",
                    [("bob",), ("carol",)],
                    returning=True,
                )
                returned = [result.fetchone()[0] for result in cursor.results()]
            raw.commit()
        self.assertEqual(returned, ["bob", "carol"])
        self.assert_users("bob", "carol")

    def test_rows_of_the_driver(self):
        """Rows are streamed, and made by the factory that is asked for."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            cursor = connection.connection.driver_connection.cursor(row_factory=dict_row)
            rows = cursor.stream("SELECT name FROM users WHERE name = %s", ["bob"])
            self.assertEqual(list(rows), [{"name": "bob"}])
            connection.commit()
        self.assert_users("bob")
