"""Other ways in which programs connect and query, each as somebody wrote it."""

import snowflake.connector
from snowflake.connector import DictCursor, connect

OPTIONS = {"account": "shop", "user": "reader", "password": "geheim"}


def run_query(sql):
    """Do all of it in one line."""
    return connect(**OPTIONS).cursor().execute(sql).fetchall()


def row_count(table):
    """Let a ``with`` close the connection, and use what execute() gives as the cursor."""
    with snowflake.connector.connect(**OPTIONS) as con, con.cursor() as cur:
        query = cur.execute(f"select count(*) from {table}")
        return query.fetchone()[0]


def log_orders(orders, connection):
    """Take the connection from whoever calls: dependency injection."""
    cursor = connection.cursor(DictCursor)
    try:
        for order in orders:
            cursor.execute("insert into log (item, n) values (%s, %s)", (order["item"], order["n"]))
        connection.commit()
    except snowflake.connector.ProgrammingError:
        connection.rollback()
        raise


class Report:
    """Take the api from whoever makes it, or the way to connect, with a default."""

    def __init__(self, api=None, connect=connect):
        self._api = api
        self._connect = connect

    def totals(self):
        sql = "select item, sum(n) as total from log group by item"
        if self._api is not None:
            return dict(self._api.query(sql))
        connection = self._connect(**OPTIONS)
        try:
            rows = connection.cursor(DictCursor).execute(sql).fetchall()
        finally:
            connection.close()
        return {row["ITEM"]: row["TOTAL"] for row in rows}
