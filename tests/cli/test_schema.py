"""`hetops schema` describes hetops.toml and every document, and what is written keeps to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hetops.app.schema import documents, formats, schema_of
from hetops.domain import codec
from hetops.errors import UnknownNameError
from tests.cli.process import hetops, told
from tests.doubles import plans
from tests.solver.problems import TOY

PACKAGE = Path(__file__).parents[2] / "hetops"


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema_of(name))


def test_every_class_that_names_a_format_is_found() -> None:
    text = "\n".join(p.read_text(encoding="utf-8") for p in PACKAGE.rglob("*.py"))
    named = re.findall(r'^ +FORMAT: ClassVar\[str\] = "(hetops\.[a-z_-]+)"$', text, flags=re.MULTILINE)
    assert [kind.FORMAT for kind in documents()] == sorted(named)
    assert {"hetops.plan", "hetops.problem", "hetops.router", "hetops.error"} <= set(named)


@pytest.mark.parametrize("name", [f.name for f in formats()])
def test_every_schema_is_one_and_says_what_it_describes(name: str) -> None:
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] in (name, "hetops.toml")
    assert schema["description"]


@pytest.mark.parametrize(
    ("name", "document"), [("plan", plans.plan()), ("problem", TOY)], ids=["plan", "problem"]
)
def test_a_document_keeps_to_its_schema_and_a_changed_one_does_not(name: str, document: Any) -> None:
    good = json.loads(codec.encode(document))
    validator(name).validate(good)
    for change in ({"format": "hetops.other"}, {"format_version": "2.0"}):
        assert not validator(name).is_valid({**good, **change})
    for field in good:
        assert not validator(name).is_valid({**good, field: object}), field


def test_the_docstring_below_a_field_is_its_description() -> None:
    described = schema_of("measurement")["properties"]["ttft_seconds"]
    assert described["description"] == "p50, p90, p95, p99"


def test_money_is_a_number_in_toml_and_text_in_json() -> None:
    budget = schema_of("spec")["$defs"]["BudgetSpec"]["properties"]["usd_per_hour"]["anyOf"][0]
    offer = schema_of("plan")["$defs"]["Offer"]["properties"]["usd_per_hour"]
    assert (budget["type"], offer["type"]) == ("number", "string")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("offers", "--offline", "--json"), "offers"),
        (("doctor", "clock", "--json"), "doctor"),
        (("plugins", "--json"), "plugins"),
        (("init", "--json"), "init"),
        (("solve", "nothing.json", "--json"), "error"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_what_a_command_prints_keeps_to_its_schema(
    command: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    validator(name).validate(told(hetops(tmp_path, *command)))


def test_an_unknown_format_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        schema_of("plam")
    assert "'plan'" in caught.value.hint


def test_the_command_prints_a_schema_or_the_list_of_them(tmp_path: Path) -> None:
    assert told(hetops(tmp_path, "schema"))["title"] == "hetops.toml"
    assert told(hetops(tmp_path, "schema", "hetops.plan", "--json"))["title"] == "hetops.plan"
    listed = hetops(tmp_path, "schema", "--list").stdout.splitlines()
    assert [line.split()[0] for line in listed[1:]] == [f.name.removeprefix("hetops.") for f in formats()]
    assert [f["name"] for f in told(hetops(tmp_path, "schema", "--list", "--json"))] == [
        f.name for f in formats()
    ]
