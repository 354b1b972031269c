"""Several models out of traces: a file for each, or one whose column says who is asked; targets and prices by model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hetops.app.candidates import Candidates, candidates, load_spec
from hetops.app.plan import make_plan
from hetops.app.requests import trace_of
from hetops.errors import HetopsError, SpecError, TraceError, UnknownNameError
from hetops.solver.recheck.plan import recheck
from tests.doubles import specs
from tests.doubles.two_models import TWO

LLAMA, QWEN = "llama-3.1-8b", "qwen3-32b"
FILES = f'[workload.traces]\n"{LLAMA}" = "chat.csv"\n"{QWEN}" = "code.csv"\n'
ONE_FILE = '[workload]\ntrace = "both.csv"\n'

Row = tuple[float, int, int]


def rows(seed: int, requests_per_second: float, input_tokens: int, output_tokens: int) -> list[Row]:
    """A minute of requests of two lengths, the longer four times the shorter; the first at 0."""
    chance = np.random.default_rng(seed)
    count = round(60 * requests_per_second)
    at = [0.0, *np.sort(chance.uniform(0.0, 60.0, count - 1)).round(3).tolist()]
    times = np.where(chance.random(count) < 0.5, 1, 4).tolist()
    return [(t, input_tokens * k, output_tokens) for t, k in zip(at, times, strict=True)]


CHAT, CODE = rows(0, 6.0, 100, 150), rows(1, 1.0, 1000, 300)


def csv(path: Path, found: Sequence[tuple[object, ...]], *more: str) -> None:
    """Rows as a trace."""
    lines = [",".join(("timestamp", "input_tokens", "output_tokens", *more))]
    path.write_text("\n".join([*lines, *(",".join(map(str, row)) for row in found)]) + "\n", encoding="utf-8")


def spec(folder: Path, workload: str, more: str = "") -> str:
    """A spec with those traces, which lie beside it."""
    csv(folder / "chat.csv", CHAT)
    csv(folder / "code.csv", CODE)
    both = sorted([*((*row, LLAMA) for row in CHAT), *((*row, QWEN) for row in CODE)])
    csv(folder / "both.csv", both, "model")
    head, _, rest = TWO.partition("[[workload.classes]]")
    text = head + workload + "\n" + rest[rest.index("[targets]") :] + more
    return text.replace("[workload.traces]", "[workload]\nclass_count = 2\n\n[workload.traces]").replace(
        ONE_FILE, f"{ONE_FILE}class_count = 2\n"
    )


def found(folder: Path, workload: str, more: str = "", *overrides: str) -> Candidates:
    return candidates(specs.asked(folder, spec(folder, workload, more), *overrides))


def test_every_model_has_classes_of_its_own_requests_and_a_fleet_for_them(tmp_path: Path) -> None:
    plan = make_plan(specs.asked(tmp_path, spec(tmp_path, FILES)))
    assert recheck(plan) == ()
    classes = {c.name: c for c in plan.workload.classes}
    assert list(classes) == [
        f"{LLAMA}/in100-out150", f"{LLAMA}/in400-out150", f"{QWEN}/in1k-out300", f"{QWEN}/in4k-out300",
    ]  # fmt: skip
    assert plan.workload.models == (LLAMA, QWEN)
    for model, rate in ((LLAMA, 6.0), (QWEN, 1.0)):
        rates = [c.requests_per_second for c in classes.values() if c.model == model]
        assert sum(rates) == pytest.approx(rate, rel=0.03)
    model_of = {pool.name: pool.configuration.model for pool in plan.pools}
    assert {(classes[s.workload_class].model, model_of[s.pool]) for s in plan.shares} == {
        (LLAMA, LLAMA),
        (QWEN, QWEN),
    }
    assert plan.workload.source == "chat.csv, code.csv"
    assert {note.partition(":")[0] for note in plan.workload.notes} == {LLAMA, QWEN}


def test_a_column_says_as_much_as_a_file_for_each(tmp_path: Path) -> None:
    by_file, by_column = (found(tmp_path, of) for of in (FILES, ONE_FILE))
    for one, other in zip(by_file.workload.classes, by_column.workload.classes, strict=True):
        assert (one.name, one.model, one.input_tokens) == (other.name, other.model, other.input_tokens)
        assert one.requests_per_second == pytest.approx(other.requests_per_second, rel=0.03)
    contexts = [
        {
            c.max_context_tokens
            for m in of.models
            for c in m.enumeration.configurations
            if m.model.name == name
        }
        for of in (by_file, by_column)
        for name in (LLAMA, QWEN)
    ]
    assert contexts[:2] == contexts[2:]
    assert contexts[0] != contexts[1]


def test_the_whole_of_the_requests_says_of_each_which_model_it_asks_for(tmp_path: Path) -> None:
    for workload in (FILES, ONE_FILE):
        trace = trace_of(load_spec(specs.asked(tmp_path, spec(tmp_path, workload))))
        assert trace.models == (LLAMA, QWEN)
        assert trace.asked is not None
        longest = [int(trace.input_tokens[trace.asked == k].max()) for k in (0, 1)]
        assert longest == [400, 4000]


def test_one_model_takes_all_requests_whatever_the_column_says(tmp_path: Path) -> None:
    text = spec(tmp_path, ONE_FILE).replace(f'[[models]]\nname = "{QWEN}"\n', "")
    (classes,) = (candidates(specs.asked(tmp_path, text)).workload.classes,)
    assert sum(c.requests_per_second for c in classes) == pytest.approx(7.0, rel=0.03)
    assert {c.model for c in classes} == {""}


def test_targets_and_priorities_can_be_those_of_a_model(tmp_path: Path) -> None:
    more = f'[[targets.overrides]]\nmodel = "{QWEN}"\nmin_input_tokens = 2000\nttft_seconds = 5.0\n'
    workload = found(tmp_path, FILES, more).workload
    assert [c.target.ttft_seconds for c in workload.classes] == [2.0, 2.0, 2.0, 5.0]


def test_what_a_traced_request_costs_that_is_turned_away_is_said_by_range_and_model(tmp_path: Path) -> None:
    """At a hundredth of a cent it is cheaper to serve no code at all than half of it; at most a fifth may go."""
    price = "shed_usd_per_request = 0.0001\n"
    more = f'[[targets.overrides]]\nmodel = "{QWEN}"\n{price}'
    plan = make_plan(specs.asked(tmp_path, spec(tmp_path, FILES, more)))
    assert {one.workload_class for one in plan.shed} == {f"{QWEN}/in1k-out300", f"{QWEN}/in4k-out300"}
    assert {one.share for one in plan.shed} == {1.0}
    limited = make_plan(specs.asked(tmp_path, spec(tmp_path, FILES, f"{more}max_shed_share = 0.2\n")))
    assert all(one.share <= 0.2 and one.max_share == 0.2 for one in limited.shed)
    assert recheck(plan) == recheck(limited) == ()
    untouched = make_plan(
        specs.asked(tmp_path, spec(tmp_path, FILES, f"{more.replace(QWEN, LLAMA)}max_shed_share = 0.2\n"))
    )
    assert not any(one.workload_class.startswith(QWEN) for one in untouched.shed)


def test_an_unlimited_share_without_a_price_is_a_slip(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="max_shed_share needs shed_usd_per_request beside it"):
        found(tmp_path, FILES, "[[targets.overrides]]\nmax_shed_share = 0.2\n")


def test_traces_of_unlike_length_have_no_periods_in_common(tmp_path: Path) -> None:
    text = spec(tmp_path, FILES).replace("class_count = 2", "class_count = 2\nperiods = 2")
    candidates(specs.asked(tmp_path, text))
    csv(tmp_path / "code.csv", CODE[:30])
    with pytest.raises(
        SpecError, match=r"traces\.llama-3\.1-8b: periods of 60 s cannot be those of qwen3-32b"
    ) as none:
        candidates(specs.asked(tmp_path, text))
    asked = none.value.hint.removeprefix("cut them to one length: ")
    candidates(specs.asked(tmp_path, text, asked.replace(" ", "")))


@pytest.mark.parametrize(
    ("old", "new", "kind", "told"),
    [
        ("both.csv", "chat.csv", TraceError, "chat.csv:1: no column 'model' says which of 2 models"),
        (f'"{QWEN}" = ', '"qwen" = ', UnknownNameError, "unknown model of this spec 'qwen' at "),
        (f'"{QWEN}" = "code.csv"\n', "", SpecError, "hetops.toml:9: models[1].name: no trace has requests for qwen3-32b"),
        ("[targets]", '[[targets.overrides]]\nmodel = "qwen"\n[targets]', UnknownNameError, "unknown model of this spec 'qwen'"),
        ("code.csv", "none.csv", SpecError, f"hetops.toml:16: workload.traces.{QWEN}: trace "),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_told_with_its_place(
    old: str, new: str, kind: type[HetopsError], told: str, tmp_path: Path
) -> None:
    text = spec(tmp_path, ONE_FILE if old == "both.csv" else FILES).replace(old, new)
    with pytest.raises(kind) as caught:
        candidates(specs.asked(tmp_path, text))
    assert told in caught.value.message


def test_a_request_for_a_model_that_is_not_served_is_told_with_its_line(tmp_path: Path) -> None:
    text = spec(tmp_path, ONE_FILE)
    csv(tmp_path / "both.csv", [(0, 9, 9, LLAMA), (1, 9, 9, QWEN), (2, 9, 9, "gpt-4")], "model")
    with pytest.raises(UnknownNameError, match=r"unknown model of a request 'gpt-4' at .*both\.csv:4"):
        candidates(specs.asked(tmp_path, text))
    csv(tmp_path / "both.csv", [(0, 9, 9, LLAMA), (1, 9, 9, QWEN), (2, 9, 9, LLAMA)], "model")
    with pytest.raises(TraceError, match=r"both\.csv: 1 request for qwen3-32b; a rate needs two"):
        candidates(specs.asked(tmp_path, text))
