"""What a statement of SQLite is, as far as its text tells.

SQLite's comments do not nest, its names come in four kinds of quotes, and its settings are
PRAGMAs. Which tables a statement reads and writes is not taken from the text: SQLite tells.
"""

from __future__ import annotations

import functools
import itertools
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from ..statements import Control, Statement

__all__ = ["Pragma", "SQLiteStatement", "analyse", "keep_others", "normal", "split_script"]


@dataclass(frozen=True, slots=True)
class Pragma:
    """A PRAGMA that changes a setting of its connection.

    :param name: in small letters.
    :param value: as :func:`normal` gives it.
    """

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class SQLiteStatement(Statement):
    """What is known of one text.

    :param dml: whether sqlite3 sends a BEGIN before it, in its legacy mode.
    :param malformed: transaction control that is not understood, and must not be sent.
    :param alone: nothing but comments follows the first statement.
    :param ends_transaction: ``INSERT OR ROLLBACK``: an error ends the whole transaction.
    """

    dml: bool = False
    malformed: bool = False
    alone: bool = True
    ends_transaction: bool = False
    pragma: Pragma | None = None


_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*.*?(?:\*/|\Z))
    | (?P<string> '(?:[^']|'')*')
    | (?P<name> "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] | [A-Za-z_\x80-\U0010ffff][\w$]*)
    | (?P<other> \S)
    """,
    re.VERBOSE | re.DOTALL,
)

_DML = {"INSERT", "UPDATE", "DELETE", "REPLACE"}
_DDL = {"CREATE", "ALTER", "DROP", "REINDEX", "ANALYZE"}
_CONTROL = {"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"}

#: What takes an argument without being a setting.
_QUESTIONS = {
    "foreign_key_check", "foreign_key_list", "incremental_vacuum", "index_info", "index_list",
    "index_xinfo", "integrity_check", "optimize", "quick_check", "table_info", "table_list",
    "table_xinfo", "wal_checkpoint",
}  # fmt: skip
#: What is no setting of a connection but content of the database.
_CONTENT = {"application_id", "schema_version", "user_version"}

_SYNONYMS = {"on": "1", "yes": "1", "true": "1", "off": "0", "no": "0", "false": "0"}
_LEVELS = {
    "synchronous": {"normal": "1", "full": "2", "extra": "3"},
    "temp_store": {"default": "0", "file": "1", "memory": "2"},
    "auto_vacuum": {"none": "0", "full": "1", "incremental": "2"},
}


def unquote(name: str) -> str:
    """Give a name without its quotes.

    >>> unquote('"a ""b"'), unquote("[a]"), unquote("A")
    ('a "b', 'a', 'A')
    """
    if name[0] == "[":
        return name[1:-1]
    if name[0] in "\"'`":
        return name[1:-1].replace(name[0] * 2, name[0])
    return name


def normal(name: str, value: str) -> str:
    """Give a PRAGMA's value in the one spelling by which two are compared.

    >>> normal("foreign_keys", "ON"), normal("synchronous", "normal"), normal("cache_size", "-200")
    ('1', '1', '-200')
    """
    value = unquote(value).lower() if value else value
    return _LEVELS.get(name, {}).get(value, _SYNONYMS.get(value, value))


def _first(text: str) -> tuple[list[str], bool]:
    """Give the tokens of the first statement, and whether another follows."""
    tokens: list[str] = []
    ended = False
    for found in _TOKEN.finditer(text):
        if found.lastgroup == "comment":
            continue
        if found[0] == ";":
            ended = ended or bool(tokens)
        elif ended:
            return tokens, True
        else:
            tokens.append(found[0])
    return tokens, False


@functools.lru_cache(maxsize=4096)
def analyse(text: str) -> SQLiteStatement:
    """Say what *text* is.

    >>> analyse("/* at last */ commit -- transaction").control
    <Control.COMMIT: 'commit'>
    >>> analyse("PRAGMA foreign_keys = ON").pragma
    Pragma(name='foreign_keys', value='1')
    """
    tokens, more = _first(text)
    verb = tokens[0].upper() if tokens else ""
    if verb in _CONTROL:
        # the driver refuses several statements in one text before it sends anything
        return _control(verb, tokens) if not more else SQLiteStatement(verb, alone=False)
    words = frozenset(unquote(token).lower() for token in tokens)
    upper = [token.upper() for token in tokens] if "rollback" in words else []
    return SQLiteStatement(
        verb=verb,
        writes=verb in _DML or verb in _DDL or (verb == "WITH" and not words.isdisjoint(_WRITES)),
        ddl=verb in _DDL,
        words=words,
        dml=verb in _DML,
        alone=not more,
        ends_transaction=verb != "CREATE"
        and any(pair == ("OR", "ROLLBACK") for pair in itertools.pairwise(upper)),
        pragma=_pragma(tokens) if verb == "PRAGMA" else None,
    )


_WRITES = {"insert", "update", "delete", "replace"}


def _control(verb: str, tokens: list[str]) -> SQLiteStatement:
    rest = tokens[1:]

    def skip(*words: str) -> str:
        if rest and rest[0].upper() in words:
            return rest.pop(0).upper()
        return ""

    isolation, name = None, ""
    match verb:
        case "BEGIN":
            control = Control.BEGIN
            isolation = skip("DEFERRED", "IMMEDIATE", "EXCLUSIVE") or None
        case "SAVEPOINT":
            control = Control.SAVEPOINT
        case "RELEASE":
            control = Control.RELEASE
            if len(rest) > 1:
                skip("SAVEPOINT")
        case "ROLLBACK":
            control = Control.ROLLBACK
        case _:
            control = Control.COMMIT
    if control in (Control.BEGIN, Control.COMMIT, Control.ROLLBACK):
        skip("TRANSACTION")
        if control is Control.ROLLBACK and skip("TO"):
            control = Control.ROLLBACK_TO
            if len(rest) > 1:
                skip("SAVEPOINT")
    if control in (Control.SAVEPOINT, Control.RELEASE, Control.ROLLBACK_TO):
        if len(rest) != 1:
            return SQLiteStatement(verb, malformed=True)
        name = unquote(rest.pop())
    if rest:
        return SQLiteStatement(verb, malformed=True)
    return SQLiteStatement(verb, control, name=name, isolation=isolation)


def _pragma(tokens: list[str]) -> Pragma | None:
    rest = tokens[1:]
    if len(rest) > 2 and rest[1] == ".":
        rest = rest[2:]
    if len(rest) < 3 or rest[1] not in "=(":
        return None
    name = unquote(rest[0]).lower()
    if name in _QUESTIONS or name in _CONTENT:
        return None
    return Pragma(name, normal(name, "".join(rest[2:]).rstrip(")")))


def split_script(script: str) -> Iterator[str]:
    """Give the single statements of a script, as SQLite itself tells where they end.

    >>> list(split_script("INSERT INTO t VALUES (';'); -- one;\\nCOMMIT"))
    ["INSERT INTO t VALUES (';');", ' -- one;\\nCOMMIT']
    """
    part = ""
    for piece in re.split(r"(?<=;)", script):
        part += piece
        if sqlite3.complete_statement(part):
            yield part
            part = ""
    if part.strip():
        yield part


def keep_others(text: str) -> str:
    """Let an error undo the statement only, where it would end the whole transaction.

    >>> keep_others("INSERT OR /* all */ ROLLBACK INTO t VALUES ('or rollback')")
    "INSERT OR /* all */ ABORT INTO t VALUES ('or rollback')"
    """
    before = ""
    for found in _TOKEN.finditer(text):
        if found.lastgroup == "comment":
            continue
        word = found[0].upper()
        if (before, word) == ("OR", "ROLLBACK"):
            return f"{text[: found.start()]}ABORT{text[found.end() :]}"
        before = word
    return text
