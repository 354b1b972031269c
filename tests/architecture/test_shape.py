"""Who may print, who may end the process, and what the import contracts must name."""

from __future__ import annotations

import ast
import tomllib
from typing import Any

from tests.architecture.sources import ROOT, Source

PROGRAMS = (
    "hetops/cli",
    "hetops/simulate/__main__.py",
    "hetops/node_provider/main.py",
    "plugins/hetops_local",
)
"""Programs of their own, which talk on their own streams."""

ENDINGS = frozenset({"print", "click.echo", "sys.exit", "exit"})
"""Calls that print or end the process."""

CONTRACTS: dict[str, dict[str, Any]] = {
    contract["name"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
}


def test_only_the_command_line_prints_or_exits(product: tuple[Source, ...]) -> None:
    found = [
        f"{s}:{node.lineno}: {ast.unparse(node.func)}"
        for s in product
        if not str(s).startswith(PROGRAMS)
        for node in ast.walk(s.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ENDINGS
    ]
    assert found == []


def test_the_rings_are_a_contract_that_knows_every_folder() -> None:
    rings = CONTRACTS["rings: cli > app > nouns > plugin > domain"]
    assert rings["type"] == "layers"
    assert rings["exhaustive"] is True, "a new folder must take its place in the rings"
    named = {name.strip() for layer in rings["layers"] for name in layer.split("|")}
    there = {p.stem for p in (ROOT / "hetops").iterdir() if (p / "__init__.py").exists() or p.suffix == ".py"}
    assert there - {"__init__"} <= named


def test_every_provider_is_held_to_the_public_door() -> None:
    door = CONTRACTS["providers use the public door only"]
    ours = {p.name for p in (ROOT / "plugins").glob("hetops_*") if p.is_dir()}
    assert set(door["source_modules"]) == ours
    nouns = {p.name for p in (ROOT / "hetops").iterdir() if (p / "__init__.py").exists()}
    closed = {name.removeprefix("hetops.") for name in door["forbidden_modules"]}
    assert nouns - {"plugin", "domain"} <= closed
