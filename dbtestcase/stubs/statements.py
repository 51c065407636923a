"""When two texts of SQL are the same statement, and where one statement ends.

>>> canonical("select  Name from users;") == canonical("SELECT Name\\n  FROM users")
True
>>> canonical("select Name from users") == canonical("select name from users")
False
"""

from __future__ import annotations

import functools
import re

__all__ = ["canonical", "is_empty", "pieces", "shortened", "split", "verb"]

_TOKEN = re.compile(
    r"""
      (?P<verbatim> '(?:[^']|'')*'                  # a string
                  | "(?:[^"]|"")*"                  # a quoted name
                  | `[^`]*`                         # one of MySQL's
                  | (?P<tag>\$[A-Za-z_]*\$).*?(?P=tag) )  # a string of PostgreSQL's or Snowflake's
    | (?P<comment>  --[^\n]* | /\*.*?\*/ )
    | (?P<word>     [^\W\d]\w* )
    | (?P<number>   \d+(?:\.\d+)?(?:[eE][+-]?\d+)? | \.\d+ )
    | (?P<space>    \s+ )
    | (?P<other>    . )
    """,
    re.X | re.S,
)

#: Words whose case means nothing: those of SQL itself, and functions that everybody uses.
_WORDS = """
    abs add all alter analyze and any array as asc at autocommit avg begin between bigint boolean
    both by call cascade case cast char check coalesce collate column comment commit concat
    conflict constraint copy count create cross current current_date current_time
    current_timestamp current_user cursor database date datetime day dec decimal declare default
    deferrable delete dense_rank desc describe distinct do double drop each else end escape except
    execute exists explain extract false fetch file first float for foreign format from full
    function grant group grouping having hour if ignore ilike in index inner insert int integer
    intersect interval into is isolation join json jsonb key last lateral lead left length level
    like limit list local lock lower materialized max merge min minute month natural next no not
    nothing now null nullif nulls numeric of offset on only or order outer over overwrite partition
    pivot precision prepare preceding primary procedure put qualify range rank read real recursive
    references release rename replace returning returns revoke right role rollback round row
    row_number rows savepoint schema second select sequence serial session set show smallint some
    stage start substr substring sum table temp temporary text then time timestamp to top
    transaction transient trigger trim true truncate type unbounded union unique unpivot update
    upper use user using vacuum values varchar variant view warehouse when where window with work
    write year
"""
_KEYWORDS = frozenset(_WORDS.split())


def canonical(text: str) -> str:
    """Give what all texts of a statement have in common that differ in nothing that counts.

    What does not count is white space, the letter case of keywords and semicolons at the end.
    Strings, quoted names and comments are kept as they stand.

    :param text: of one statement.
    """
    # long ones are computed anew each time, so that nothing keeps hold of them
    return _canonical(text) if len(text) <= 4096 else _canonical.__wrapped__(text)


@functools.lru_cache(maxsize=1024)
def _canonical(text: str) -> str:
    tokens = []
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "space":
            continue
        token = match[0]
        if match.lastgroup == "word" and (lower := token.lower()) in _KEYWORDS:
            token = lower
        elif match.lastgroup == "comment":
            # without its end the rest of the line would be in it
            token = token.rstrip() + "\n"
        tokens.append(token)
    while tokens and tokens[-1] == ";":
        tokens.pop()
    return " ".join(tokens)


def split(text: str) -> list[str]:
    """Cut a script into its statements, without their semicolons.

    >>> split("select ';'; select 2; ")
    ["select ';'", 'select 2']

    :param text: statements with semicolons between them.
    """
    found, current = [], ""
    for match in _TOKEN.finditer(text):
        if match[0] == ";":
            found.append(current)
            current = ""
        else:
            current += match[0]
    return [each.strip() for each in (*found, current) if each.strip()]


def is_empty(text: str) -> bool:
    """Tell whether there is nothing but white space, comments and semicolons.

    >>> is_empty(" -- nothing\\n;"), is_empty("select 1")
    (True, False)

    :param text: of statements.
    """
    # nearly all begin with a letter
    return not text[:1].isalpha() and all(
        match.lastgroup in ("space", "comment") or match[0] == ";"
        for match in _TOKEN.finditer(text)
    )


def verb(text: str) -> str:
    """Give the first word of a statement, in capitals.

    >>> verb("  -- all\\n select 1")
    'SELECT'

    :param text: of a statement.
    """
    # long ones begin as they do without their end
    return _verb(text[:1000])


@functools.lru_cache(maxsize=1024)
def _verb(text: str) -> str:
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "word":
            return match[0].upper()
        if match.lastgroup not in ("space", "comment") and match[0] != "(":
            break
    return ""


def shortened(value: object, limit: int = 300) -> str:
    """Show a value in a message: on one line, and not for pages.

    >>> shortened("select 1\\n  from dual"), shortened(("x" * 9,), 5)
    ('select 1 from dual', "('xxx… (14 characters)")

    :param value: a text, which is shown as it stands, or anything else, which is shown as Python
        writes it.
    :param limit: how many characters are shown.
    """
    if isinstance(value, str):
        text = " ".join(value.split())
    else:
        try:
            text = repr(value)
        except Exception as error:  # what a test gives may be anything
            text = f"<{type(value).__name__}, whose repr() raises {type(error).__name__}>"
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def pieces(text: str) -> list[tuple[str, bool]]:
    """Cut a statement into what is SQL and what is a string, a quoted name or a comment.

    >>> pieces("select '%s', %s")
    [('select ', False), ("'%s'", True), (', %s', False)]

    :param text: of a statement.
    :returns: pairs of a piece and whether it is to be left as it stands.
    """
    found: list[tuple[str, bool]] = []
    for match in _TOKEN.finditer(text):
        verbatim = match.lastgroup in ("verbatim", "comment")
        if found and not verbatim and not found[-1][1]:
            found[-1] = (found[-1][0] + match[0], False)
        else:
            found.append((match[0], verbatim))
    return found
