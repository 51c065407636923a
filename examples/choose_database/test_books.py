from . import books
from .case import LibraryTestCase


class BooksTest(LibraryTestCase):
    def test_add(self):
        self.assertEqual(books.add(self.session, "Emma", 1815).id, 1)

    def test_since(self):
        books.add(self.session, "Middlemarch", 1871)
        books.add(self.session, "Emma", 1815)
        books.add(self.session, "Dracula", 1897)
        self.assertEqual(books.since(self.session, 1850), ["Middlemarch", "Dracula"])


class EmptyTest(LibraryTestCase):
    def test_nothing_is_left_of_other_tests(self):
        self.assertEqual(books.since(self.session, 0), [])
