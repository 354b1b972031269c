"""The door for third parties: what it names is there, says what it is, and is all that our own plugins use."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import hetops.plugin
from hetops.plugin import hookspecs
from tests.architecture.sources import paths


def test_every_name_of_the_door_is_there_once() -> None:
    names = hetops.plugin.__all__
    assert sorted(set(names)) == sorted(names)
    assert [name for name in names if not hasattr(hetops.plugin, name)] == []


def test_every_class_and_function_of_the_door_says_what_it_is() -> None:
    things = {name: getattr(hetops.plugin, name) for name in hetops.plugin.__all__}
    described = {n for n, t in things.items() if inspect.isclass(t) or inspect.isfunction(t)}
    assert [n for n in described if not inspect.getdoc(things[n])] == []


def test_plugins_import_hetops_through_the_door_alone() -> None:
    beyond = {
        str(path): imported(path) - {"hetops.plugin", "hetops.plugin.testing"} for path in paths("plugins")
    }
    assert {path: modules for path, modules in beyond.items() if modules} == {}


def imported(path: Path) -> set[str]:
    """The modules of hetops that a file imports."""
    nodes = tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    from_ = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    whole = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name for name in from_ | whole if name.split(".")[0] == "hetops"}


def test_every_hook_only_registers_and_says_what() -> None:
    hooks = {n: h for n, h in vars(hookspecs).items() if n.startswith("register_")}
    assert hooks.keys() >= {"register_providers", "register_engines", "register_gpu_types", "register_models"}
    for hook in hooks.values():
        assert inspect.getdoc(hook)
        assert not inspect.signature(hook).parameters, "a hook gets nothing and does nothing"
