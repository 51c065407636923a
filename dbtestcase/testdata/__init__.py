"""What ``setUpTestData`` leaves on the class, new for each test.

``setUpTestData`` runs once per class. An ORM object that it leaves there belongs to a session
that is over when a test begins, and a test that changed it would change it for the next one.
So each attribute is replaced by a descriptor, and a test that reads it gets objects of its own:

.. code-block:: text

    setUpTestData leaves              a test gets
    ------------------------------    ------------------------------------------------------
    an object of the library's        the same row, attached to the test's session
    session (``cls.session``, or
    Flask-SQLAlchemy's)
    an object of another session      a detached copy, with the links that were loaded
    a list, tuple, set or dict of     a copy of it that holds the above, however deep they
    them, or an object that has       are nested
    them as attributes
    any other value                   a deep copy, as in ``django.test``
    what cannot be copied, and        the very same object
    parts of the machinery: apps,
    clients, engines, sessions,
    mocks

On the class itself the objects that ``setUpTestData`` made stay readable: they are detached,
their columns loaded.

.. code-block:: python

    before = dict(vars(cls))
    cls.setUpTestData()
    data = ClassData.capture(
        cls, before, session=session, session_of=session_of, wrote=sandbox.wrote
    )
    ...
    data.remove()

The copies are made by ``Session.merge(load=False)``, which sends nothing and is made for
objects that come out of a cache: https://docs.sqlalchemy.org/en/20/orm/session_state_management.html

.. code-block:: text

    classdata  the attributes on the class, and what a test gets for each
    finds      a value, and all in it that is not simply copied
    rows       one ORM object: read once for the class, the template of the tests' objects
"""

from .classdata import ClassData

__all__ = ["ClassData"]
