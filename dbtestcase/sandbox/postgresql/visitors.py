"""Whether anybody else connects to the database of the tests.

What a stranger commits there is seen by the tests and undone by nobody. The server counts the
sessions of each database, and a new one shows at once. So the message that ends a test asks for
the count, where the test took long enough for its code to have connected: that takes longer than
:data:`CONNECTING`, and most tests do not. A test that sent nothing, but took that long, sends a
message for it. Who works beside the tests, and connects from one test into the next, is asked for
after :data:`PATIENCE`: a quick test or two later.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .wire import Rows

__all__ = ["Visitors"]

#: What a connection takes at least, in seconds.
CONNECTING = 0.001
#: How old an answer may be, in seconds, whatever the tests do.
PATIENCE = 0.005

# Older servers learn of it half a second later, and have no such setting. By default a server
# would repeat its first answer within a transaction.
_BEGIN = """
SELECT pg_backend_pid(), oid, current_setting('track_counts') = 'on' AND (
         SELECT max(set_config(name, 'none', false)) FROM pg_settings
          WHERE name = 'stats_fetch_consistency') IS NOT NULL,
       ARRAY(SELECT pid FROM pg_stat_activity a WHERE a.datname = current_database()
                AND a.backend_type = 'client backend')
  FROM pg_database WHERE datname = current_database()
"""

#: The server's processes for the sandboxes so far: one that was closed just now may still end.
_ours: set[int] = set()


class Visitors:
    """The sessions that the server has counted for one database.

    :param send: sends a text past whatever waits for the next message, and gives its rows.
    """

    def __init__(self, send: Callable[[str], Rows]) -> None:
        self._send = send
        self._known = 0
        #: whether somebody came that is not known, or is there still
        self.somebody = False
        self._asked = 0.0
        self._stay = False
        #: asks for the count; empty where the server cannot tell it
        self.question = ""

    def begin(self) -> int:
        """Watch who is connected now, and who comes; give the server's process for us."""
        pid, oid, counts, connected = self._send(_BEGIN)[0]
        self.question = f"SELECT pg_stat_get_db_sessions({oid})" if counts else ""
        self._asked = 0.0  # where nobody can be asked it stays so
        _ours.add(pid)
        self.seen(stay=not _ours.issuperset(connected))
        return int(pid)

    def seen(self, *, stay: bool) -> None:
        """Take who came so far for known.

        :param stay: whether somebody is connected still, and may write at any time.
        """
        self._stay = self.somebody = stay
        if self.question:
            self._known = self._send(self.question)[0][0]
            self.answer([(self._known,)])

    def answer(self, rows: Rows) -> None:
        """Note the answer to :attr:`question`."""
        self._asked = time.monotonic()
        self.somebody = self._stay or rows[0][0] != self._known

    def can_have_come(self, since: float) -> bool:
        """Whether somebody else may be connected.

        :param since: when the test began. Nobody was there when it did, as far as is known.
        """
        now = time.monotonic()
        return self.somebody or now - since >= CONNECTING or now - self._asked >= PATIENCE

    def due(self, since: float) -> bool:
        """Whether it is worth asking again.

        :param since: when the test began.
        """
        now = time.monotonic()
        if now - self._asked < CONNECTING or not self.question:
            return False
        return now - since >= CONNECTING or now - self._asked >= PATIENCE
