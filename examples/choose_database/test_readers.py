from .books import Book
from .case import LibraryTestCase
from .readers import Reader, lend


class ReadersTest(LibraryTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.emma = Book(title="Emma", year=1815)
        cls.ann = Reader(name="Ann")
        cls.ben = Reader(name="Ben")
        cls.session.add_all([cls.emma, cls.ann, cls.ben])
        cls.session.commit()

    def test_lend(self):
        self.assertTrue(lend(self.session, self.emma, self.ann))
        self.assertEqual([loan.book for loan in self.ann.loans], [self.emma])

    def test_a_book_is_lent_once(self):
        lend(self.session, self.emma, self.ann)
        self.assertFalse(lend(self.session, self.emma, self.ben))
        self.assertEqual(self.ben.loans, [])
