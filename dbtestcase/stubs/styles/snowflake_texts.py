"""Several statements in one text, as Snowflake takes them apart."""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import StubError
from ..expectations import NO_PARAMETERS
from ..statements import SNOWFLAKE, is_empty, pieces, shortened, split, verb

__all__ = ["COUNT", "cut", "interpolated", "session_settings", "shares", "statements"]

#: What a client may set to another number of statements in a text; 0 is any.
COUNT = "MULTI_STATEMENT_COUNT"

_ALTER = re.compile(r"\s*alter\s+session\s+set\b", re.I)
_SETTING = re.compile(r"(\w+)\s*=\s*'?(\w+)")
#: A BEGIN that begins no transaction, but a block of Snowflake's language.
_BLOCK = re.compile(r"\bbegin\b(?!\s*$|\s+(?:name|transaction|work)\b)", re.I)
_MARKS = {
    "pyformat": re.compile(r"%(?:%|(?P<place>s)|\((?P<name>[^)]*)\)s)"),
    "qmark": re.compile(r"(?P<place>\?)"),
    "numeric": re.compile(r"(?<![:\w]):(?P<number>\d+)"),
}


def cut(text: str, remove_comments: bool = False) -> list[str]:
    """Cut a script as the connector does, with its own function where it is installed."""
    try:
        theirs: Any = importlib.import_module("snowflake.connector.util_text")
    except ImportError:
        return [each for each in split(text) if not is_empty(each)]
    found = theirs.split_statements(io.StringIO(text), remove_comments)
    return [each for each, _ in found if each]


def statements(text: str, count: int) -> list[str]:
    """Give the statements of a text that is executed at once.

    >>> statements("select 1; select ';' // ;", 2)
    ['select 1', "select ';' // ;"]

    :param count: how many Snowflake was told of, 0 for any.
    :returns: the whole text where it is one.
    :raises ValueError: there are others than so many, in the words of Snowflake's.
    :raises StubError: a block of Snowflake's language is among them.
    """
    found = [each for each in split(text, SNOWFLAKE) if not is_empty(each, SNOWFLAKE)]
    if any(map(_is_of_block, found)):
        if count == 1:
            return [text]
        raise StubError(
            f'"{shortened(text, 80)}" was executed as several statements, and a stub does not '
            f"know where a block of Snowflake's language ends. Put the block into EXECUTE "
            f"IMMEDIATE $$...$$, or execute it by itself."
        )
    if count and found and len(found) != count:
        raise ValueError(
            f"Actual statement count {len(found)} did not match the desired statement count "
            f"{count}."
        )
    return found if len(found) > 1 else [text]


def _is_of_block(statement: str) -> bool:
    found = pieces(statement, SNOWFLAKE)
    return verb(statement) == "DECLARE" or any(
        _BLOCK.search(each) for each, is_verbatim in found if not is_verbatim
    )


def session_settings(text: str) -> dict[str, str]:
    """Give what a statement sets for its session, nothing for another statement.

    >>> session_settings("ALTER SESSION SET autocommit = false, multi_statement_count=0")
    {'AUTOCOMMIT': 'false', 'MULTI_STATEMENT_COUNT': '0'}
    """
    if verb(text) != "ALTER" or not _ALTER.match(text):
        return {}
    return {name.upper(): value for name, value in _SETTING.findall(text)}


def shares(texts: Sequence[str], params: Any, paramstyle: str) -> list[Any]:
    """Give each statement the parameters whose placeholders are in it.

    >>> shares(["select %s", "select 1", "select %s, %s"], (1, 2, 3), "pyformat")
    [[1], no parameters, [2, 3]]

    :param params: of all statements.
    :param paramstyle: PEP 249's word for the placeholders.
    """
    if params is None or params is NO_PARAMETERS:
        return [NO_PARAMETERS] * len(texts)
    mark = _MARKS["pyformat" if paramstyle == "format" else paramstyle]
    given: list[Any] = []
    taken = 0
    for text in texts:
        # what the connector puts into the text itself it puts into strings, too
        in_all = paramstyle in ("format", "pyformat")
        searched = text
        if not in_all:
            searched = "".join(each for each, verbatim in pieces(text, SNOWFLAKE) if not verbatim)
        found = [each.groupdict() for each in mark.finditer(searched)]
        names = {each["name"]: params[each["name"]] for each in found if each.get("name")}
        count = sum(each.get("place") is not None for each in found)
        if isinstance(params, Mapping):
            given.append(names)
        elif any(each.get("number") for each in found):
            given.append(params)
        else:
            given.append(list(params[taken : taken + count]))
            taken += count
    if not isinstance(params, Mapping) and paramstyle != "numeric" and taken < len(params):
        # what is too much the server refuses, and no expectation has
        given[-1] = [*given[-1], *params[taken:]]
    return [each or NO_PARAMETERS for each in given]


def interpolated(text: str, params: Any) -> str:
    """Give a statement with its parameters in it, where the connector is installed.

    :param params: that the connector puts into the text itself.
    """
    if params is None:
        return text
    try:
        # no public name of the connector's leads to it without a server
        theirs: Any = importlib.import_module("snowflake.connector._internal.binding_converters")
    except ImportError:
        return text
    return str(theirs.ClientSideBindingConverter.interpolate_query(text, params))
