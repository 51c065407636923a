"""Tests for :mod:`dbtestcase.sandbox.texts`."""

from __future__ import annotations

import doctest
import unittest
from typing import Any

from dbtestcase.sandbox import texts
from dbtestcase.sandbox.texts import fold, is_unambiguous, skeleton, split


def load_tests(loader: Any, tests: unittest.TestSuite, pattern: Any) -> unittest.TestSuite:
    tests.addTests(doctest.DocTestSuite(texts))
    return tests


class TestTexts(unittest.TestCase):
    def test_skeleton(self) -> None:
        """Comments and the content of strings are taken away."""
        self.assertEqual(skeleton("SELECT 'a', E'b\\'c', $x$d$x$ /* e */"), "SELECT '', '', ''")
        self.assertEqual(skeleton("SELECT 1 /* a /* b */ c */ + 2"), "SELECT 1   + 2")
        self.assertEqual(skeleton("SELECT 1 /* never ended"), "SELECT 1")

    def test_split(self) -> None:
        """A semicolon ends a statement where the server would say so."""
        self.assertEqual(split(" ; -- nothing\n ; "), ())
        self.assertEqual(split("SELECT ';' ; SELECT $$;$$"), ("SELECT ';' ", " SELECT $$;$$"))

    def test_fold(self) -> None:
        """A name is kept in small letters, and a quoted one as it is written."""
        self.assertEqual(fold('"A""b"'), 'A"b')
        self.assertEqual(fold("Ab"), "ab")

    def test_is_unambiguous(self) -> None:
        """What may end a string or a name elsewhere than it seems is no sure text."""
        for text, sure in (
            ("SELECT 'a' FROM t WHERE b = %s", True),
            ("SELECT 'a\\' FROM t", False),
            ("SELECT '%s'", False),
            ("SELECT 1 -- %(name)s", False),
            ('SELECT U&"d\\0061t"', False),
            (f"SELECT {'x' * 63}", True),
            (f"SELECT {'x' * 64}", False),
        ):
            with self.subTest(text):
                self.assertIs(is_unambiguous(text, skeleton(text)), sure)
