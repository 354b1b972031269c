"""The budgets of the code: sizes, depth, names and docstrings. What ruff can check stands in pyproject.toml."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator

from tests.architecture.sources import (
    PRODUCT,
    Function,
    Source,
    lines,
    paths,
    public_classes,
    public_functions,
)

MOST_FILE_LINES = 600
P90_FILE_LINES = 400
MOST_FUNCTION_LINES = 60
P90_FUNCTION_LINES = 30
MEDIAN_FUNCTION_LINES = 10
MOST_NESTING = 3
NO_NOUNS = frozenset({"utils", "util", "helpers", "helper", "common", "misc"})

BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.Match, ast.With, ast.AsyncWith)
"""What nests."""

EVERYTHING = (*PRODUCT, *paths("tests", "benchmarks"))


def body_lines(function: Function) -> int:
    """Lines from the first statement to the last: a signature is no logic."""
    return (function.end_lineno or 0) - function.body[0].lineno + 1


def p90(values: list[int]) -> int:
    """The value that nine in ten do not exceed."""
    return sorted(values)[int(0.9 * len(values))]


def test_no_file_is_long() -> None:
    sizes = {path: lines(path) for path in EVERYTHING}
    assert {path: size for path, size in sizes.items() if size > MOST_FILE_LINES} == {}


def test_nine_in_ten_files_are_short() -> None:
    assert p90([lines(path) for path in EVERYTHING]) <= P90_FILE_LINES


def test_functions_are_short(product: tuple[Source, ...]) -> None:
    sizes = {f"{s}: {f.name}": body_lines(f) for s in product for f in s.functions}
    assert {name: size for name, size in sizes.items() if size > MOST_FUNCTION_LINES} == {}
    assert p90(list(sizes.values())) <= P90_FUNCTION_LINES
    assert statistics.median(sizes.values()) <= MEDIAN_FUNCTION_LINES


def test_nothing_is_nested_deeply(product: tuple[Source, ...]) -> None:
    depths = {f"{s}: {f.name}": depth(f) for s in product for f in s.functions}
    assert {name: deep for name, deep in depths.items() if deep > MOST_NESTING} == {}


def test_every_file_is_named_after_a_noun() -> None:
    assert [path for path in EVERYTHING if NO_NOUNS.intersection((*path.parts, path.stem))] == []


def test_every_module_and_public_name_has_a_docstring(product: tuple[Source, ...]) -> None:
    assert [str(s) for s in product if not ast.get_docstring(s.tree)] == [], "the module says what it decides"
    assert [f"{s}: {name}" for s in product for name in undocumented(s.tree)] == []


def test_no_public_function_takes_a_boolean(product: tuple[Source, ...]) -> None:
    """Two functions, an enum or a policy. Commands are told by click: their flags are the user's."""
    found = [
        f"{s}: {f.name}({argument.arg})"
        for s in product
        if s.path.parent.name != "cli"
        for f in public_functions(s.tree)
        for argument in (*f.args.args, *f.args.kwonlyargs)
        if argument.annotation is not None and ast.unparse(argument.annotation) == "bool"
    ]
    assert found == []


def depth(node: ast.AST, at: int = 0) -> int:
    """How deep blocks lie in one another; an `elif` is an `if` within the `else` before it."""
    deepest = at
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (Function, ast.ClassDef, ast.Lambda)):
            continue
        deepest = max(deepest, depth(child, at + isinstance(child, BLOCKS)))
    return deepest


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Public classes and functions without a docstring."""
    named = (*public_classes(tree), *public_functions(tree))
    return (each.name for each in named if not ast.get_docstring(each))
