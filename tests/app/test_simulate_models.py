"""Plans of several models in virtual time: whose requests they are, what each model's were answered in, and what they cost."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from hetops.app.plan import make_plan
from hetops.app.played_requests import Stretch
from hetops.app.simulate import SimulationAsked, simulate
from hetops.domain import codec
from hetops.domain.observation import Outcome
from hetops.domain.plan import Plan
from hetops.errors import HetopsError, TraceError, UnknownNameError, UsageError
from hetops.reports.simulation import Simulation
from hetops.reports.simulation_html import as_html
from hetops.reports.simulation_text import as_text
from tests.app.test_traced_models import CHAT, CODE, FILES, LLAMA, ONE_FILE, QWEN, csv, spec
from tests.doubles import specs
from tests.doubles.two_models import TWO, alone

ORIGINS = """
[[origins]]
name = "eu"
share = 0.75

[[origins]]
name = "us"
share = 0.25

[[network]]
origins = ["us"]
round_trip_seconds = 0.1
"""


@cache
def planned(workload: str = FILES, more: str = "") -> Plan:
    """The plan of traces."""
    with TemporaryDirectory() as folder:
        return make_plan(specs.asked(Path(folder), spec(Path(folder), workload, more)))


def played(folder: Path, plan: Plan, *traces: str, **stretch: Any) -> Simulation:
    """The plan, with the traces of the tests beside it."""
    spec(folder, FILES)
    path = folder / "plan.json"
    path.write_bytes(codec.encode(plan))
    named = tuple(text.replace("=", f"={folder}/") if "=" in text else f"{folder}/{text}" for text in traces)
    asked = specs.asked(folder, spec(folder, FILES))
    return simulate(
        SimulationAsked(spec=asked, plan_file=path, traces=named, stretch=Stretch(**stretch)), lambda _: None
    )


BOTH = (f"{LLAMA}=chat.csv", f"{QWEN}=code.csv")


@pytest.mark.parametrize("traces", [BOTH, ("both.csv",), ()], ids=["a file each", "a column", "the spec's"])
def test_requests_of_a_trace_go_to_pools_of_the_model_that_they_ask_for(
    traces: tuple[str, ...], tmp_path: Path
) -> None:
    found = played(tmp_path, planned(), *traces)
    asked = {LLAMA: len(CHAT), QWEN: len(CODE)}
    lost = 0 if traces == ("both.csv",) else 5  # files of their own end with the shortest
    assert set(found.outcomes) == {Outcome.OK}
    for group in (found.classes, found.pools):
        for model, count in asked.items():
            assert count - lost <= sum(one.requests for one in group if one.model == model) <= count
    assert found.requests == sum(one.requests for one in found.models)
    assert [one.name for one in found.models] == [LLAMA, QWEN]


def test_what_each_model_s_requests_cost_adds_up_and_is_told(tmp_path: Path) -> None:
    found = played(tmp_path, planned(), *BOTH)
    assert math.fsum(one.usd for one in found.models) == pytest.approx(found.usd)
    tokens = [sum(rows[1] + rows[2] for rows in of) for of in (CHAT, CODE)]
    for one, own in zip(found.models, tokens, strict=True):
        assert one.usd_per_million_tokens == pytest.approx(one.usd / own * 1e6, rel=0.1)
        assert one.attainment == 1.0
        assert one.ttft_percentiles is not None
    for page in (as_text(found), as_html(found)):
        assert "tokens per second" in page
        assert all(model in page for model in (LLAMA, QWEN))
    single = simulate(
        SimulationAsked(spec=specs.asked(tmp_path, alone(LLAMA)), stretch=Stretch(duration_seconds=20.0)),
        print,
    )
    assert (single.models, single.classes[0].model, single.pools[0].model) == ((), "", "")


def test_a_fault_of_one_model_s_pool_leaves_the_other_alone(tmp_path: Path) -> None:
    plan = planned()
    spec(tmp_path, FILES)
    lost = next(p.name for p in plan.pools if p.configuration.model == QWEN)
    asked = SimulationAsked(
        spec=specs.asked(tmp_path, spec(tmp_path, FILES)),
        traces=(str(tmp_path / "both.csv"),),
        faults=(f"lose,pool={lost},at_seconds=10",),
    )
    llama, qwen = simulate(asked, lambda _: None).models
    assert llama.answered == llama.requests == len(CHAT)
    assert qwen.answered < qwen.requests / 2


def test_at_a_rate_in_a_burst_and_drawn_anew_each_keeps_its_model(tmp_path: Path) -> None:
    asked = SimulationAsked(
        spec=specs.asked(tmp_path, spec(tmp_path, ONE_FILE)),
        faults=("burst,at_seconds=20,for_seconds=10,factor=3",),
        stretch=Stretch(requests_per_second=14.0),
        runs=2,
    )
    found = simulate(asked, lambda _: None)
    llama, qwen = (one.requests for one in found.models)
    assert llama + qwen == found.requests == pytest.approx(14 * 60 + 2 * 140, rel=0.15)
    assert llama / qwen == pytest.approx(6.0, rel=0.35)


def test_origins_of_traced_requests_are_those_of_classes_of_their_model(tmp_path: Path) -> None:
    plan = planned(FILES, ORIGINS)
    found = played(tmp_path, plan, *BOTH)
    for model in (LLAMA, QWEN):
        eu, us = (
            sum(c.requests for c in found.classes if c.model == model and c.name.endswith(f"@{origin}"))
            for origin in ("eu", "us")
        )
        assert eu / (eu + us) == pytest.approx(0.75, abs=0.15)


@pytest.mark.parametrize(
    ("traces", "kind", "told"),
    [
        (("chat.csv",), TraceError, "chat.csv:1: no column 'model' says which of 2 models"),
        (("chat.csv", "code.csv"), UsageError, f"several traces are one for each model, {LLAMA}, {QWEN}"),
        (BOTH[:1], UsageError, f"--trace: no file has requests for {QWEN}"),
        ((BOTH[0], BOTH[0]), UsageError, "several traces are one for each model"),
        ((BOTH[0], "qwen=code.csv"), UnknownNameError, "unknown model of the plan 'qwen' at --trace qwen="),
        ((BOTH[0], f"{QWEN}=none.csv"), TraceError, "none.csv cannot be read"),
    ],
)  # fmt: skip
def test_traces_that_are_not_the_plan_s_are_told_apart(
    traces: tuple[str, ...], kind: type[HetopsError], told: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        played(tmp_path, planned(), *traces)
    assert told in caught.value.message


def test_a_changed_plan_with_a_class_of_no_model_is_told_though_it_is_not_checked(tmp_path: Path) -> None:
    plan = planned()
    first, *others = plan.workload.classes
    changed = replace(plan, workload=replace(plan.workload, classes=(replace(first, model=""), *others)))
    path = tmp_path / "plan.json"
    path.write_bytes(codec.encode(changed))
    with pytest.raises(HetopsError, match=f"class {first.name} does not say which of several models"):
        simulate(SimulationAsked(spec=specs.asked(tmp_path), plan_file=path, unchecked=True), print)


def test_a_model_of_which_all_is_turned_away_has_no_pool_and_is_played(tmp_path: Path) -> None:
    cheap = f'[[targets.overrides]]\nmodel = "{LLAMA}"\nshed_usd_per_request = 0.0000001\n'
    plan = planned(FILES, cheap)
    assert {p.configuration.model for p in plan.pools} == {QWEN}
    llama, qwen = played(tmp_path, plan, *BOTH).models
    assert (llama.name, llama.answered, llama.requests) == (LLAMA, 0, len(CHAT))
    assert qwen.answered == qwen.requests > 0


def test_a_spec_of_other_models_beside_the_plan_is_an_error_that_says_what_to_name(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(codec.encode(planned()))
    csv(tmp_path / "chat.csv", CHAT)
    text = specs.TRACED.replace(str(specs.TRACE), "chat.csv")
    with pytest.raises(
        HetopsError, match=r"chat\.csv has requests for one that it does not name, the plan serves"
    ) as none:
        simulate(SimulationAsked(spec=specs.asked(tmp_path, text), plan_file=path), print)
    assert "-f" in none.value.hint


def test_a_request_that_is_too_long_for_its_own_model_is_an_error_though_another_s_context_holds_it(
    tmp_path: Path,
) -> None:
    plan = planned()
    longest = {
        m: max(p.configuration.max_context_tokens for p in plan.pools if p.configuration.model == m)
        for m in (LLAMA, QWEN)
    }
    small, large = sorted(longest, key=lambda m: longest[m])
    assert longest[small] < longest[large]
    path = tmp_path / "plan.json"
    path.write_bytes(codec.encode(plan))
    rows = [(0, 9, 9, small), (1, 9, 9, small), (2, longest[small], 9, small), (3, 9, 9, large)]
    csv(tmp_path / "both.csv", rows, "model")
    asked = SimulationAsked(
        spec=specs.asked(tmp_path, TWO), plan_file=path, traces=(str(tmp_path / "both.csv"),)
    )
    with pytest.raises(HetopsError) as none:
        simulate(asked, print)
    told = f"1 request of 3 for {small} needs more than the {longest[small]:,} tokens"
    assert none.value.message.startswith(told)
