"""A function or class that connects, found wherever it is held, and a stub in its place.

.. code-block:: text

    targets      what a dotted path means
    connecting   what takes the place of it, and is asked about it as a Mock is
    places       everything that holds it; put in and put back
      holders      how it is put into each kind of them
      remembered   whose defaults it was among, so that no second search is needed
"""

from __future__ import annotations

from .connecting import StubbedConnect, for_real
from .places import replace_everywhere
from .targets import name_of, resolve

__all__ = [
    "StubbedConnect",
    "for_real",
    "name_of",
    "replace_everywhere",
    "resolve",
]
