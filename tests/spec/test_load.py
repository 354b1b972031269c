"""Every mistake in hetops.toml is an error that names file, line and field, and what to do next."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
import tomli

from hetops.domain.model import Precision
from hetops.errors import SpecError, UsageError
from hetops.spec.load import find, json_schema, load, place
from hetops.spec.locate import line_of

GOOD = """\
#:schema .hetops/schema.json
[deployment]
name = "chat"

[model]
name = "llama-3.1-8b"
precisions = ["fp8"]

[[workload.classes]]
name = "short"
requests_per_second = 1.5
input_tokens = 100
output_tokens = 20

[[workload.classes]]
name = "long"
requests_per_second = 1
input_tokens = 1000
output_tokens = 200
priority = "batch"

[targets]
ttft_seconds = 1.0

[[targets.overrides]]
min_output_tokens = 100
tpot_seconds = 0.2

[budget]
usd_per_hour = 4.25

[providers.local]
emulate = true
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "hetops.toml"
    path.write_text(text)
    return path


def test_a_good_spec_keeps_money_exact(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, GOOD))
    assert loaded.spec.budget.limit_usd_per_hour == Decimal("4.25")
    assert loaded.spec.model.precisions == (Precision.FP8,)
    assert loaded.spec.workload.classes[1].requests_per_second == 1.0
    assert loaded.folder == tmp_path


def test_settings_that_are_handed_on_hold_floats_and_money_alone_is_decimal(tmp_path: Path) -> None:
    own = "usd_per_core_hour = 0.05\nshare = 0.5\n[engine.settings.llamacpp]\ndrain_seconds = 4.5\n"
    spec = load(written(tmp_path, GOOD + own)).spec
    assert spec.providers["local"] == {"emulate": True, "usd_per_core_hour": Decimal("0.05"), "share": 0.5}
    assert type(spec.engine.settings["llamacpp"]["drain_seconds"]) is float
    assert type(spec.providers["local"]["usd_per_core_hour"]) is Decimal


def test_whole_dollars_are_money_too_and_the_tighter_budget_counts(tmp_path: Path) -> None:
    text = GOOD.replace("usd_per_hour = 4.25", "usd_per_hour = 40\nusd_per_month = 730")
    assert load(written(tmp_path, text)).spec.budget.limit_usd_per_hour == 1


@pytest.mark.parametrize(
    ("old", "new", "said", "hint"),
    [
        (
            "ttft_seconds",
            "ttft_secnds",
            ":23: targets.ttft_secnds: unknown key",
            "did you mean 'ttft_seconds'?",
        ),
        ("[model]", "[modell]", ":5: modell: unknown key", "did you mean 'model'?"),
        (
            "1.5",
            '"fast"',
            ":11: workload.classes[0].requests_per_second: expected float, got str, found 'fast'",
            "",
        ),
        ("1.5", "-1", ":11: workload.classes[0].requests_per_second: expected float > 0.0, found -1", ""),
        (
            '"batch"',
            '"btch"',
            ":20: workload.classes[1].priority: invalid enum value 'btch'",
            "did you mean 'batch'?",
        ),
        ('"fp8"', '"fp9"', ":7: model.precisions[0]: invalid enum value 'fp9'", "did you mean 'fp8'"),
        (
            "1.5",
            "inf",
            ":11: workload.classes[0].requests_per_second: expected a finite number, found inf",
            "",
        ),
        ("4.25", "nan", "budget.usd_per_hour: expected a finite number, found nan", ""),
        ("4.25", "0", ":29: budget: a budget must be above zero", ""),
        ("4.25", "1e400", ":29: budget: a budget of a thousand million USD and more limits nothing", ""),
        ('"chat"', '"Chat X"', ":3: deployment.name: expected str matching regex", ""),
        ('"chat"', '"cache"', ":2: deployment: 'cache' names a folder of hetops' own", ""),
        ('name = "chat"', "name = = 3", ":3: not TOML", "column 8"),
        ('name = "llama-3.1-8b"', "", ":5: model: missing", ""),
        (
            '"llama-3.1-8b"',
            '"${env:NO_SUCH}"',
            ":6: model.name: the environment variable NO_SUCH is not set",
            "export NO_SUCH",
        ),
        (
            '"llama-3.1-8b"',
            '"${env:API_KEY}"',
            ":6: model.name: ${env:API_KEY} looks like a secret",
            "environment",
        ),
        ("[providers.local]", "[router.local]", ":32: router.local: unknown key", "known here: host"),
        ('name = "long"', 'name = "short"', "the names of classes must differ", ""),
        ("[[targets.overrides]]", "[budget2]", ":25: budget2: unknown key", "did you mean 'budget'?"),
    ],
)
def test_a_mistake_names_file_line_field_and_the_nearest_name(
    tmp_path: Path, old: str, new: str, said: str, hint: str
) -> None:
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        load(path, environment={})
    assert str(path) in caught.value.message
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_all_unknown_keys_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(
            written(
                tmp_path,
                GOOD.replace("emulate = true", "").replace("ttft_seconds", "ttfft") + "[roter]\nport = 1\n",
            )
        )
    assert "ttfft" in caught.value.message
    assert any("roter" in line and "did you mean 'router'?" in line for line in caught.value.details)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (GOOD[GOOD.index("ttft_seconds") : GOOD.index("[budget]")], "", "no latency target"),
        ("[providers.local]\nemulate = true\n", "", "no provider"),
        ("[providers.local]", "[providers.local]\nenabled = false", "no provider"),
        (
            GOOD[GOOD.index("[[workload") : GOOD.index("[targets]")],
            "[workload]\nclass_count = 2\n",
            "give one of trace, traces and classes",
        ),
    ],
)
def test_a_spec_needs_work_a_target_and_a_provider(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        load(written(tmp_path, GOOD.replace(old, new)))


def test_what_is_wrong_with_an_override_is_told_of_it_and_of_no_line(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    with pytest.raises(
        SpecError, match=r"^--set targets\.ttft_seconds=soon: targets\.ttft_seconds: "
    ) as caught:
        load(path, overrides=("targets.ttft_seconds=soon",))
    assert str(path) not in caught.value.message
    written(tmp_path, GOOD + "[nonsense]\n")
    with pytest.raises(SpecError, match="nonsense: unknown key"):
        load(path, overrides=("targets.ttft_seconds=soon",))


def test_an_override_that_clashes_with_the_file_is_told_with_the_line_that_it_clashes_with(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, GOOD)
    line = 1 + GOOD[: GOOD.index("[[workload.classes]]")].count("\n")
    with pytest.raises(SpecError) as caught:
        load(path, overrides=("workload.trace=x.csv",))
    assert caught.value.message == (
        f"--set workload.trace=x.csv: {path}:{line}: workload: give one of trace, traces and classes"
    )


def test_the_place_of_a_field_is_the_override_that_sets_it_or_its_line(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, GOOD), overrides=('offers.gpus=["L4"]', "workload.classes[1].task=chat"))
    assert place(loaded, "offers", "gpus", 0) == '--set offers.gpus=["L4"]: offers.gpus[0]'
    assert place(loaded, "workload", "classes", 1, "task").startswith("--set workload.classes[1].task=chat: ")
    assert re.search(
        r"hetops\.toml:\d+: workload\.classes\[0\]\.name$", place(loaded, "workload", "classes", 0, "name")
    )


def test_what_only_an_override_put_into_the_spec_is_told_of_it(tmp_path: Path) -> None:
    unknown = load(
        written(tmp_path, GOOD), overrides=("providers.awz.usd_per_hour=10", "budget.usd_per_hour=3")
    )
    assert place(unknown, "providers", "awz") == "--set providers.awz.usd_per_hour=10: providers.awz"
    assert re.fullmatch(rf"{unknown.path}:\d+: budget", place(unknown, "budget")), (
        "the file has one of its own"
    )
    with pytest.raises(SpecError, match=r"^--set budget\.foo\.bar=1: budget\.foo: unknown key$"):
        load(unknown.path, overrides=("budget.foo.bar=1",))


def test_references_and_overrides_are_applied_and_change_the_digest(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace('"chat"', '"${env:WHO}-chat"'))
    one = load(path, environment={"WHO": "team"})
    two = load(path, overrides=("budget.usd_per_hour=40", "model.name=qwen3-8b"), environment={"WHO": "team"})
    assert one.spec.deployment.name == "team-chat"
    assert (two.spec.budget.usd_per_hour, two.spec.model.name) == (40, "qwen3-8b")
    assert one.digest != two.digest
    with pytest.raises(UsageError, match=r"no key\.path=value"):
        load(path, overrides=("budget",), environment={"WHO": "team"})


def test_overrides_reach_entries_of_arrays_and_say_where_there_is_none(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    for first in ("workload.classes.0", "workload.classes[0]"):
        busy = load(path, overrides=(f"{first}.requests_per_second=7.5",))
        assert busy.spec.workload.classes[0].requests_per_second == 7.5
    for key, said in (
        ("workload.classes.9.name", "no entry 9 in an array of 2"),
        ("workload.classes[9].name", "no entry 9 in an array of 2"),
        ("workload.classes.name", "no entry name in an array of 2"),
        ("workload.classes.-1", "no entry -1 in an array of 2"),
        ("model.name.0", "0 stands in no table"),
    ):
        with pytest.raises(UsageError, match=re.escape(f"--set {key}: {said}")):
            load(path, overrides=(f"{key}=1",))


@pytest.mark.parametrize(
    ("text", "lacks"),
    [("", "deployment"), ("# nothing yet\n", "deployment"), ('[deployment]\nname = "x"\n', "workload")],
)
def test_a_spec_that_lacks_a_table_says_how_to_come_by_a_whole_one(
    text: str, lacks: str, tmp_path: Path
) -> None:
    path = tmp_path / "hetops.toml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load(path)
    assert caught.value.message == f"{path}: missing {lacks}"
    assert "hetops init -o FILE" in caught.value.hint


def test_a_missing_spec_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        find(None, tmp_path)
    assert "hetops init" in caught.value.hint


def test_the_schema_accepts_what_is_accepted_and_refuses_unknown_keys() -> None:
    schema = json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    raw = tomli.loads(GOOD)
    validator.validate(raw)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**raw, "budgt": {}})


def test_lines_are_found_through_tables_arrays_and_dotted_keys() -> None:
    text = 'a.b = 1\n[t]\nx = {y = 1}\n[[l]]\nk = 1\n[[l]]\nk = 2\n[l.m]\nz = 3\n["q r"]\ns = 1\n'
    assert [line_of(text, p) for p in (("a", "b"), ("t", "x", "y"), ("l", 1, "k"), ("l", 1, "m", "z"), ("q r", "s"), ("n",))] == [
        1, 3, 7, 9, 11, 0,
    ]  # fmt: skip
