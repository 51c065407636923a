"""Each other way to connect, by the same stub."""

import unittest
from unittest.mock import ANY

from snowflake.connector import ProgrammingError

from . import answers
from .api import SnowflakeApi
from .case import SnowflakeTestCase

INSERT = "insert into log (item, n) values (%s, %s)"
TOTALS = "select item, sum(n) as total from log group by item"


class AnswersTest(SnowflakeTestCase):
    def setUp(self):
        super().setUp()
        self.stub = self.stub_connection("snowflake.connector.connect")

    def test_one_line(self):
        self.stub.on("select 1").returns([(1,)])
        self.assertEqual(answers.run_query("select 1"), [(1,)])
        self.stub.connect.assert_called_once_with(**answers.OPTIONS)

    def test_with(self):
        self.stub.on("select count(*) from schema.table").returns([(123,)], columns=["COUNT"])
        self.assertEqual(answers.row_count("schema.table"), 123)
        self.assertClosed(self.stub)

    def test_connection_is_injected(self):
        self.stub.on(INSERT, params=ANY).returns(rowcount=1)
        connection = self.stub.connect(**answers.OPTIONS, autocommit=False)
        answers.log_orders([{"item": "pen", "n": 2}, {"item": "ink", "n": 1}], connection)
        self.assertExecutedInOrder(self.stub, (INSERT, ("pen", 2)), (INSERT, ("ink", 1)))
        self.assertCommitted(self.stub, times=1)

    def test_injected_connection_fails(self):
        self.stub.on(INSERT, params=("pen", 2)).returns(rowcount=1)
        self.stub.on(INSERT, params=("ink", -1)).raises(ProgrammingError("n must be positive"))
        connection = self.stub.connect(**answers.OPTIONS, autocommit=False)
        with self.assertRaisesRegex(ProgrammingError, "n must be positive"):
            answers.log_orders([{"item": "pen", "n": 2}, {"item": "ink", "n": -1}], connection)
        self.assertRolledBack(self.stub, times=1)

    def test_api_is_injected(self):
        self.stub.on(TOTALS).returns([("pen", 3), ("ink", 1)])
        api = SnowflakeApi(dict.fromkeys(["account", "user", "password", "warehouse", "database"]))
        self.assertEqual(answers.Report(api).totals(), {"pen": 3, "ink": 1})

    def test_default_argument(self):
        self.stub.on(TOTALS).returns([("pen", 3)], columns=["ITEM", "TOTAL"])
        self.assertEqual(answers.Report().totals(), {"pen": 3})
        self.assertClosed(self.stub)


if __name__ == "__main__":
    unittest.main()
