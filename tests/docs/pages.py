"""The parts of the documentation that are made from the code. `python -m tests.docs.pages` writes them anew.

A part stands in a page between `<!-- made from the code: NAME -->` and `<!-- end -->`; what is around it is written by
hand. A part that is not what the code says fails the tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from hetops.app.schema import formats, schema_of
from tests.docs import commands, fields, words
from tests.docs.lines import wrapped

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "docs" / "schemas"

PARTS: Mapping[str, Callable[[], str]] = {
    "plan": commands.plan,
    "commands": commands.reference,
    "exit codes": commands.exit_codes,
    "spec": fields.spec,
    "formats": fields.documents,
    "glossary": words.glossary,
    "hooks": words.hooks,
    "protocols": words.protocols,
    "promises": words.promises,
    "enumerations": words.enumerations,
    "providers": words.providers,
    "door": words.door,
    "pages": words.pages,
    "modules": words.modules,
}


_PART = re.compile(r"(?<=<!-- made from the code: )([a-z ]+)( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)

VOLATILE = (
    (re.compile(r"\d[\d,]* offers?\b"), "N offers"),  # the cores of this machine are offers too
    (re.compile(r"\d+\.\d\d s;"), "T s;"),
)
"""What of a plan depends on the machine: how many cores it offers and how fast it solves."""


def steady(text: str) -> str:
    """The text without what another machine would print otherwise."""
    for pattern, instead in VOLATILE:
        text = pattern.sub(instead, text)
    return text


def made(name: str) -> str:
    """A part as the code says it now."""
    return wrapped(PARTS[name]())


def pages() -> tuple[Path, ...]:
    """Every page that holds such a part."""
    found = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    return tuple(page for page in found if _PART.search(page.read_text(encoding="utf-8")))


def parts_of(page: Path) -> Iterator[tuple[str, str]]:
    """The parts that stand in a page now: name and text."""
    for found in _PART.finditer(page.read_text(encoding="utf-8")):
        yield found.group(1), found.group(3).strip("\n")


def schemas() -> dict[Path, str]:
    """The schema of every format as a file of its own."""
    return {
        SCHEMAS / f"{each.name.removeprefix('hetops.')}.json": json.dumps(schema_of(each.name), indent=2)
        + "\n"
        for each in formats()
    }


def main() -> None:
    """Writes every part and every schema."""
    parts = {name: made(name) for name in PARTS}
    for page in pages():
        text = page.read_text(encoding="utf-8")
        text = _PART.sub(lambda found: _renewed(found, parts[found.group(1)]), text)
        page.write_text(text, encoding="utf-8")
    SCHEMAS.mkdir(exist_ok=True)
    for stale in set(SCHEMAS.glob("*.json")) - schemas().keys():
        stale.unlink()
    for path, text in schemas().items():
        path.write_text(text, encoding="utf-8")


def _renewed(found: re.Match[str], part: str) -> str:
    """The part as it is made now; what differs only as machines do stays."""
    if steady(found.group(3).strip("\n")) == steady(part):
        return found.group()
    return f"{found.group(1)}{found.group(2)}\n{part}\n\n"


if __name__ == "__main__":
    main()
