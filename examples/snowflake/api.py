"""The program under test: a client for Snowflake that connects when it is first needed."""

from snowflake.connector import connect


class SnowflakeApiError(Exception):
    """Snowflake could not be reached, or refused a query."""


class SnowflakeApi:
    def __init__(self, config):
        self._config = config
        self._connection = None

    def connect(self):
        """Give the connection, which is made once."""
        if self._connection is None:
            try:
                self._connection = connect(
                    account=self._config["account"],
                    user=self._config["user"],
                    password=self._config["password"],
                    warehouse=self._config["warehouse"],
                    database=self._config["database"],
                    proxy_host=self._config.get("proxy_host"),
                    proxy_port=self._config.get("proxy_port"),
                )
            except Exception as error:
                raise SnowflakeApiError(f"no connection to Snowflake: {error}") from error
        return self._connection

    def query(self, sql, params=None):
        """Give all rows that a query finds."""
        cursor = self.connect().cursor()
        try:
            return cursor.execute(sql, params).fetchall()
        except Exception as error:
            raise SnowflakeApiError(f"the query failed: {error}") from error
        finally:
            cursor.close()

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None
