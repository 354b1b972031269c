"""A document with a name that is none of those a field may have tells which these are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

import pytest

from hetops.domain import codec
from hetops.errors import DocumentError


class Colour(StrEnum):
    RED = "red"
    GREEN = "dark green"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    colour: Colour | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    FORMAT: ClassVar[str] = "hetops.painted"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    colour: Colour = Colour.RED
    parts: tuple[Part, ...] = ()
    by_colour: Mapping[Colour, float] = field(default_factory=dict)
    by_name: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"colour": "blue"}, "$.colour"),
        ({"parts": [{}, {"colour": "blue"}]}, "$.parts[1].colour"),
        ({"by_colour": {"blue": 1.0}}, "a key of $.by_colour"),
        ({"by_name": {"hull": [{"colour": "blue"}]}}, "$.by_name[...][0].colour"),
    ],
)
def test_the_names_that_a_field_may_have_are_told_wherever_it_stands(
    body: dict[str, Any], where: str
) -> None:
    with pytest.raises(DocumentError) as told:
        codec.from_builtins(
            Painted, {"format": "hetops.painted", "format_version": "1.0", **body}, source="f"
        )
    assert "'blue'" in told.value.message
    assert told.value.hint == f"{where} may be red, dark green"


def test_other_faults_name_no_choices() -> None:
    with pytest.raises(DocumentError) as told:
        codec.from_builtins(
            Painted, {"format": "hetops.painted", "format_version": "1.0", "parts": 3}, source="f"
        )
    assert told.value.hint == ""
