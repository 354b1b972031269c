"""The budgets of the code: sizes, depth, names and docstrings. What ruff can check stands in pyproject.toml."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator

import pytest

from tests.architecture.sources import PRODUCT, Function, Source, sources

MOST_FILE_LINES = 600
P90_FILE_LINES = 400
MOST_FUNCTION_LINES = 60
P90_FUNCTION_LINES = 30
MEDIAN_FUNCTION_LINES = 10
MOST_NESTING = 3
NO_NOUNS = frozenset({"utils", "util", "helpers", "helper", "common", "misc"})

BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.Match)
"""What nests. A `with` opens no branch."""

EVERYTHING = (*PRODUCT, *sources("tests", "benchmarks"))


def body_lines(function: Function) -> int:
    """Lines from the first statement to the last: a signature is no logic."""
    return (function.end_lineno or 0) - function.body[0].lineno + 1


def p90(values: list[int]) -> int:
    """The value that nine in ten do not exceed."""
    return sorted(values)[int(0.9 * len(values))]


@pytest.mark.parametrize("source", EVERYTHING, ids=str)
def test_no_file_is_long(source: Source) -> None:
    assert source.lines <= MOST_FILE_LINES


def test_nine_in_ten_files_are_short() -> None:
    assert p90([s.lines for s in PRODUCT]) <= P90_FILE_LINES


def test_functions_are_short() -> None:
    sizes = {f"{s}: {f.name}": body_lines(f) for s in PRODUCT for f in s.functions()}
    assert {name: size for name, size in sizes.items() if size > MOST_FUNCTION_LINES} == {}
    assert p90(list(sizes.values())) <= P90_FUNCTION_LINES
    assert statistics.median(sizes.values()) <= MEDIAN_FUNCTION_LINES


def test_nothing_is_nested_deeply() -> None:
    deep = {f"{s}: {f.name}": depth(f) for s in PRODUCT for f in s.functions() if depth(f) > MOST_NESTING}
    assert deep == {}


@pytest.mark.parametrize("source", EVERYTHING, ids=str)
def test_every_file_is_named_after_a_noun(source: Source) -> None:
    assert not NO_NOUNS.intersection((*source.path.parts, source.path.stem))


@pytest.mark.parametrize("source", PRODUCT, ids=str)
def test_every_module_and_public_name_has_a_docstring(source: Source) -> None:
    assert ast.get_docstring(source.tree), "the module says what it decides"
    assert [name for name, docstring in public_docstrings(source.tree) if not docstring] == []


def test_no_public_function_takes_a_boolean() -> None:
    """Two functions, an enum or a policy. Commands are told by click: their flags are the user's."""
    found = [
        f"{s}: {f.name}({argument.arg})"
        for s in PRODUCT
        if s.path.parent.name != "cli"
        for f in public_functions(s.tree)
        for argument in (*f.args.args, *f.args.kwonlyargs)
        if argument.annotation is not None and ast.unparse(argument.annotation) == "bool"
    ]
    assert found == []


def depth(node: ast.AST, at: int = 0) -> int:
    """How deep branches and loops lie in one another; an `elif` is no deeper than its `if`."""
    deepest = at
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (Function, ast.ClassDef, ast.Lambda)):
            continue
        elif_ = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        deepest = max(deepest, depth(child, at + (isinstance(child, BRANCHES) and not elif_)))
    return deepest


def public_functions(tree: ast.Module) -> Iterator[Function]:
    """Functions of the module and methods of its public classes that others may call."""
    classes = (n for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_"))
    for body in (tree.body, *(c.body for c in classes)):
        yield from (n for n in body if isinstance(n, Function) and not n.name.startswith("_"))


def public_docstrings(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """Public classes and functions with their docstrings."""
    classes = (n for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_"))
    for named in (*classes, *public_functions(tree)):
        yield named.name, ast.get_docstring(named)
