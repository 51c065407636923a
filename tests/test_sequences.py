"""Tests for :mod:`dbtestcase.sandbox.postgresql.sequences`, judged by an independent connection."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import sqlalchemy as sa

from dbtestcase.engines import redirect
from dbtestcase.errors import SequenceWarning
from dbtestcase.sandbox import open_sandbox

from .test_sandbox import INSERT, SandboxTestCase
from .twins import TwinTestCase

MORE = """
CREATE TABLE "Order Line" ("Id" int GENERATED ALWAYS AS IDENTITY, x int);
CREATE SEQUENCE down INCREMENT -2 MAXVALUE 50 START 50;
CREATE SEQUENCE fifty; SELECT setval('fifty', 50);
CREATE SEQUENCE later; SELECT setval('later', 7, false);
"""
STAND = """
SELECT 'item', last_value, is_called FROM item_id_seq UNION ALL
SELECT 'Order Line', last_value, is_called FROM "Order Line_Id_seq" UNION ALL
SELECT 'down', last_value, is_called FROM down UNION ALL
SELECT 'fifty', last_value, is_called FROM fifty UNION ALL
SELECT 'later', last_value, is_called FROM later
"""


class TestSequences(SandboxTestCase):
    def setUp(self) -> None:
        super().setUp()
        with self.judge.connect() as connection:
            connection.exec_driver_sql(MORE)

    def stand(self) -> list[Any]:
        """Give where the sequences stand."""
        with self.judge.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(STAND)]

    def test_put_back(self) -> None:
        """Whatever moves a sequence, it is back after the test, to where the set-up left it."""
        first = self.stand()
        for data in (False, True):
            if data:
                self.box.close()
                self.engine.dispose()
                self.insert("class")
                with self.engine.begin() as connection:
                    connection.exec_driver_sql("SELECT nextval('later')")
            self.box.freeze()
            base = self.stand()
            for text in (
                "INSERT INTO item (name) SELECT 'i' || g FROM generate_series(1, 99) g",
                "INSERT INTO item (name) VALUES ('first')",
                'INSERT INTO "Order Line" (x) VALUES (1)',
                "SELECT nextval('down'), nextval('fifty'), nextval('later')",
                "SELECT setval('fifty', 1, false)",
                "SELECT setval('later', 99, false)",
                "SELECT setval('later', 99)",
                "ALTER SEQUENCE fifty RESTART WITH 3",
                "TRUNCATE item RESTART IDENTITY",
                "CREATE SEQUENCE new; SELECT nextval('new')",
                "DROP SEQUENCE fifty",
                "DO $$ BEGIN PERFORM nextval('fifty'); END $$",
            ):
                for commit in (True, False):
                    with self.subTest(text, commit=commit, data=data):
                        with self.a_test(), self.engine.connect() as connection:
                            with contextlib.suppress(sa.exc.IntegrityError):
                                connection.exec_driver_sql(text)
                            if commit:
                                connection.commit()
                        self.assertEqual(self.stand(), base)
        self.box.close()
        self.assertEqual(self.stand(), first)

    def test_hundred_tables(self) -> None:
        """Ids start at 1 in every test, whichever of many tables it writes to."""
        with self.judge.connect() as connection:
            for number in range(100):
                connection.exec_driver_sql(f"CREATE TABLE t{number} (id serial, x int)")
        self.box.freeze()
        for test in range(3):
            with self.a_test(), self.engine.begin() as connection:
                for number in range(test, 100, 7):
                    found = connection.exec_driver_sql(
                        f"INSERT INTO t{number} (x) VALUES (1), (2) RETURNING id"
                    )
                    self.assertEqual(found.scalars().all(), [1, 2])


class TestWithoutPrivilege(TwinTestCase):
    def test_warns(self) -> None:
        """Sequences that the role may not set are named, and the others are put back."""
        role = "dbtestcase_no_sequences"
        with self.judge.connect() as connection:
            connection.exec_driver_sql(MORE)
            connection.exec_driver_sql(f"DROP ROLE IF EXISTS {role}")
            connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
            self.addCleanup(self._drop_role, role)
            connection.exec_driver_sql(
                f"GRANT USAGE ON SCHEMA public TO {role}; GRANT ALL ON item TO {role}; "
                f"GRANT USAGE, SELECT, UPDATE ON item_id_seq TO {role}; "
                f"GRANT USAGE, SELECT ON fifty TO {role}"
            )
        url = self.url.set(username=role, password="x")
        box = open_sandbox(url, owner="TwinTest", reset_sequences=True)
        engine = sa.create_engine(url)
        undo = redirect(engine, box)
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                engine.connect().close()
            self.assertEqual([each.category for each in warned], [SequenceWarning])
            text = str(warned[0].message)
            self.assertEqual(
                text,
                f'sequences of database "{self.url.database}" are not put back between tests, '
                'because the role may not SELECT and UPDATE them: public."Order Line_Id_seq", '
                "public.down, public.fifty, public.later. Grant it both, or set reset_sequences = "
                "False if no test counts on ids.",
            )
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                for _ in range(2):
                    box.begin_test()
                    with engine.begin() as connection:
                        self.assertEqual(connection.execute(INSERT, {"name": "a"}).scalar(), 2)
                    box.closing()
                    box.end_test()
            self.assertEqual([str(each.message) for each in warned], [text])  # the set-up's end
        finally:
            undo()
            box.close()
            engine.dispose()

    def _drop_role(self, role: str) -> None:
        with self.judge.connect() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}; DROP ROLE {role}")
