"""Which of the things that ``connect()`` is given nobody may read in a file."""

from __future__ import annotations

import base64
import inspect
import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

__all__ = ["named", "secrets_in", "spellings"]

_SECRET = re.compile(r"passw|passphrase|passcode|pwd|token|secret|private_key|credential", re.I)
_IN_DSN = re.compile(r"(?:password|passwd|pwd)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s;&]+))", re.I)
_IN_URL = re.compile(r"://[^/@:]*:([^@/]*)@")


def secrets_in(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> set[str]:
    """Find the secrets in what was given to ``connect()``.

    >>> found = secrets_in(("dbname=shop password=geheim",), {"proxy_password": "auch"})
    >>> found >= {"auch", "geheim"}
    True

    :returns: each as a text, in all its spellings; of bytes one character for each byte.
    """
    return {each for secret in _plain(args, kwargs) for each in spellings(secret)}


def _plain(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for value in itertools.chain(args, kwargs.values()):
        if isinstance(value, str):
            for quoted, plain in _IN_DSN.findall(value):
                # in quotes a backslash stands before what it escapes
                found.update((quoted or plain, re.sub(r"\\(.)", r"\1", quoted)))
            for password in _IN_URL.findall(value):
                found.update((password, unquote(password)))
        elif isinstance(value, Mapping):
            found |= _plain((), {str(key): each for key, each in value.items()})
    for name, value in kwargs.items():
        if _SECRET.search(name):
            if isinstance(value, str):
                found.add(value)
            elif isinstance(value, bytes | bytearray):
                found.add(bytes(value).decode("latin-1"))
    return found - {""}


def named(
    connect: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give what ``connect()`` was given by place with the names that it has for it, too.

    >>> named(lambda host, password: None, ("shop", "geheim"), {})
    (('shop', 'geheim'), {'host': 'shop', 'password': 'geheim'})
    """
    try:
        by_place = inspect.signature(connect).bind_partial(*args).arguments
    except (TypeError, ValueError):  # one of C's, which does not tell
        return args, dict(kwargs)
    return args, {**by_place, **kwargs}


def spellings(secret: str) -> set[str]:
    """Give the ways in which a secret may stand in a text: also in SQL, a URL, JSON and Base64.

    >>> "it%27s" in spellings("it's"), "it''s" in spellings("it's")
    (True, True)
    """
    if len(secret) <= 3:  # these are in every text, and looked for as a whole one
        return {secret}
    return {
        secret,
        secret.replace("'", "''"),
        secret.replace("\\", "\\\\").replace("'", "\\'"),
        secret.replace("\\", "\\\\").replace("'", "''"),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode(),
        # as the text of bytes is shown here
        secret.encode("utf-8", "surrogatepass").decode("latin-1"),
    }

