"""The door for third parties: what it names is there, says what it is, and is all that our own plugins use."""

from __future__ import annotations

import ast
import inspect

import pytest

import hetops.plugin
from hetops.plugin import hookspecs
from tests.architecture.sources import Source, sources


def test_every_name_of_the_door_is_there_once() -> None:
    names = hetops.plugin.__all__
    assert sorted(set(names)) == sorted(names)
    assert [name for name in names if not hasattr(hetops.plugin, name)] == []


def test_every_class_and_function_of_the_door_says_what_it_is() -> None:
    things = {name: getattr(hetops.plugin, name) for name in hetops.plugin.__all__}
    described = {n for n, t in things.items() if inspect.isclass(t) or inspect.isfunction(t)}
    assert [n for n in described if not inspect.getdoc(things[n])] == []


@pytest.mark.parametrize("source", sources("plugins"), ids=str)
def test_a_plugin_imports_hetops_through_the_door_alone(source: Source) -> None:
    modules = {
        node.module or ""
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hetops"
    } | {
        alias.name
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name.split(".")[0] == "hetops"
    }
    assert modules <= {"hetops.plugin", "hetops.plugin.testing"}


def test_every_hook_only_registers_and_says_what() -> None:
    hooks = {n: h for n, h in vars(hookspecs).items() if n.startswith("register_")}
    assert hooks.keys() >= {"register_providers", "register_engines", "register_gpu_types", "register_models"}
    for hook in hooks.values():
        assert inspect.getdoc(hook)
        assert not inspect.signature(hook).parameters, "a hook gets nothing and does nothing"
