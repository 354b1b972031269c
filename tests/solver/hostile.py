"""Documents of problems that somebody spoilt: sound ones with a few values changed, each of a seed."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from hetops.domain import codec
from hetops.solver.problem import Problem
from tests.solver.binding import BINDING
from tests.solver.binding_mixed import MIXED_BINDING
from tests.solver.problems import TOY
from tests.solver.woven import woven

SOUND = (*(case.problem for case in (BINDING | MIXED_BINDING).values()), TOY)
NUMBERS = (0, -1, 1, 2, 0.5, 1e-9, 1e-6, 1e3, 1e6, 1e9, 1e12, 1e15, 1e300, -1e300, 5e-324, 10**30, 10**400)
FACTORS = (-1, 1e-8, 1e-4, 0.01, 0.5, 2, 100, 1e4, 1e8)
TEXTS = (
    "",
    "NaN",
    "-Infinity",
    "1e999",
    "0",
    "-1",
    "1e8",
    "1e-30",
    "99999999999999999999999999999.99",
    "spot",
    "\0",
)
OTHERS = (None, True, [], {}, [[]], [None], {"a": 1})
FIELDS = ("max_nodes", "zone", "gap", "headroom", "also", "quality", "mode", "max_pools", "deadline_hours")

Path = tuple[str | int, ...]


def spoilt(seed: int) -> str:
    """The JSON of a problem of which up to three values are not what they were."""
    dice = Random(f"hostile {seed}")
    problem: Problem = dice.choice(SOUND) if dice.random() < 0.3 else woven(dice.randrange(1000))
    document = json.loads(codec.encode(problem))
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        _spoil(dice, document)
    return json.dumps(document)


def _spoil(dice: Random, document: Any) -> None:
    """One field, whichever of its values: fields of which there are many are no likelier."""
    by_field: dict[tuple[str, ...], list[Path]] = {}
    for path in _paths(document):
        by_field.setdefault(tuple(k for k in path if isinstance(k, str)), []).append(path)
    *above, key = dice.choice(by_field[dice.choice(sorted(by_field))])
    parent = _at(document, tuple(above))
    match dice.choice(("scaled", "scaled", "replaced", "replaced", "dropped", "repeated", "added")):
        case "scaled":
            parent[key] = _scaled(dice, parent[key])
        case "replaced":
            parent[key] = dice.choice(dice.choice((NUMBERS, NUMBERS, TEXTS, OTHERS)))
        case "dropped":
            del parent[key]
        case "repeated" if isinstance(parent, list):
            parent.append(parent[key])
        case _ if isinstance(parent, dict):
            parent[dice.choice((*FIELDS, f"{key}_"))] = dice.choice((*NUMBERS, *TEXTS, *OTHERS))


def _scaled(dice: Random, value: Any) -> Any:
    """A number by a factor, written as it was; anything else as it is."""
    if isinstance(value, str) and value.replace(".", "").isdigit():
        return repr(float(value) * dice.choice(FACTORS))
    return type(value)(value * dice.choice(FACTORS)) if isinstance(value, int | float) else value


def _paths(node: Any, above: Path = ()) -> list[Path]:
    """Every value in a document but itself, by the keys that lead to it."""
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path for key, part in parts for path in ((*above, key), *_paths(part, (*above, key)))]


def _at(node: Any, path: Path) -> Any:
    for key in path:
        node = node[key]
    return node
