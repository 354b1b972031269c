"""How long the lines of a page are. Decides where prose is broken; tables and blocks of code stay as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 200
"""Characters of a line of prose, at most."""
WIDTH = 130
"""Where lines that are made from the code are broken."""

_WORD = re.compile(r"(?:`[^`]*`|\S)+(?: (?:[-*+#>|=]+|\d+[.)])(?= |$))*")
"""With its code whole, and with what would mean something else at the beginning of a line."""
_ITEM = re.compile(r"\s*(?:[*+-]|\d+\.)?\s*")


def prose(text: str) -> Iterator[tuple[str, bool]]:
    """Every line, and whether it is prose: in no table, no block of code, no heading and no comment."""
    fenced = False
    for line in text.split("\n"):
        fenced ^= line.lstrip().startswith("```")
        yield line, not fenced and not line.startswith(("|", "    ", "#", "<!--", "```"))


def too_long(text: str) -> list[str]:
    """The lines of prose that nobody reads to their end."""
    return [line for line, is_prose in prose(text) if is_prose and len(line) > LONGEST]


def wrapped(text: str) -> str:
    """The text with its prose broken at words."""
    return "\n".join("\n".join(_broken(line)) if is_prose else line for line, is_prose in prose(text))


def _broken(line: str) -> Iterator[str]:
    """The line in parts; those of an item of a list stand below its first word."""
    item = _ITEM.match(line)
    indent = len(item.group()) if item else 0
    part = line[:indent]
    for word in _WORD.findall(line[indent:]):
        if len(part) > indent and len(part) + 1 + len(word) > WIDTH:
            yield part
            part = " " * indent
        part += " " * (len(part) > indent) + word
    yield part
