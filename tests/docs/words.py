"""Docstrings as documentation: the words of the domain, the door for plugins, what each module decides."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType

import hetops.domain
import hetops.plugin
from hetops.domain.schema import field_docs
from hetops.errors import ErrorKind, Scope
from hetops.plugin import engine, hookspecs, manager, provider, testing
from hetops.plugin.provider import Capability, NodeState

ROOT = Path(__file__).parents[2]
FOLDERS = ("hetops", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "plugins").glob("hetops_*")), "stacks")


def glossary() -> str:
    """Every word of the domain with its definition, by name."""
    words = {_spaced(kind.__name__): kind for module in _domain() for kind in _own_classes(module)}
    lines = [f"**{word}** ({_where(kind)}): {_prose(kind)}" for word, kind in sorted(words.items())]
    return "\n\n".join(lines)


def hooks() -> str:
    """The hooks."""
    found = {n: h for n, h in vars(hookspecs).items() if n.startswith("register_")}
    rows = [f"| `{name}` | {_prose(hook)} |" for name, hook in found.items()]
    return "\n".join(("| hook | hands over |", "|---|---|", *rows))


def protocols() -> str:
    """What a plugin implements, and the suites that hold it to it."""
    kinds = (
        provider.Provider,
        provider.DrivesNodes,
        provider.NodeDriver,
        provider.DeclaresPools,
        engine.Engine,
        testing.Subject,
    )
    return "\n\n".join(f"### {kind.__name__}\n\n{_prose(kind)}\n\n{_methods(kind)}" for kind in kinds)


def promises() -> str:
    """What the contract suite holds everyone to."""
    rows = [f"| {each.__name__.replace('_', ' ')} | {_in_short(each)} |" for each in testing.PROMISES]
    return "\n".join(("| promise | why |", "|---|---|", *rows))


def door() -> str:
    """Every name that a plugin may import, with the first sentence of what it says of itself."""
    rows = [
        f"| `{name}` | {_in_short(getattr(hetops.plugin, name))} |" for name in sorted(hetops.plugin.__all__)
    ]
    return "\n".join(("| name | what it is |", "|---|---|", *rows))


def _in_short(thing: object) -> str:
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return f"{thing:g}" if isinstance(thing, float) else type(thing).__name__
    return (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def providers() -> str:
    """The providers that come with hetops, and how each one's nodes are made."""
    found = sorted(manager.load().providers, key=lambda p: p.name)
    rows = [f"| `{p.name}` | {_prose(type(p))} | {_provisioned(p)} |" for p in found]
    return "\n".join(("| provider | what it is | its nodes |", "|---|---|---|", *rows))


def _provisioned(of: provider.Provider) -> str:
    if isinstance(of, provider.DrivesNodes):
        return "one by one"
    return "in groups" if isinstance(of, provider.DeclaresPools) else "none: for planning only"


def pages() -> str:
    """Every page of the documentation, by its title."""
    titles = {
        page: page.read_text(encoding="utf-8").partition("\n")[0] for page in (ROOT / "docs").glob("*.md")
    }
    links = (f"[{title.lstrip('# ')}](docs/{page.name})" for page, title in sorted(titles.items()))
    return " ·\n".join(links)


def enumerations() -> str:
    """The values that a plugin may use."""
    kinds: tuple[type[Enum], ...] = (Capability, NodeState, ErrorKind, Scope)
    rows = [f"| `{k.__name__}` | {_prose(k)} | {', '.join(f'`{v.value}`' for v in k)} |" for k in kinds]
    return "\n".join(("| enumeration | meaning | values |", "|---|---|---|", *rows))


def modules() -> str:
    """Every module with the first sentence of its docstring, by folder."""
    sections = []
    for folder in sorted({path.parent for path in _sources()}):
        rows = [f"| `{p.name}` | {_first_sentence(p)} |" for p in _sources() if p.parent == folder]
        purpose = _first_sentence(folder / "__init__.py") if (folder / "__init__.py").exists() else ""
        title = f"### `{folder.relative_to(ROOT)}/`"
        rows = [row for row in rows if "| `__init__.py` |" not in row]
        table = "\n".join(("| module | decides |", "|---|---|", *rows)) if rows else ""
        sections.append("\n\n".join(filter(None, (title, purpose, table))))
    return "\n\n".join(sections)


def _sources() -> list[Path]:
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if "__pycache__" not in path.parts)


def _first_sentence(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def _domain() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(hetops.domain.__path__):
        if found.name not in ("codec", "schema"):
            yield importlib.import_module(f"hetops.domain.{found.name}")


def _own_classes(module: ModuleType) -> Iterator[type]:
    for name, kind in vars(module).items():
        if inspect.isclass(kind) and kind.__module__ == module.__name__ and not name.startswith("_"):
            yield kind


def _where(kind: type) -> str:
    return f"`{kind.__module__.replace('.', '/')}.py`"


def _methods(kind: type) -> str:
    own = ((n, m) for n, m in vars(kind).items() if inspect.isfunction(m) and not n.startswith("_"))
    docs = field_docs(kind)
    attributes = (
        f"* `{n}: {a}`" + (f": {docs[n]}" if n in docs else "")
        for n, a in vars(kind).get("__annotations__", {}).items()
    )
    return "\n".join(
        (*attributes, *(f"* `{_signature(name, method)}`: {_prose(method)}" for name, method in own))
    )


def _signature(name: str, method: object) -> str:
    assert inspect.isfunction(method)
    signature = str(inspect.signature(method)).replace("self, ", "").replace("(self)", "()").replace("'", "")
    return ("async " if inspect.iscoroutinefunction(method) else "") + name + signature


def _prose(thing: object) -> str:
    return " ".join((inspect.getdoc(thing) or "").split())


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize().replace("Gpu", "GPU")
