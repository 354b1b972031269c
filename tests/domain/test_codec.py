"""Documents travel as versioned JSON and come back as they were; whatever else arrives is named with its path."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.domain import codec
from hetops.domain.added import ADDED
from hetops.domain.observation import Observation, Outcome
from hetops.domain.performance import Measurement
from hetops.domain.plan import Plan
from hetops.errors import DocumentError
from tests.doubles import plans


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A part of a document."""

    name: str
    price: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """A document of few fields."""

    FORMAT: ClassVar[str] = "hetops.small"
    FORMAT_VERSION: ClassVar[str] = "1.2"

    parts: tuple[Inner, ...] = ()
    count: int | None = None


SMALL = Small(parts=(Inner(name="a", price=Decimal("0.10")),), count=3)


def test_a_plan_comes_back_as_it_was() -> None:
    plan = plans.plan()
    assert codec.decode(Plan, codec.encode(plan), source="test") == plan


finite = st.floats(0, 1e9)


@settings(deadline=None)
@given(
    st.builds(
        Observation,
        at=finite,
        workload_class=st.text(),
        pool=st.text(),
        endpoint=st.text(),
        outcome=st.sampled_from(Outcome),
        status=st.integers(0, 599),
        input_tokens=st.integers(0, 1 << 40),
        output_tokens=st.integers(0, 1 << 40),
        ttft_seconds=st.none() | finite,
        tpot_seconds=st.none() | finite,
        total_seconds=finite,
    )
)
def test_any_observation_comes_back_as_it_was(observation: Observation) -> None:
    assert codec.decode(Observation, codec.encode(observation), source="test") == observation


def test_a_price_that_is_no_number_is_an_error_of_its_document() -> None:
    raw = codec.encode(plans.plan()).replace(b'"usd_per_hour": "0.80"', b'"usd_per_hour": "NaN"')
    with pytest.raises(DocumentError, match=r"a price of NaN means .* - at `\$\.pools\[0\]\.offer`"):
        codec.decode(Plan, raw, source="test")


def test_the_format_stands_first_and_money_is_text() -> None:
    text = codec.encode(SMALL).decode()
    assert text.startswith('{\n  "format": "hetops.small",\n  "format_version": "1.2",\n')
    assert text.endswith("}\n")
    assert json.loads(text)["parts"] == [{"name": "a", "price": "0.10"}]


def test_times_are_rfc_3339_with_their_zone() -> None:
    assert codec.to_builtins(plans.plan())["created_at"] == "2026-11-24T12:00:00Z"


def test_equal_documents_have_equal_digests_and_others_have_others() -> None:
    assert codec.digest(plans.plan()) == codec.digest(plans.plan())
    assert codec.digest(SMALL) != codec.digest(replace(SMALL, count=4))
    assert codec.digest(Small(parts=(Inner(name="a", price=Decimal("1.0")),))) != codec.digest(
        Small(parts=(Inner(name="a", price=Decimal("1.00")),))
    )
    assert len(codec.digest(SMALL)) == 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterInner:
    """A part with a field that a minor version added."""

    name: str
    price: Decimal = Decimal(1)
    colour: str = field(default="", metadata=ADDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """The document of few fields, as a later minor version has it."""

    FORMAT: ClassVar[str] = "hetops.small"
    FORMAT_VERSION: ClassVar[str] = "1.3"

    parts: tuple[LaterInner, ...] = ()
    count: int | None = None
    whole: LaterInner | None = field(default=None, metadata=ADDED)


def test_what_a_minor_version_adds_changes_no_digest_until_it_is_used_in_parts_too() -> None:
    part = LaterInner(name="a", price=Decimal("0.10"))
    later = Later(parts=(part,), count=3)
    assert codec.digest(later) == codec.digest(SMALL)
    for used in (replace(later, parts=(replace(part, colour="red"),)), replace(later, whole=part)):
        assert codec.digest(used) != codec.digest(SMALL)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "test: not JSON"),
        ("{", "test: not JSON"),
        (b"\xff\xfe", "test: not JSON"),
        ("[1]", "test: expected a JSON object with format hetops.small"),
        ("{}", "test: format is None, expected 'hetops.small'"),
        ('{"format": "hetops.plan"}', "test: format is 'hetops.plan'"),
        ('{"format": "hetops.small"}', "test: format_version '' cannot be read, expected 1.2"),
        ('{"format": "hetops.small", "format_version": "2.0"}', "format_version '2.0' cannot be read"),
        ('{"format": "hetops.small", "format_version": 1, "count": "3"}', "Expected `int | null`, got `str`"),
        (
            '{"format": "hetops.small", "format_version": "1.2", "parts": [{}]}',
            "missing required field `name`",
        ),
        ('{"format": "hetops.small", "format_version": "1.2", "count": 1e400}', "test: "),
    ],
)
def test_what_is_no_such_document_is_named_with_its_source(text: str | bytes, said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        codec.decode(Small, text, source="test")
    assert said in caught.value.message


def test_a_later_minor_version_with_more_fields_is_read() -> None:
    raw = codec.to_builtins(SMALL) | {"format_version": "1.9", "colour": "red"}
    assert codec.decode(Small, json.dumps(raw), source="test") == SMALL


def test_what_people_write_may_not_hold_unknown_fields() -> None:
    raw = codec.to_builtins(SMALL)
    raw["parts"][0]["prize"] = "2"
    raw["counts"] = 4
    with pytest.raises(DocumentError, match=r"unknown field \$\.parts\[0\]\.prize$") as caught:
        codec.decode_strict(Small, json.dumps(raw), source="test")
    assert caught.value.hint == "did you mean 'price'?"
    assert caught.value.details == ("unknown field $.counts",)
    assert codec.decode_strict(Small, codec.encode(SMALL), source="test") == SMALL


def test_every_format_has_its_own_name_and_a_version() -> None:
    kinds = (Plan, Observation, Measurement)
    assert len({k.FORMAT for k in kinds}) == len(kinds)
    assert all(k.FORMAT.startswith("hetops.") and k.FORMAT_VERSION.count(".") == 1 for k in kinds)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('"count": NaN', r"mine.json: \$.count must be a number, not NaN"),
        ('"parts": [{"name": "a", "price": -1e999}]', r"\$.parts\[0\].price must be a number, not infinity"),
        ('"count": 1, "count": 2', r"\$.count is told more than once"),
        ('"parts": [{"name": "a", "name": "b"}]', r"\$.parts\[0\].name is told more than once"),
        ('"count": 1,,', "mine.json: not JSON: .* in line 3, column 12"),
    ],
)
def test_slips_of_who_writes_by_hand_are_told_by_field_or_line(body: str, says: str) -> None:
    text = f"""{{"format": "hetops.small",
"format_version": "1.0",
{body}}}"""
    with pytest.raises(DocumentError, match=says):
        codec.decode_strict(Small, text, source="mine.json")


@pytest.mark.parametrize("text", [b"\xff\xfe", b"[" * 100_000, b'{"count": ' + b"1" * 5000 + b"}"])
def test_what_nobody_writes_is_refused_as_an_error_of_the_file(text: bytes) -> None:
    with pytest.raises(DocumentError, match=r"mine\.json"):
        codec.decode_strict(Small, text, source="mine.json")
