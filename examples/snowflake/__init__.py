"""A class that connects to Snowflake lazily, and its tests, which connect nowhere.

`api.py` is the program as it was: its module did ``from snowflake.connector import connect``, so
replacing ``snowflake.connector.connect`` by ``mock.patch`` would change nothing for it. Nobody
wants to change it for its tests. `answers.py` has other ways in which programs connect.

``self.stub_connection("snowflake.connector.connect")`` takes the function's place wherever it was
imported to. The tests say what is answered to which statement, with the connector's own exceptions
and behaviour; that the network is never touched is asserted for each of them::

    python -m unittest discover -s examples/snowflake -t .
"""

import unittest

try:
    import snowflake.connector  # noqa: F401
except ModuleNotFoundError:
    raise unittest.SkipTest('needs snowflake-connector-python: pip install ".[dev]"') from None
