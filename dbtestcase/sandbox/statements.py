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

from .quick import plain_members
from .texts import NAME, fold, is_unambiguous, skeleton, split, words_of

__all__ = [
    "Control",
    "Setting",
    "Statement",
    "analyse",
]


@plain_members
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
    :param writes: a hint only, see the module.
    :param defines: it may change the schema, even where it only runs what does.
    :param hides_setting: it sets something whose name, or whose end, the text does not tell.
    :param prepared: the prepared statement that PREPARE, EXECUTE or DEALLOCATE names, or ``all``.
    :param unambiguous: the server finds its names and strings where they are found here.
    :param renders: its parameters may decide what it is: analyse the text that they give.
    :param shows_isolation: it asks for the isolation level of the transaction.
    :param locks: it locks a table, or rows that it reads.
    :param may_only_read: nothing in the text writes, unless a function, a view or an operator does.
    :param may_delete: rows are deleted by the text, or it is of a kind that may do anything.
    :param plain: it reads or writes rows, and nothing else here is said of it: of two such
        statements of one connection, the second needs nothing to be asked or noted.
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
    defines: bool = False
    settings: tuple[Setting, ...] = ()
    sets_constraints: bool = False
    advisory: bool = False
    impatient: bool = False
    locks: bool = False
    on_conflict: bool = False
    temporary: str | None = None
    on_commit: str | None = None
    cursor: CursorUse | None = None
    prepared: str | None = None
    words: frozenset[str] = frozenset()
    unambiguous: bool = False
    hides_setting: bool = False
    renders: bool = False
    shows_isolation: bool = False
    may_only_read: bool = False
    may_delete: bool = True
    plain: bool = False


# What these are is told by their first word, whatever the parameters.
_TOLD = {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "VALUES", "COPY", "TABLE"}
_PLAIN = {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "VALUES", "TABLE"}
_WRITING = {"INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "REPLACE"}
_READING = {"SELECT", "WITH", "VALUES", "TABLE", "SHOW"}
_WRITING_WORDS = {"insert", "update", "delete", "merge", "into", "share"}
_KEEPING = {"SELECT", "INSERT", "UPDATE", "WITH", "VALUES", "TABLE", "COPY"}
_DDL = {"CREATE", "ALTER", "DROP", "TRUNCATE", "GRANT", "REVOKE", "COMMENT", "REINDEX", "REFRESH"}
_DEFINING = {"DO", "CALL", "IMPORT", "SECURITY"}

_VERBS = re.compile(r"\(*\s*(\w*)\s*(\w*)")
_SAVEPOINT = re.compile(rf"SAVEPOINT\s*{NAME}", re.I)
_RELEASE = re.compile(rf"RELEASE\s*(?:SAVEPOINT\b\s*)?{NAME}", re.I)
_ROLLBACK_TO = re.compile(
    rf"(?:ROLLBACK|ABORT)(?:\s+(?:WORK|TRANSACTION))?\s+TO\s*(?:SAVEPOINT\b\s*)?{NAME}", re.I
)
_SET = re.compile(
    rf"SET\s+(?:(?P<scope>LOCAL|SESSION)\s+)?(?P<name>TIME\s+ZONE|ROLE|{NAME}(?:\.\w+)?)", re.I
)
_RESET = re.compile(rf"RESET\s+(?P<name>SESSION\s+AUTHORIZATION|{NAME}(?:\.\w+)?)", re.I)
_SET_CONFIG = re.compile(r"\bset_config\s*\(", re.I)
_LITERAL_NAME = re.compile(r"\s*'([\w.]+)'(?:::\w+)?\s*\Z")
_LITERAL_FLAG = re.compile(r"\s*'?(true|t|on|yes|1|false|f|off|no|0)'?(?:::bool\w*)?\s*\Z", re.I)
_TRUE = {"true", "t", "on", "yes", "1"}
_TEMPORARY = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:LOCAL\s+|GLOBAL\s+)?"
    r"(?:TEMP(?:ORARY)?\s+(?:RECURSIVE\s+)?(?:TABLE|VIEW|SEQUENCE)\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    r"(?:pg_temp\.)?|(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?pg_temp\.)" + NAME,
    re.I,
)
_INTO_TEMPORARY = re.compile(
    rf"\bINTO\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP(?:ORARY)?\s+(?:TABLE\s+)?(?:pg_temp\.)?{NAME}", re.I
)
_CHAIN = re.compile(r"\bAND\s+(NO\s+)?CHAIN\Z", re.I)
_SHOW_ISOLATION = re.compile(
    r"SHOW\s+(?:TRANSACTION\s+ISOLATION\s+LEVEL|transaction_isolation)\Z", re.I
)
_PREPARED = re.compile(rf"(?:PREPARE|EXECUTE|DEALLOCATE(?:\s+PREPARE\b)?)\s*{NAME}", re.I)
_ON_COMMIT = re.compile(r"ON\s+COMMIT\s+(DROP|DELETE)", re.I)
_DECLARE = re.compile(rf"DECLARE\s+{NAME}", re.I)
_CURSOR_USE = re.compile(rf"(FETCH|MOVE|CLOSE)\b.*?{NAME}\s*;?\s*$", re.I | re.S)
_ISOLATION = re.compile(
    r"ISOLATION\s+LEVEL\s+(SERIALIZABLE|REPEATABLE\s+READ|READ\s+COMMITTED|READ\s+UNCOMMITTED)",
    re.I,
)
_SET_TRANSACTION = re.compile(r"SET\s+(?:LOCAL\s+)?TRANSACTION\s+(?!SNAPSHOT)", re.I)
_READ_ONLY = re.compile(r"\bREAD\s+(ONLY|WRITE)\b", re.I)
_LOCKS = re.compile(r"\bFOR\s+(?:UPDATE|SHARE|NO\s+KEY|KEY\s+SHARE)\b", re.I)
_IMPATIENT = re.compile(r"\bNOWAIT\b|\bSKIP\s+LOCKED\b", re.I)
_DELETES = re.compile(r"\b(?:DELETE|MERGE)\b", re.I)
_ON_CONFLICT = re.compile(r"\bON\s+CONFLICT\b", re.I)
_SPELT_OTHERWISE = {
    "time": "timezone",
    "authorization": "session_authorization",
    "session": "session_authorization",
    "names": "client_encoding",
    "schema": "search_path",
    "xml": "xmloption",
}


def _setting_names(text: str) -> tuple[str, ...]:
    first = text.split()[0].lower()
    if first == "characteristics":
        return "default_transaction_isolation", "default_transaction_read_only"
    return (_SPELT_OTHERWISE.get(first) or first.replace('"', ""),)


#: Texts longer than this are one of a kind, as batches of rows are: they are not kept.
_WORTH_KEEPING = 4096


def analyse(text: str) -> Statement:
    """Say what *text* is.

    >>> analyse("/* at last */ COMMIT").control
    <Control.COMMIT: 'commit'>
    >>> analyse("INSERT INTO t VALUES (1); COMMIT").parts
    ('INSERT INTO t VALUES (1)', ' COMMIT')
    """
    return _kept(text) if len(text) <= _WORTH_KEEPING else _analyse(text)


def _analyse(text: str) -> Statement:
    parts = split(text)
    if len(parts) > 1:
        several = [analyse(part) for part in parts]
        if any(s.control for s in several):
            return Statement(verb=several[0].verb, parts=parts)
        return _joined(several)
    return _single(parts[0] if parts else "")


_kept = functools.lru_cache(maxsize=4096)(_analyse)


def _joined(several: list[Statement]) -> Statement:
    """Say of several statements in one text what is true of any of them."""
    # what outlives the text is told by its own verb
    first = next((s for s in several if s.prepared), several[0])
    return Statement(
        verb=first.verb,
        writes=any(s.writes for s in several),
        ddl=any(s.ddl for s in several),
        defines=any(s.defines for s in several),
        settings=tuple(setting for s in several for setting in s.settings),
        sets_constraints=any(s.sets_constraints for s in several),
        advisory=any(s.advisory for s in several),
        impatient=any(s.impatient for s in several),
        locks=any(s.locks for s in several),
        on_conflict=any(s.on_conflict for s in several),
        temporary=next((s.temporary for s in several if s.temporary), None),
        on_commit=next((s.on_commit for s in several if s.on_commit), None),
        cursor=next((s.cursor for s in several if s.cursor), None),
        prepared=first.prepared,
        words=frozenset().union(*(s.words for s in several)),
        hides_setting=any(s.hides_setting for s in several),
        renders=any(s.renders for s in several),
    )


def _single(text: str) -> Statement:
    plain = skeleton(text).rstrip("; \t\r\n")
    first = _VERBS.match(plain)
    verb, second = (first[1].upper(), first[2].upper()) if first else ("", "")
    if (control := _control(plain, verb, second)) is not None:
        return control
    upper = plain.upper()
    ddl = verb in _DDL
    temporary = _TEMPORARY.match(plain) if verb == "CREATE" else _INTO_TEMPORARY.search(plain)
    settings = _settings(text, plain, verb, second)
    on_commit = _ON_COMMIT.search(plain) if temporary else None
    words = words_of(plain)
    locks = verb == "LOCK" or _LOCKS.search(plain) is not None
    advisory = "ADVISORY" in upper
    unambiguous = is_unambiguous(text, plain)
    return Statement(
        verb=verb,
        writes=ddl or verb in _WRITING,
        ddl=ddl and temporary is None,
        defines=ddl or temporary is not None or verb in _DEFINING,
        settings=tuple(setting for setting in settings if setting is not None),
        sets_constraints=verb == "SET" and second == "CONSTRAINTS",
        advisory=advisory,
        impatient=_IMPATIENT.search(plain) is not None,
        locks=locks,
        on_conflict=_ON_CONFLICT.search(plain) is not None,
        temporary=fold(temporary[1]) if temporary else None,
        on_commit=on_commit[1].lower() if on_commit else None,
        cursor=_cursor(plain, verb),
        prepared=_prepared(plain, verb),
        words=words,
        unambiguous=unambiguous,
        hides_setting=None in settings,
        renders=verb not in _TOLD or "set_config" in plain.lower(),
        shows_isolation=verb == "SHOW" and _SHOW_ISOLATION.match(plain) is not None,
        may_only_read=verb in _READING
        and not settings
        and words.isdisjoint(_WRITING_WORDS)
        and unambiguous,
        plain=verb in _PLAIN
        and not (settings or temporary or locks or advisory)
        and words.isdisjoint(("setval", "set_config")),
        may_delete=_may_delete(plain, verb, words, temporary is not None),
    )


def _may_delete(plain: str, verb: str, words: frozenset[str], temporary: bool) -> bool:
    if temporary and verb == "CREATE":
        # the query that fills it may delete, and what its rows do ON COMMIT is its own affair
        return _DELETES.search(_ON_COMMIT.sub(" ", plain)) is not None
    return verb not in _KEEPING or not words.isdisjoint(("delete", "merge"))


def _control(plain: str, verb: str, second: str) -> Statement | None:
    chained = _CHAIN.search(plain)
    chain = chained is not None and chained[1] is None
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
    if begins or _SET_TRANSACTION.match(plain):
        isolation = _ISOLATION.search(plain)
        read_only = _READ_ONLY.search(_ISOLATION.sub(" ", plain))
        return Statement(
            verb,
            Control.BEGIN if begins else Control.SET_TRANSACTION,
            isolation=" ".join(isolation[1].upper().split()) if isolation else None,
            read_only=read_only[1].upper() == "ONLY" if read_only else None,
        )
    return None


def _settings(text: str, plain: str, verb: str, second: str) -> list[Setting | None]:
    """Give what is set; None stands for what the text does not tell."""
    found: list[Setting | None] = []
    if verb == "SET" and second != "CONSTRAINTS" and (match := _SET.match(plain)):
        local = (match["scope"] or "").upper() == "LOCAL"
        found += [Setting(name, local) for name in _setting_names(match["name"])]
    elif verb == "RESET" and (match := _RESET.match(plain)):
        if match["name"].upper() == "ALL":
            found.append(Setting(None))
        else:
            found += [Setting(name) for name in _setting_names(match["name"])]
    elif verb == "DISCARD" and second == "ALL":
        found.append(Setting(None))
    if "set_config" in plain.lower():
        found += [_set_config(text, call.end()) for call in _SET_CONFIG.finditer(text)]
    return found


def _set_config(text: str, start: int) -> Setting | None:
    arguments = _arguments(text, start)
    if len(arguments) != 3:
        return None
    name, flag = _LITERAL_NAME.match(arguments[0]), _LITERAL_FLAG.match(arguments[2])
    if name is None or flag is None:
        return None
    return Setting(name[1].lower(), flag[1].lower() in _TRUE)


_IN_A_CALL = re.compile(r"[eE]?'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[(),]")


def _arguments(text: str, start: int) -> list[str]:
    """Split the arguments of a call, whose bracket was opened before *start*."""
    arguments, begin, depth = [], start, 1
    for found in _IN_A_CALL.finditer(text, start):
        if found[0] == "(":
            depth += 1
        elif found[0] == ")":
            depth -= 1
        if depth == 0 or (depth == 1 and found[0] == ","):
            arguments.append(text[begin : found.start()])
            begin = found.end()
        if depth == 0:
            break
    return arguments


def _cursor(plain: str, verb: str) -> CursorUse | None:
    if verb == "DECLARE" and (found := _DECLARE.match(plain)):
        hold = re.search(r"\bWITH\s+HOLD\b", plain, re.I) is not None
        return CursorUse(verb, fold(found[1]), hold)
    if verb in ("FETCH", "MOVE", "CLOSE") and (found := _CURSOR_USE.match(plain)):
        return CursorUse(verb, fold(found[2]))
    return None


def _prepared(plain: str, verb: str) -> str | None:
    if verb in ("PREPARE", "EXECUTE", "DEALLOCATE") and (found := _PREPARED.match(plain)):
        return fold(found[1])
    return None
