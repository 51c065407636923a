"""What only PostgreSQL has."""

from __future__ import annotations

import io
from contextlib import closing

from psycopg2 import sql
from psycopg2.extras import execute_values
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from .statements import DeferredStyles


class PostgreSQLStyles(DeferredStyles):
    def test_commit_composed_by_the_driver(self):
        """COMMIT composed by ``psycopg2.sql`` commits."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            cursor = raw.cursor()
            cursor.execute(
                sql.SQL("INSERT INTO {} (name) VALUES (%s)").format(sql.Identifier("users")),
                ("bob",),
            )
            cursor.execute(sql.Composed([sql.SQL("COM"), sql.SQL("MIT")]))
            raw.rollback()
        self.assert_users("bob")

    def test_commit_among_several_statements(self):
        """A COMMIT within a string of several statements commits what precedes it."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.execute(
                text(
                    "INSERT INTO users (name) VALUES ('carol'); COMMIT;"
                    "INSERT INTO users (name) VALUES ('dave')"
                )
            )
            connection.rollback()
        self.assert_users("bob", "carol", "dave")

    def test_rollback_among_several_statements(self):
        """A ROLLBACK within a string of several statements undoes what precedes it."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.execute(text("ROLLBACK; INSERT INTO users (name) VALUES ('carol')"))
            connection.rollback()
        self.assert_users("carol")

    def test_savepoint_among_several_statements(self):
        """Savepoints within a string of several statements are the string's own."""
        with self.engine_in_use.connect() as connection:
            connection.execute(
                text(
                    "SAVEPOINT a; INSERT INTO users (name) VALUES ('bob'); ROLLBACK TO a;"
                    "INSERT INTO users (name) VALUES ('carol'); RELEASE a"
                )
            )
            connection.commit()
        self.assert_users("carol")

    def test_crossed_connections(self):
        """Two writers of different tables end in the order in which they began."""
        with self.engine_in_use.connect() as first, self.engine_in_use.connect() as second:
            first.execute(self.add("bob"))
            second.execute(insert(self.invitations).values(user_id=None))
            first.commit()
            first.execute(self.add("carol"))
            second.commit()
            first.rollback()
        self.assert_users("bob")
        self.assert_visible_to_others("invitations", [None])

    def test_crossed_connection_that_rolls_back(self):
        """The later of two writers rolls back after the earlier committed."""
        with self.engine_in_use.connect() as first, self.engine_in_use.connect() as second:
            first.execute(self.add("bob"))
            second.execute(insert(self.invitations).values(user_id=None))
            first.commit()
            second.rollback()
        self.assert_users("bob")
        self.assert_visible_to_others("invitations", [])

    def test_repeatable_read(self):
        """An engine that was made with REPEATABLE READ commits."""
        made = self.engine_made_here(isolation_level="REPEATABLE READ")
        with made as engine, engine.begin() as connection:
            connection.execute(self.add("bob"))
        self.assert_users("bob")

    def test_stream_results(self):
        """While results are streamed, another connection writes and commits."""
        with self.engine_in_use.begin() as connection:
            connection.execute(insert(self.users), [{"name": f"user {i}"} for i in range(10)])
        query = select(self.users.c.id, self.users.c.name).order_by(self.users.c.id)
        with self.engine_in_use.connect() as reader, self.engine_in_use.connect() as writer:
            stream = reader.execution_options(stream_results=True, max_row_buffer=2).execute(query)
            for user_id, name in stream:
                writer.execute(insert(self.posts).values(user_id=user_id, title=name))
                writer.commit()
        with self.engine_in_use.connect() as connection:
            titles = connection.scalars(select(self.posts.c.title).order_by(self.posts.c.id)).all()
        self.assertEqual(titles, [*self.before, *[f"user {i}" for i in range(10)]])

    def test_stream_results_beside_own_writes(self):
        """While results are streamed, the same session writes what the stream does not see."""
        with Session(self.engine_in_use) as session:
            session.add_all(self.shop.User(name=f"user {i}") for i in range(4))
            session.commit()
            query = select(self.shop.User).order_by(self.shop.User.id)
            for user in session.scalars(query, execution_options={"yield_per": 2}):
                session.execute(self.add(f"{user.name} again"))
            session.commit()
        names = [*self.before, *[f"user {i}" for i in range(4)]]
        self.assertEqual(self.names(), names + [f"{name} again" for name in names])

    def test_work_after_a_commit_that_failed(self):
        """The connection works on after a commit that a deferred foreign key undid."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.execute(insert(self.invitations).values(user_id=77))
            with self.assertRaises(IntegrityError):
                connection.commit()
            connection.rollback()
            connection.execute(self.add("carol"))
            connection.commit()
        self.assert_users("carol")

    def test_constraints_set_immediate(self):
        """SET CONSTRAINTS IMMEDIATE holds for its own transaction only."""
        with self.engine_in_use.connect() as connection:
            connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
            with self.assertRaises(IntegrityError):
                connection.execute(insert(self.invitations).values(user_id=77))
            connection.rollback()
            connection.execute(insert(self.invitations).values(user_id=77))
            connection.execute(insert(self.users).values(id=77, name="bob"))
            connection.commit()
        self.assert_users("bob")

    def test_copy(self):
        """COPY through a raw cursor is committed or rolled back like a statement."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            with raw.cursor() as cursor:
                cursor.copy_expert("COPY users (name) FROM STDIN", io.StringIO("bob\ncarol\n"))
            raw.commit()
            with raw.cursor() as cursor:
                cursor.copy_expert("COPY users (name) FROM STDIN", io.StringIO("dave\n"))
            raw.rollback()
        self.assert_users("bob", "carol")

    def test_execute_values(self):
        """The driver's helpers take a cursor of a raw connection."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            with raw.cursor() as cursor:
                execute_values(cursor, "INSERT INTO users (name) VALUES %s", [("bob",), ("carol",)])
            raw.commit()
        self.assert_users("bob", "carol")

    def test_truncate(self):
        """TRUNCATE empties a table, and its rollback fills it again."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.commit()
            connection.execute(text("TRUNCATE users CASCADE"))
            connection.rollback()
        self.assert_users("bob")
        with self.engine_in_use.begin() as connection:
            connection.execute(text("TRUNCATE users RESTART IDENTITY CASCADE"))
            self.assertEqual(connection.execute(self.add("carol")).inserted_primary_key, (1,))
        self.before = []
        self.assert_users("carol")
