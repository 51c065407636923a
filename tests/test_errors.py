"""The exceptions are a tree that one ``except`` can name, and that its docstring draws."""

from __future__ import annotations

import re
import unittest

from dbtestcase import errors


def drawn() -> dict[str, str]:
    """Give the base of each class in the tree of the module's docstring."""
    bases: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ([│├└─ ]*)([A-Z]\w+)(  |$)", line):
            depth = len(found[1]) // 4
            above[depth:] = [found[2]]
            if depth:
                bases[found[2]] = above[depth - 1]
    return bases


class TestTree(unittest.TestCase):
    def test_is_drawn_as_it_is(self) -> None:
        """The drawing names every class, below its base."""
        bases = {name: getattr(errors, name).__bases__[0].__name__ for name in errors.__all__}
        self.assertEqual(drawn(), bases)

    def test_all_names_every_class(self) -> None:
        """No exception is left out of ``__all__``."""
        classes = [name for name, value in vars(errors).items() if isinstance(value, type)]
        self.assertEqual(sorted(classes), sorted(errors.__all__))

    def test_each_says_when(self) -> None:
        """Each class tells when it is raised or given."""
        for name in errors.__all__:
            with self.subTest(name):
                self.assertTrue(getattr(errors, name).__doc__)


if __name__ == "__main__":
    unittest.main()
