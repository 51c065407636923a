"""Statements that are no plain SELECT, INSERT, UPDATE or DELETE."""

from __future__ import annotations

from contextlib import closing

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from .base import Styles

drafts = Table(
    "drafts", MetaData(), Column("id", Integer, primary_key=True), Column("title", String)
)


class SchemaStyles(Styles):
    def test_create_table(self):
        """A table that the program makes is there at once, with what is put in it."""
        drafts.create(self.engine_in_use)
        with self.engine_in_use.begin() as connection:
            connection.execute(insert(drafts).values(title="first"))
        with self.engine_in_use.connect() as connection:
            self.assertEqual(connection.scalars(select(drafts.c.title)).all(), ["first"])
        self.assertTrue(inspect(self.engine_in_use).has_table("drafts"))
        self.assert_visible_to_others("drafts", ["first"])

    def test_create_table_then_rollback(self):
        """PostgreSQL undoes DDL by a rollback; sqlite3 sends no BEGIN before it."""
        with self.engine_in_use.connect() as connection:
            drafts.create(connection)
            connection.rollback()
        self.assertEqual(inspect(self.engine_in_use).has_table("drafts"), not self.postgresql)

    def test_insert_and_create_table_then_rollback(self):
        """Both undo DDL that follows a write."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            drafts.create(connection)
            connection.rollback()
        self.assertFalse(inspect(self.engine_in_use).has_table("drafts"))
        self.assert_users()

    def test_drop_all_and_create_all(self):
        """All tables are dropped and made anew, with ids from 1."""
        metadata = self.shop.User.metadata
        metadata.drop_all(self.engine_in_use)
        self.assertFalse(inspect(self.engine_in_use).has_table("users"))
        metadata.create_all(self.engine_in_use)
        with self.engine_in_use.begin() as connection:
            self.assertEqual(connection.execute(self.add("bob")).inserted_primary_key, (1,))
        self.before = []
        self.assert_users("bob")

    def test_alter_table(self):
        """A column that is added can be used at once."""
        with self.engine_in_use.begin() as connection:
            connection.execute(text("ALTER TABLE users ADD COLUMN age INTEGER"))
            connection.execute(text("INSERT INTO users (name, age) VALUES ('bob', 42)"))
        with self.engine_in_use.connect() as connection:
            age = connection.scalar(text("SELECT age FROM users WHERE name = 'bob'"))
        self.assertEqual(age, 42)
        self.assert_users("bob")


class TextualStyles(Styles):
    def assert_ends_transaction(self, statement: str, *names: str) -> None:
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.execute(text(statement))
            connection.rollback()
        self.assert_users(*names)

    def test_textual_commit(self):
        """COMMIT as text commits."""
        self.assert_ends_transaction("COMMIT", "bob")

    def test_textual_commit_in_other_words(self):
        """Every spelling of COMMIT commits."""
        self.assert_ends_transaction("  eNd  ", "bob")

    def test_textual_commit_between_comments(self):
        """COMMIT among comments commits."""
        self.assert_ends_transaction("/* all is well; */ COMMIT -- at last", "bob")

    def test_commit_within_a_literal_or_comment(self):
        """A statement that only mentions COMMIT commits nothing."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.execute(text("SELECT 'a; COMMIT; b' /* ; COMMIT */ -- ; COMMIT"))
            connection.rollback()
        self.assert_users()

    def test_textual_rollback(self):
        """ROLLBACK as text rolls back."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.execute(text("ROLLBACK"))
            connection.commit()
        self.assert_users()

    def test_textual_savepoint(self):
        """SAVEPOINT, ROLLBACK TO and RELEASE as text work, names shadowing each other."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.execute(text("SAVEPOINT a"))
            connection.execute(self.add("carol"))
            connection.execute(text("SAVEPOINT a"))
            connection.execute(self.add("dave"))
            connection.execute(text("ROLLBACK TO SAVEPOINT a"))
            connection.execute(text("RELEASE SAVEPOINT a"))
            connection.execute(self.add("erin"))
            connection.commit()
        self.assert_users("bob", "carol", "erin")

    def test_work_after_a_textual_commit(self):
        """psycopg2 sends no second BEGIN after a textual COMMIT, sqlite3 does."""
        with self.engine_in_use.connect() as connection:
            connection.execute(self.add("bob"))
            connection.execute(text("COMMIT"))
            connection.execute(self.add("carol"))
            connection.rollback()
        self.assert_users("bob", *(["carol"] if self.postgresql else []))


class DeferredStyles(Styles):
    def test_deferred_foreign_key(self):
        """A deferred foreign key may be broken until the commit."""
        with self.engine_in_use.begin() as connection:
            connection.execute(insert(self.invitations).values(user_id=77))
            connection.execute(insert(self.users).values(id=77, name="bob"))
        self.assert_users("bob")

    def test_deferred_foreign_key_that_stays_broken(self):
        """The commit of a broken deferred foreign key raises; a rollback undoes all."""
        error = self.engine_in_use.dialect.dbapi.IntegrityError
        with closing(self.engine_in_use.raw_connection()) as raw:
            raw.cursor().execute("INSERT INTO users (name) VALUES ('bob')")
            raw.cursor().execute("INSERT INTO invitations (user_id) VALUES (77)")
            with self.assertRaisesRegex(error, "(?i)foreign key constraint"):
                raw.commit()
            raw.rollback()
            raw.cursor().execute("INSERT INTO users (name) VALUES ('carol')")
            raw.commit()
        self.assert_users("carol")
        self.assert_visible_to_others("invitations", [])

    def test_deferred_foreign_key_in_a_session(self):
        """An ORM commit raises for a broken deferred foreign key, then works on."""
        with self.open_session() as session:
            session.add(self.shop.Invitation(user_id=77))
            with self.assertRaises(IntegrityError):
                session.commit()
            session.rollback()
            session.add(self.shop.User(name="bob"))
            session.commit()
        self.assert_users("bob")

    def test_foreign_key(self):
        """A foreign key that is not deferred is checked at once."""
        with self.engine_in_use.connect() as connection:
            with self.assertRaisesRegex(IntegrityError, "(?i)foreign key constraint"):
                connection.execute(insert(self.posts).values(user_id=77, title="lost"))
            connection.rollback()
            connection.execute(self.add("bob"))
            connection.commit()
        self.assert_users("bob")


class SQLiteStyles(Styles):
    def test_stream_results(self):
        """While rows are fetched one by one, the same connection writes."""
        with self.engine_in_use.begin() as connection:
            connection.execute(insert(self.users), [{"name": f"user {i}"} for i in range(10)])
        with self.engine_in_use.connect() as connection:
            query = select(self.users.c.id, self.users.c.name).order_by(self.users.c.id)
            for user_id, name in connection.execution_options(yield_per=2).execute(query):
                connection.execute(insert(self.posts).values(user_id=user_id, title=name))
            connection.commit()
            titles = connection.scalars(select(self.posts.c.title).order_by(self.posts.c.id)).all()
        self.assertEqual(titles, [*self.before, *[f"user {i}" for i in range(10)]])

    def test_executescript(self):
        """``executescript`` commits what was pending, and each of its own statements."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            cursor = raw.cursor()
            cursor.execute("INSERT INTO users (name) VALUES ('bob')")
            cursor.executescript(
                "INSERT INTO users (name) VALUES ('carol; no'); -- the first;\n"
                "INSERT INTO users (name) VALUES ('dave');"
            )
            raw.rollback()
        self.assert_users("bob", "carol; no", "dave")

    def test_executescript_with_a_transaction(self):
        """A script may hold a transaction of its own."""
        with closing(self.engine_in_use.raw_connection()) as raw:
            raw.cursor().executescript(
                "BEGIN; INSERT INTO users (name) VALUES ('bob'); ROLLBACK;"
                "BEGIN; INSERT INTO users (name) VALUES ('carol'); COMMIT;"
            )
        self.assert_users("carol")
