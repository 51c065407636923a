"""One mixin per capability; each only ties a module below to the hooks of ``unittest``.

.. code-block:: text

    EngineMixin    a leased database, its engines, and their disposal
    FlaskMixin     the app, its client and contexts, requests as in production
    MigrationMixin the database upgraded before the class, and downgraded after it
    SandboxMixin   every test is undone, class data are new for each

    ConnectionStubMixin    scripted connections, with no database at all

They are plain classes and stand left of ``TestCase``: right of it unittest would never run
them, which is refused. What surrounds a test does not depend on ``super().setUp()``: ``run()``
puts it around the instance's ``setUp``, so that it happens where the test runs, and undoing is
registered as a cleanup right after each doing.

Users overwrite such names as ``self.app`` and ``self.session``. So what the library itself
needs is kept in one object per class, :class:`ClassState`, and never read from there.
"""

from .app import FlaskMixin
from .engines import EngineMixin
from .migrations import MigrationMixin
from .sandbox import SandboxMixin
from .stubs import ConnectionStubMixin

__all__ = [
    "ConnectionStubMixin",
    "EngineMixin",
    "FlaskMixin",
    "MigrationMixin",
    "SandboxMixin",
]
