"""What people get wrong when they write JSON by hand: a key twice, a number that is none. Found with its path, or its line.

A reader of JSON takes the last of two keys in silence, and refuses NaN by the byte at which it stands. Decides no field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator


class _Told(dict[str, object]):
    """An object, with the keys that it was given more than once."""

    twice: tuple[str, ...] = ()


def slips(text: bytes | str) -> tuple[str, ...]:
    """Each in words; empty for JSON that says one thing. What is no JSON for another reason is told by its line."""
    try:
        raw = json.loads(text, object_pairs_hook=_told)
    except json.JSONDecodeError as fault:
        return (f"not JSON: {fault.msg} in line {fault.lineno}, column {fault.colno}",)
    except (ValueError, RecursionError):  # not text, or deeper and longer than anybody writes
        return ()
    return tuple(_slips(raw, "$"))


def _told(pairs: list[tuple[str, object]]) -> _Told:
    found = _Told(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        found.twice = tuple(key for key in found if keys.count(key) > 1)
    return found


def _slips(value: object, path: str) -> Iterator[str]:
    if isinstance(value, _Told):
        yield from (
            f"{path}.{key} is told more than once: only one of them can be meant" for key in value.twice
        )
        for key, of in value.items():
            yield from _slips(of, f"{path}.{key}")
    elif isinstance(value, list):
        for index, of in enumerate(value):
            yield from _slips(of, f"{path}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path} must be a number, not {'NaN' if math.isnan(value) else 'infinity'}"
