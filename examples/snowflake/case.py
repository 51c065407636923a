"""What the tests here share: they fail if the network is touched."""

import sys
import unittest

from dbtestcase import ConnectionStubMixin

#: What touched the network since Python was started.
touched = []


def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        touched.append((event, arguments))


# there is no way to take one out again; it does nothing but note
sys.addaudithook(note)


class SnowflakeTestCase(ConnectionStubMixin, unittest.TestCase):
    def setUp(self):
        before = len(touched)
        self.addCleanup(lambda: self.assertEqual(touched[before:], [], "the network was touched"))
