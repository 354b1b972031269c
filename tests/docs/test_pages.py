"""No page says what the code does not. `make docs` writes anew what this finds stale."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hetops.cli.main import COMMANDS
from tests.docs.lines import too_long, wrapped
from tests.docs.pages import PARTS, ROOT, SCHEMAS, made, pages, parts_of, schemas, steady

STANDING = [(page, name) for page in pages() for name, _ in parts_of(page)]


@pytest.mark.parametrize("name", PARTS)
def test_every_part_that_can_be_made_stands_in_a_page(name: str) -> None:
    assert name in [standing for _, standing in STANDING]


@pytest.mark.parametrize(("page", "name"), STANDING, ids=lambda value: getattr(value, "name", value))
def test_no_part_is_stale(page: Path, name: str) -> None:
    (text,) = (text for standing, text in parts_of(page) if standing == name)
    assert steady(text) == steady(made(name)), "run: make docs"


def test_no_schema_is_stale() -> None:
    assert {path: path.read_text(encoding="utf-8") for path in SCHEMAS.glob("*.json")} == schemas(), (
        "run: make docs"
    )


PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)?(#[^)]+)?\)")
FILE = re.compile(
    r"`((?:hetops|plugins|stacks|templates|tests|benchmarks|examples|docs|requirements)/[\w./-]*)`"
)


def anchors(page: Path) -> set[str]:
    """The places in a page that can be linked to."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for file, place in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not place or place in anchors(target), f"{file}{place}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = FILE.findall(page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_line_of_prose_is_too_long_to_read(page: Path) -> None:
    assert too_long(page.read_text(encoding="utf-8")) == []


def test_prose_is_broken_at_words_and_never_in_code_or_before_what_would_begin_a_list() -> None:
    lines = [f"* {'a' * 117}", f"  `two words` {'b' * 113}", "  9 - c"]
    assert wrapped(" ".join(line.lstrip() for line in lines)).split("\n") == lines
    kept = f"| {'cell ' * 50}|\n\n```text\n{'code ' * 50}\n```"
    assert wrapped(kept) == kept


COMMAND = re.compile(r"(?:^ {4}|`)hetops ((?!-)[a-z]+)", re.MULTILINE)
TARGET = re.compile(r"(?:^ {4}|`)make ([a-z-]+)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_target_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    (targets,) = re.findall(
        r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert set(COMMAND.findall(text)) <= set(COMMANDS)
    assert set(TARGET.findall(text)) <= set(targets.split())


def test_the_readme_is_short() -> None:
    hand = re.sub(
        r"<!-- made from the code.*?<!-- end -->", "", PAGES[0].read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert len(hand.splitlines()) <= 150
