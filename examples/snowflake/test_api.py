"""The class as it is, tested without changing it."""

import unittest

from snowflake.connector import OperationalError, ProgrammingError

from .api import SnowflakeApi, SnowflakeApiError
from .case import SnowflakeTestCase

CONFIG = {
    "account": "shop",
    "user": "reader",
    "password": "geheim",
    "warehouse": "small",
    "database": "sales",
    "proxy_host": "proxy.example",
    "proxy_port": 8080,
}


class SnowflakeApiTest(SnowflakeTestCase):
    def setUp(self):
        super().setUp()
        self.stub = self.stub_connection("snowflake.connector.connect")
        self.api = SnowflakeApi(CONFIG)

    def test_connects_lazily_and_once(self):
        self.stub.on("select 1").returns([(1,)])
        self.stub.connect.assert_not_called()
        self.api.query("select 1")
        self.api.query("select 1")
        self.stub.connect.assert_called_once_with(**CONFIG)
        self.assertExecuted(self.stub, "select 1", times=2)

    def test_query(self):
        self.stub.on("select name from users where id = %s", params=(7,)).returns(
            [("ann",)], columns=["NAME"]
        )
        self.assertEqual(self.api.query("SELECT name FROM users WHERE id = %s;", [7]), [("ann",)])

    def test_failing_query(self):
        self.stub.on("select * from missing").raises(
            ProgrammingError("Object 'MISSING' does not exist", errno=2003)
        )
        with self.assertRaisesRegex(SnowflakeApiError, "002003: Object 'MISSING' does not exist"):
            self.api.query("select * from missing")

    def test_failing_connection(self):
        self.stub.connect.side_effect = OperationalError("Could not connect", errno=250001)
        with self.assertRaises(SnowflakeApiError) as caught:
            self.api.connect()
        self.assertIsInstance(caught.exception.__cause__, OperationalError)

    def test_connects_again_after_a_failure(self):
        self.stub.on("select 1").returns([(1,)])
        self.stub.connect.side_effect = [OperationalError("Could not connect")]
        with self.assertRaises(SnowflakeApiError):
            self.api.query("select 1")
        self.stub.connect.side_effect = None
        self.assertEqual(self.api.query("select 1"), [(1,)])

    def test_close(self):
        self.api.connect()
        self.api.close()
        self.api.close()
        self.assertClosed(self.stub)


if __name__ == "__main__":
    unittest.main()
