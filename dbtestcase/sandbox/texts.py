"""Texts of SQL, cut into tokens, statements, names and words.

A semicolon, a quote or a word means something only outside strings and comments: what is looked
for in a text is looked for in its :func:`skeleton`.
"""

from __future__ import annotations

import re

__all__ = [
    "LONGEST_NAME",
    "NAME",
    "fold",
    "is_unambiguous",
    "skeleton",
    "split",
    "words_of",
]

#: How many bytes of a name the server keeps.
LONGEST_NAME = 63
#: The pattern of an identifier, quoted or not, as a group.
NAME = r'((?:U&)?"(?:[^"]|"")*"|[^\W\d][\w$]*)'

_TOKENS = r"""
      --[^\r\n]*                                  # a comment to the end of the line
    | (?P<comment> /\*)                           # a comment that may hold others
    | (?<![\w$]) [eE]'(?:[^'\\]|\\.|'')*'         # a string with escapes
    | (?P<string> '(?:[^']|'')*')
    | (?P<quoted> "(?:[^"]|"")*")
    | (?<![\w$]) \$(?P<tag>(?:[^\W\d]\w*)?)\$ .*? \$(?P=tag)\$
    | (?P<semicolon> ;)
    {word}
    """
_TOKEN = re.compile(_TOKENS.format(word=""), re.VERBOSE | re.DOTALL)
# Words are only looked at where they may say that a semicolon ends nothing.
_TOKEN_OR_WORD = re.compile(_TOKENS.format(word=r"| (?P<word> [^\W\d]\w*)"), re.VERBOSE | re.DOTALL)
_BLOCK = re.compile(r"\bCREATE\b.*\bBEGIN\b", re.IGNORECASE | re.DOTALL)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_WORDS = re.compile(r"\w+")
# a name whose letters may be written as numbers
_ESCAPED_NAME = re.compile(r'\bU&"', re.I)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_ANY_NAME = re.compile(rf"{_QUOTED.pattern}|[\w$]+")
_PLACEHOLDER = re.compile(r"%[(s]")


def _end_of_comment(text: str, start: int) -> int:
    depth, position = 1, start
    while depth:
        edge = _COMMENT_EDGE.search(text, position)
        if edge is None:
            return len(text)
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return position


def _scan(text: str) -> tuple[str, tuple[str, ...]]:
    """Give the text without comments and with empty strings, and its single statements."""
    plain: list[str] = []
    parts: list[str] = []
    position = start = 0
    first_word = ""
    depth = 0
    token = _TOKEN_OR_WORD if _BLOCK.search(text) else _TOKEN
    while (found := token.search(text, position)) is not None:
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


def fold(name: str) -> str:
    """Give an identifier as the server keeps it: small letters, unless it is quoted.

    >>> fold('Sp_1'), fold('"Sp ""1"')
    ('sp_1', 'Sp "1')
    """
    if name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name.lower()


def words_of(text: str) -> frozenset[str]:
    """Give the words of a text, or of a name, in small letters.

    >>> sorted(words_of('FROM "Order Lines"'))
    ['from', 'lines', 'order']
    """
    return frozenset(word.lower() for word in _WORDS.findall(text))


def is_unambiguous(text: str, plain: str) -> bool:
    """Whether the server finds the names and strings of *text* where they are found here.

    A backslash may keep a quote from ending its string, by settings and by what stands before; and
    what psycopg2 puts in place of a placeholder may end the string or comment in which it stands.

    :param plain: its :func:`skeleton`.
    """
    unquoted = _QUOTED.sub("", plain)
    return (
        "\\" not in text
        and len(_PLACEHOLDER.findall(text)) == len(_PLACEHOLDER.findall(unquoted))
        and _ESCAPED_NAME.search(plain) is None
        and all(len(name.encode()) <= LONGEST_NAME for name in _ANY_NAME.findall(plain))
    )
