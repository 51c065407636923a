"""What a statement is, as far as its text tells.

Only what a text *can* tell is taken from it: transaction control, names of savepoints, cursors
and settings. Whether a statement writes is asked of the database; :attr:`Statement.writes` is
a hint that decides in which order messages are sent, and never proves that something reads.

Every analysis is kept by its text, as an application sends the same few texts again and again.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass

__all__ = ["Control", "Setting", "Statement", "analyse", "skeleton", "split"]


class Control(enum.Enum):
    """The statements that steer a transaction, which the sandbox plays and never sends."""

    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    RELEASE = "release"
    ROLLBACK_TO = "rollback to"
    PREPARE = "prepare transaction"
    SET_TRANSACTION = "set transaction"


@dataclass(frozen=True, slots=True)
class Setting:
    """A session setting that a statement changes. Without a name it changes them all."""

    name: str | None
    local: bool = False


@dataclass(frozen=True, slots=True)
class CursorUse:
    """A server-side cursor that a statement names: ``DECLARE``, ``FETCH``, ``MOVE``, ``CLOSE``."""

    verb: str
    name: str
    hold: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """What is known of one text.

    :param verb: the first word in capitals; empty for a text of white space and comments.
    :param parts: the single statements, where there are several and one steers a transaction.
    :param name: of the savepoint that a :class:`Control` statement names, as the server folds it.
    :param chain: ``COMMIT AND CHAIN``.
    :param isolation: the isolation level that a BEGIN or SET TRANSACTION names, in capitals.
    :param read_only: what a BEGIN or SET TRANSACTION says about it, if it does.
    """

    verb: str
    control: Control | None = None
    parts: tuple[str, ...] = ()
    name: str = ""
    chain: bool = False
    isolation: str | None = None
    read_only: bool | None = None
    writes: bool = False
    ddl: bool = False
    settings: tuple[Setting, ...] = ()
    sets_constraints: bool = False
    advisory: bool = False
    impatient: bool = False
    locks_rows: bool = False
    on_conflict: bool = False
    temporary: str | None = None
    on_commit: str | None = None
    cursor: CursorUse | None = None
    words: frozenset[str] = frozenset()


_WRITING = {"INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "REPLACE"}
_DDL = {"CREATE", "ALTER", "DROP", "TRUNCATE", "GRANT", "REVOKE", "COMMENT", "REINDEX", "REFRESH"}

_OPAQUE = re.compile(
    r"""
      --[^\n]*                                    # a comment to the end of the line
    | (?P<comment> /\*)                           # a comment that may hold others
    | (?<![\w$]) [eE]'(?:[^'\\]|\\.|'')*'         # a string with escapes
    | (?P<string> '(?:[^']|'')*')
    | (?P<quoted> "(?:[^"]|"")*")
    | (?<![\w$]) \$(?P<tag>(?:[A-Za-z_]\w*)?)\$ .*? \$(?P=tag)\$
    | (?P<semicolon> ;)
    | (?P<word> [A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def _end_of_comment(text: str, start: int) -> int:
    depth, position = 1, start
    while depth:
        edge = _COMMENT_EDGE.search(text, position)
        if edge is None:
            return len(text)
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return position


@functools.lru_cache(maxsize=1024)
def _scan(text: str) -> tuple[str, tuple[str, ...]]:
    """Give the text without comments and with empty strings, and its single statements."""
    plain: list[str] = []
    parts: list[str] = []
    position = start = 0
    first_word = ""
    depth = 0
    while (found := _OPAQUE.search(text, position)) is not None:
        plain.append(text[position : found.start()])
        position = found.end()
        kind = found.lastgroup
        if kind == "comment":
            position = _end_of_comment(text, position)
            plain.append(" ")
        elif kind == "word":
            word = found[0].upper()
            plain.append(found[0])
            first_word = first_word or word
            # CREATE FUNCTION … BEGIN ATOMIC …; …; END and triggers of SQLite hold semicolons
            # that end nothing; an END in there is no COMMIT.
            if first_word == "CREATE":
                if word in ("BEGIN", "CASE"):
                    depth += 1
                elif word == "END" and depth:
                    depth -= 1
        elif kind == "quoted":
            plain.append(found[0])
        elif kind == "semicolon":
            plain.append(";")
            if not depth:
                parts.append(text[start : found.start()])
                start, first_word = position, ""
        else:
            plain.append(" " if found[0].startswith("--") else "''")
    plain.append(text[position:])
    parts.append(text[start:])
    return "".join(plain).strip(), tuple(part for part in parts if part.strip())


def skeleton(text: str) -> str:
    """Give *text* without comments, its strings emptied.

    >>> skeleton("SELECT 'a;b' /* why */ FROM t -- because")
    "SELECT ''   FROM t"
    """
    return _scan(text)[0]


def split(text: str) -> tuple[str, ...]:
    """Give the single statements of *text*.

    >>> split("INSERT INTO t VALUES (';'); COMMIT;")
    ("INSERT INTO t VALUES (';')", ' COMMIT')
    """
    return tuple(part for part in _scan(text)[1] if skeleton(part))


_NAME = r'("(?:[^"]|"")*"|[A-Za-z_][\w$]*)'
_SAVEPOINT = re.compile(rf"SAVEPOINT\s+{_NAME}", re.I)
_RELEASE = re.compile(rf"RELEASE\s+(?:SAVEPOINT\s+)?{_NAME}", re.I)
_ROLLBACK_TO = re.compile(
    rf"(?:ROLLBACK|ABORT)(?:\s+(?:WORK|TRANSACTION))?\s+TO\s+(?:SAVEPOINT\s+)?{_NAME}", re.I
)
_SET = re.compile(
    rf"SET\s+(?:(?P<scope>LOCAL|SESSION)\s+)?(?P<name>TIME\s+ZONE|ROLE|{_NAME}(?:\.\w+)?)", re.I
)
_RESET = re.compile(r"RESET\s+(?P<name>TIME\s+ZONE|ROLE|ALL|[\w.]+)", re.I)
_SET_CONFIG = re.compile(
    r"set_config\s*\(\s*'(?P<name>[\w.]+)'\s*,.*?,\s*(?P<local>\w+)\s*\)", re.I | re.S
)
_TEMPORARY = re.compile(
    rf"CREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP(?:ORARY)?\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    rf"(?:pg_temp\.)?{_NAME}",
    re.I,
)
_ON_COMMIT = re.compile(r"ON\s+COMMIT\s+(DROP|DELETE)", re.I)
_DECLARE = re.compile(rf"DECLARE\s+{_NAME}", re.I)
_CURSOR_USE = re.compile(rf"(FETCH|MOVE|CLOSE)\b.*?{_NAME}\s*;?\s*$", re.I | re.S)
_ISOLATION = re.compile(
    r"ISOLATION\s+LEVEL\s+(SERIALIZABLE|REPEATABLE\s+READ|READ\s+COMMITTED|READ\s+UNCOMMITTED)",
    re.I,
)
_READ_ONLY = re.compile(r"\bREAD\s+(ONLY|WRITE)\b", re.I)
_LOCKS = re.compile(r"\bFOR\s+(?:UPDATE|SHARE|NO\s+KEY|KEY\s+SHARE)\b", re.I)
_IMPATIENT = re.compile(r"\bNOWAIT\b|\bSKIP\s+LOCKED\b", re.I)
_ON_CONFLICT = re.compile(r"\bON\s+CONFLICT\b", re.I)
_WORDS = re.compile(r"\w+")


def fold(name: str) -> str:
    """Give an identifier as the server keeps it: small letters, unless it is quoted.

    >>> fold('Sp_1'), fold('"Sp ""1"')
    ('sp_1', 'Sp "1')
    """
    if name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name.lower()


_SPELT_OTHERWISE = {
    "time": "timezone",
    "authorization": "session_authorization",
    "characteristics": "default_transaction_isolation",
}


def _setting_name(text: str) -> str:
    first = text.split()[0]
    return _SPELT_OTHERWISE.get(first.lower(), fold(first))


@functools.lru_cache(maxsize=4096)
def analyse(text: str) -> Statement:
    """Say what *text* is.

    >>> analyse("/* at last */ COMMIT").control
    <Control.COMMIT: 'commit'>
    >>> analyse("INSERT INTO t VALUES (1); COMMIT").parts
    ('INSERT INTO t VALUES (1)', ' COMMIT')
    """
    parts = split(text)
    if len(parts) > 1:
        several = [analyse(part) for part in parts]
        if any(s.control for s in several):
            return Statement(verb=several[0].verb, parts=parts)
        return _joined(several)
    return _single(text)


def _joined(several: list[Statement]) -> Statement:
    """Say of several statements in one text what is true of any of them."""
    first = several[0]
    return Statement(
        verb=first.verb,
        writes=any(s.writes for s in several),
        ddl=any(s.ddl for s in several),
        settings=tuple(setting for s in several for setting in s.settings),
        sets_constraints=any(s.sets_constraints for s in several),
        advisory=any(s.advisory for s in several),
        impatient=any(s.impatient for s in several),
        locks_rows=any(s.locks_rows for s in several),
        on_conflict=any(s.on_conflict for s in several),
        temporary=next((s.temporary for s in several if s.temporary), None),
        on_commit=next((s.on_commit for s in several if s.on_commit), None),
        cursor=next((s.cursor for s in several if s.cursor), None),
        words=frozenset().union(*(s.words for s in several)),
    )


def _single(text: str) -> Statement:
    plain = skeleton(text).rstrip("; \t\r\n")
    words = plain.split(None, 4)
    verb = words[0].lstrip("(").upper() if words else ""
    second = words[1].upper() if len(words) > 1 else ""
    if (control := _control(plain, verb, second)) is not None:
        return control
    upper = plain.upper()
    ddl = verb in _DDL
    temporary = _TEMPORARY.match(plain) if verb == "CREATE" else None
    on_commit = _ON_COMMIT.search(plain) if temporary else None
    return Statement(
        verb=verb,
        writes=ddl or verb in _WRITING,
        ddl=ddl and temporary is None,
        settings=_settings(text, plain, verb, second),
        sets_constraints=verb == "SET" and second == "CONSTRAINTS",
        advisory="ADVISORY" in upper,
        impatient=_IMPATIENT.search(plain) is not None,
        locks_rows=_LOCKS.search(plain) is not None,
        on_conflict=_ON_CONFLICT.search(plain) is not None,
        temporary=fold(temporary[1]) if temporary else None,
        on_commit=on_commit[1].lower() if on_commit else None,
        cursor=_cursor(plain, verb),
        words=frozenset(word.lower() for word in _WORDS.findall(plain)),
    )


def _control(plain: str, verb: str, second: str) -> Statement | None:
    chain = plain.upper().endswith("CHAIN") and " NO CHAIN" not in plain.upper()
    if verb == "PREPARE" and second == "TRANSACTION":
        return Statement(verb, Control.PREPARE)
    if verb in ("COMMIT", "ROLLBACK") and second == "PREPARED":
        return Statement(verb, Control.PREPARE)
    if verb in ("COMMIT", "END"):
        return Statement(verb, Control.COMMIT, chain=chain)
    if verb in ("ROLLBACK", "ABORT"):
        if to := _ROLLBACK_TO.match(plain):
            return Statement(verb, Control.ROLLBACK_TO, name=fold(to[1]))
        return Statement(verb, Control.ROLLBACK, chain=chain)
    if verb == "SAVEPOINT" and (found := _SAVEPOINT.match(plain)):
        return Statement(verb, Control.SAVEPOINT, name=fold(found[1]))
    if verb == "RELEASE" and (found := _RELEASE.match(plain)):
        return Statement(verb, Control.RELEASE, name=fold(found[1]))
    begins = verb == "BEGIN" or (verb == "START" and second == "TRANSACTION")
    if begins or (verb == "SET" and second == "TRANSACTION"):
        isolation = _ISOLATION.search(plain)
        read_only = _READ_ONLY.search(_ISOLATION.sub(" ", plain))
        return Statement(
            verb,
            Control.BEGIN if begins else Control.SET_TRANSACTION,
            isolation=" ".join(isolation[1].upper().split()) if isolation else None,
            read_only=read_only[1].upper() == "ONLY" if read_only else None,
        )
    return None


def _settings(text: str, plain: str, verb: str, second: str) -> tuple[Setting, ...]:
    found = []
    if verb == "SET" and second != "CONSTRAINTS" and (match := _SET.match(plain)):
        local = (match["scope"] or "").upper() == "LOCAL"
        found.append(Setting(_setting_name(match["name"]), local))
    elif verb == "RESET" and (match := _RESET.match(plain)):
        name = None if match["name"].upper() == "ALL" else _setting_name(match["name"])
        found.append(Setting(name))
    elif verb == "DISCARD" and second == "ALL":
        found.append(Setting(None))
    if "set_config" in plain.lower():
        found += [
            Setting(match["name"].lower(), match["local"].lower() in ("true", "t", "on", "yes"))
            for match in _SET_CONFIG.finditer(text)
        ]
    return tuple(found)


def _cursor(plain: str, verb: str) -> CursorUse | None:
    if verb == "DECLARE" and (found := _DECLARE.match(plain)):
        hold = re.search(r"\bWITH\s+HOLD\b", plain, re.I) is not None
        return CursorUse(verb, fold(found[1]), hold)
    if verb in ("FETCH", "MOVE", "CLOSE") and (found := _CURSOR_USE.match(plain)):
        return CursorUse(verb, fold(found[2]))
    return None
