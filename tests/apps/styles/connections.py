"""Connections of Core and of the driver."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Any

import psycopg2.errors
from sqlalchemy import NullPool, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, ResourceClosedError

from .base import Styles


class CoreStyles(Styles):
    def test_core_begin(self):
        """``engine.begin()`` commits at its end."""
        with self.engine_in_use.begin() as connection:
            connection.execute(self.add("bob"))
        self.assert_users("bob")

    def test_core_begin_that_raises(self):
        """An ``engine.begin()`` block that raises stores nothing."""
        with self.assertRaises(ZeroDivisionError), self.engine_in_use.begin() as connection:
            connection.execute(self.add("bob"))
            raise ZeroDivisionError
        self.assert_users()

    def test_core_commit(self):
        """A connection commits what it did so far."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.commit()
            connection.execute(self.add("carol"))
        self.assert_users("bob")

    def test_core_no_commit(self):
        """A connection that is closed without a commit stores nothing."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
        self.assert_users()

    def test_core_rollback(self):
        """A connection works on after its rollback."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.rollback()
            connection.execute(self.add("carol"))
            connection.commit()
        self.assert_users("carol")

    def test_core_failed_statement(self):
        """On PostgreSQL a failed statement fails its transaction, on SQLite only itself."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            with self.assertRaises(IntegrityError):
                connection.execute(self.add("bob"))
            if self.postgresql:
                with self.assertRaises(DBAPIError) as caught:
                    connection.execute(self.add("carol"))
                self.assertIsInstance(caught.exception.orig, psycopg2.errors.InFailedSqlTransaction)
            connection.commit()
        self.assert_users(*([] if self.postgresql else ["bob"]))

    def test_core_nested(self):
        """A savepoint is rolled back alone, again and again."""
        with self.engine_in_use.begin() as connection:
            connection.execute(delete(self.users))
            connection.execute(self.add("bob"))
            for _ in range(3):
                with self.assertRaises(IntegrityError), connection.begin_nested():
                    connection.execute(self.add("carol"))
                    connection.execute(self.add("bob"))
            with connection.begin_nested():
                connection.execute(update(self.users).values(name="rob"))
        self.before = []
        self.assert_users("rob")

    def test_savepoint_before_anything_else(self):
        """A rollback undoes a savepoint, but sqlite3 sends no BEGIN before a SAVEPOINT."""
        with self.engine_in_use.connect() as connection:
            with connection.begin_nested():
                connection.execute(self.add("bob"))
            connection.rollback()
        self.assert_users(*([] if self.postgresql else ["bob"]))

    def test_engine_without_pool(self):
        """An engine that makes each connection anew commits and rolls back like any other."""
        with self.engine_made_here(poolclass=NullPool) as engine:
            with engine.begin() as connection:
                connection.execute(self.add("bob"))
            with engine.connect() as connection:
                connection.execute(self.add("carol"))
        self.assert_users("bob")

    def test_raw_connection_commit(self):
        """A raw connection commits."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            raw.cursor().execute("INSERT INTO users (name) VALUES ('bob')")
            raw.commit()
        self.assert_users("bob")

    def test_raw_connection_rollback(self):
        """A raw connection rolls back, and its close does."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            raw.cursor().execute("INSERT INTO users (name) VALUES ('bob')")
            raw.rollback()
            raw.cursor().execute("INSERT INTO users (name) VALUES ('carol')")
        self.assert_users()

    def test_driver_connection_as_a_block(self):
        """The driver's own ``with connection:`` commits, or rolls back when its block raises."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            with raw.driver_connection as connection:
                connection.cursor().execute("INSERT INTO users (name) VALUES ('bob')")
            with self.assertRaises(ZeroDivisionError), raw.driver_connection as connection:
                connection.cursor().execute("INSERT INTO users (name) VALUES ('carol')")
                raise ZeroDivisionError
        self.assert_users("bob")

    def test_driver_connection_commit(self):
        """The driver's connection commits behind SQLAlchemy's back."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.connection.driver_connection.commit()
            connection.execute(self.add("carol"))
            connection.rollback()
        self.assert_users("bob")

    def test_dispose(self):
        """What was committed outlives ``engine.dispose()``; a connection in use goes on."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            self.engine_in_use.dispose()
            connection.execute(self.add("carol"))
            connection.commit()
        self.engine_in_use.dispose()
        self.assert_users("bob", "carol")

    def test_invalidate(self):
        """A connection that is invalidated loses its transaction and is replaced."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.invalidate()
            connection.rollback()
            connection.execute(self.add("carol"))
            connection.commit()
        self.assert_users("carol")

    def test_closed_connection(self):
        """A connection that was closed takes no statement."""
        connection = self.engine_in_use.connect()
        connection.close()
        with self.assertRaises(ResourceClosedError):
            connection.execute(self.add("bob"))
        self.assert_users()


class AutocommitStyles(Styles):
    def assert_autocommits(self, connection: Any) -> None:
        connection.execute(self.add("bob"))
        connection.rollback()
        with self.assertRaises(IntegrityError):
            connection.execute(self.add("bob"))
        connection.execute(self.add("carol"))
        connection.rollback()

    def test_autocommit_of_a_connection(self):
        """Each statement of a connection with AUTOCOMMIT stays, and the next checkout has none."""
        with self.engine_in_use.connect() as connection:
            self.assert_autocommits(connection.execution_options(isolation_level="AUTOCOMMIT"))
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("dave"))
        self.assert_users("bob", "carol")

    def test_autocommit_of_an_option_engine(self):
        """Each statement of an engine with the option AUTOCOMMIT stays, of its parent's none."""
        engine = self.engine_in_use.execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            self.assert_autocommits(connection)
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("dave"))
        self.assert_users("bob", "carol")

    def test_autocommit_of_create_engine(self):
        """Each statement of an engine that was made with AUTOCOMMIT stays."""
        with self.engine_made_here(isolation_level="AUTOCOMMIT") as engine:
            with engine.connect() as connection:
                self.assert_autocommits(connection)
            with engine.connect() as connection:
                connection.execute(self.add("dave"))
        self.assert_users("bob", "carol", "dave")

    def test_textual_transaction_with_autocommit(self):
        """BEGIN, COMMIT and ROLLBACK as text work on a connection with AUTOCOMMIT."""
        with self.engine_in_use.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("BEGIN"))
            connection.execute(self.add("bob"))
            connection.execute(text("ROLLBACK"))
            connection.execute(text("BEGIN"))
            connection.execute(self.add("carol"))
            connection.execute(text("COMMIT"))
            connection.execute(self.add("dave"))
        self.assert_users("carol", "dave")

    def test_driver_autocommit(self):
        """The driver's own switch makes each statement stay."""
        with self.engine_in_use.connect() as connection:
            driver = connection.connection.driver_connection
            if self.postgresql:
                driver.autocommit = True
            else:
                driver.isolation_level = None
            try:
                connection.execute(self.add("bob"))
                connection.rollback()
            finally:
                if self.postgresql:
                    driver.autocommit = False
                else:
                    driver.isolation_level = ""
            connection.execute(self.add("carol"))
        self.assert_users("bob")

    def test_serializable(self):
        """A transaction at a higher isolation level commits and rolls back."""
        with self.engine_in_use.connect() as connection:
            connection = connection.execution_options(isolation_level="SERIALIZABLE")
            with connection.begin():
                connection.execute(select(self.users)).all()
                connection.execute(self.add("bob"))
        with self.engine_made_here(isolation_level="SERIALIZABLE") as engine:
            with engine.begin() as connection:
                connection.execute(self.add("carol"))
            with engine.connect() as connection:
                connection.execute(self.add("dave"))
        self.assert_users("bob", "carol")


class SeveralConnectionsStyles(Styles):
    def test_nested_connections(self):
        """A connection reads what an inner one committed meanwhile, and goes on by itself."""
        with self.engine_in_use.connect() as outer:
            self.assertEqual(outer.scalars(select(self.users.c.name)).all(), self.before)
            with self.engine_in_use.begin() as inner:
                inner.execute(self.add("bob"))
            names = outer.scalars(select(self.users.c.name).order_by(self.users.c.id)).all()
            self.assertEqual(names, [*self.before, "bob"])
            outer.execute(self.add("carol"))
            outer.commit()
        self.assert_users("bob", "carol")

    def test_nested_connection_that_rolls_back(self):
        """An inner connection's rollback leaves the outer's work alone."""
        with self.engine_in_use.connect() as outer:
            outer.execute(select(self.users)).all()
            with self.engine_in_use.connect() as inner:
                inner.execute(self.add("bob"))
                inner.rollback()
            outer.execute(self.add("carol"))
            outer.commit()
        self.assert_users("carol")

    def test_reader_that_rolls_back_after_a_commit(self):
        """A reader's rollback leaves alone what another committed after it began."""
        reader = self.engine_in_use.connect()
        reader.execute(select(self.users)).all()
        with self.engine_in_use.begin() as writer:
            writer.execute(self.add("bob"))
        reader.rollback()
        reader.close()
        self.assert_users("bob")

    def test_session_beside_connection(self):
        """A session and a connection commit in turns."""
        with self.open_session() as session:
            session.add(self.shop.User(name="bob"))
            session.commit()
            with self.engine_in_use.begin() as connection:
                connection.execute(self.add("carol"))
            session.add(self.shop.User(name="dave"))
            session.commit()
        self.assert_users("bob", "carol", "dave")

    def test_thread_that_commits(self):
        """What a thread commits is there for the thread that started it."""
        self.in_threads(lambda: self.store("bob"))
        self.assert_users("bob")

    def test_thread_with_a_session(self):
        """A thread comes by its session as the rest of the app does."""

        def work():
            with self.open_session() as session:
                session.add(self.shop.User(name="bob"))
                session.commit()
                session.close()

        self.in_threads(work)
        self.assert_users("bob")

    def test_thread_beside_an_open_reader(self):
        """A reader sees what a thread commits meanwhile."""
        with self.engine_in_use.connect() as reader:
            reader.execute(select(self.users)).all()
            self.in_threads(lambda: self.store("bob"))
            self.assertEqual(len(reader.execute(select(self.users)).all()), len(self.before) + 1)
        self.assert_users("bob")

    def test_four_threads(self):
        """Four threads at once each commit their own work, and one fails alone."""
        start = threading.Barrier(4)

        def work(name):
            start.wait(timeout=60)
            with self.engine_in_use.begin() as connection:
                connection.execute(self.add(name))
                connection.execute(insert(self.posts).values(title=name))

        def fail():
            start.wait(timeout=60)
            with self.assertRaises(ZeroDivisionError), self.engine_in_use.begin() as connection:
                connection.execute(self.add("nobody"))
                raise ZeroDivisionError

        names = ["bob", "carol", "dave"]
        self.in_threads(fail, *[lambda name=name: work(name) for name in names])
        self.assertEqual(sorted(self.names()), sorted([*self.before, *names]))
