"""A plan in virtual time: it keeps its shares, hangs on nothing but its input, and says what the input lacks."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetops.app.candidates import Asked
from hetops.app.played_requests import MOST_REQUESTS, UNTRACED, Stretch
from hetops.app.simulate import SimulationAsked, simulate, write_html
from hetops.app.virtual_fleet import evaluate
from hetops.domain import codec
from hetops.domain.observation import Outcome
from hetops.domain.plan import Plan
from hetops.errors import DocumentError, HetopsError, PolicyError, TraceError, UnknownNameError, UsageError
from hetops.reports.simulation import Ended, Simulation
from hetops.simulate.arrivals import of_classes
from tests.doubles import plans, specs
from tests.simulate.fleets import pool


def told(share: float) -> None:
    """How far it is."""
    assert 0 <= share <= 1


def written(folder: Path, plan: Plan | None = None) -> Path:
    """A plan as a file."""
    path = folder / "plan.json"
    path.write_bytes(codec.encode(plan or plans.certified(plans.plan())))
    return path


def question(folder: Path, **fields: Any) -> SimulationAsked:
    """What a command in the folder would ask of the small plan; any field may be another, also of the stretch that is played."""
    environment: Mapping[str, str] = {"HOME": os.environ["HOME"]}
    given: dict[str, Any] = {
        "spec": Asked(file=None, folder=folder, environment=environment, now=specs.NOW),
        "plan_file": fields.get("plan_file") or written(folder),
    }
    names = {field.name for field in dataclasses.fields(Stretch)}
    stretch: dict[str, Any] = {"duration_seconds": 300.0} | {n: fields.pop(n) for n in names & set(fields)}
    return SimulationAsked(stretch=Stretch(**stretch), **(given | fields))


def trace(folder: Path, *rows: tuple[float, int, int]) -> str:
    """A trace as a file."""
    path = folder / "trace.csv"
    lines = ["timestamp,input_tokens,output_tokens", *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_requests_go_where_the_plan_says_and_the_figures_add_up(tmp_path: Path) -> None:
    found = simulate(question(tmp_path, duration_seconds=1000.0), told)
    assert found.trace == UNTRACED
    assert found.outcomes == {Outcome.OK: found.requests}
    assert found.ended is Ended.WHOLE
    assert sum(c.requests for c in found.classes) == sum(p.requests for p in found.pools) == found.requests
    chat, code = found.classes
    assert chat.requests_per_second.measured == pytest.approx(3.0, rel=0.1)
    assert chat.shares["l4-fp8"].measured == pytest.approx(0.6, abs=0.002)
    assert {name: s.measured for name, s in code.shares.items()} == {"l40s-fp8": 1.0}
    assert chat.ttft_seconds.planned == 0.41
    assert chat.ttft_percentiles is not None
    assert chat.ttft_seconds.measured == chat.ttft_percentiles.p90
    assert chat.attainment == 1.0
    assert chat.late == code.late == ()


def test_utilisation_is_reckoned_as_the_certificate_reckons_it(tmp_path: Path) -> None:
    found = simulate(question(tmp_path, duration_seconds=1000.0), told)
    by_name = {p.name: p for p in found.pools}
    l4 = by_name["l4-fp8"]
    assert l4.utilisation.measured == pytest.approx(l4.requests / 1000.0 / (1.1 * 0.9) / 2)
    l40s = found.classes[0].shares["l40s-fp8"].measured, found.classes[1].requests
    assert l40s[0] is not None
    chat = l40s[0] * found.classes[0].requests
    assert by_name["l40s-fp8"].utilisation.measured == pytest.approx(
        (chat / 2.4 + l40s[1] / 4.0) / 0.9 / 1000.0
    )


def test_the_bill_is_for_the_time_and_the_nodes_that_were_there(tmp_path: Path) -> None:
    whole = simulate(question(tmp_path), told)
    assert whole.usd == pytest.approx(3.5 * whole.answered_seconds / 3600)
    lost = simulate(question(tmp_path, faults=("lose,pool=l40s-fp8,at_seconds=100,for_seconds=100",)), told)
    assert lost.usd == pytest.approx((3.5 * lost.answered_seconds - 1.9 * 100) / 3600)


def test_targets_that_a_burst_broke_are_told_with_its_rate(tmp_path: Path) -> None:
    found = simulate(question(tmp_path, faults=("burst,at_seconds=60",)), told)
    assert any(c.late for c in found.classes)
    assert any("in the busiest minute, 4 are planned for: workload.periods" in n for n in found.notes), (
        found.notes
    )
    calm = simulate(question(tmp_path), told)
    assert not any("busiest minute" in note for note in calm.notes)


def test_the_same_question_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    fields = {
        "faults": ("lose,pool=l4-fp8,at_seconds=60,for_seconds=60,nodes=1", "burst,at_seconds=200,factor=3"),
        "runs": 2,
    }
    first, again = (codec.encode(simulate(question(tmp_path, **fields), told)) for _ in range(2))
    assert first == again
    assert first != codec.encode(simulate(question(tmp_path, **fields, seed=7), told))


def test_the_document_reads_back(tmp_path: Path) -> None:
    found = simulate(question(tmp_path, runs=2), told)
    assert codec.decode(Simulation, codec.encode(found), source="test") == found


def test_a_trace_is_played_as_recorded_and_its_rate_is_told_against_the_plan_s(tmp_path: Path) -> None:
    found = simulate(
        question(tmp_path, traces=(str(specs.TRACE),), duration_seconds=150.0, start_seconds=60.0, speed=2.0),
        told,
    )
    assert found.trace == specs.TRACE.name
    assert found.seconds == 150.0
    assert any("requests a second came" in note for note in found.notes)


def test_a_rate_replaces_the_recorded_times(tmp_path: Path) -> None:
    found = simulate(
        question(tmp_path, traces=(str(specs.TRACE),), duration_seconds=600.0, requests_per_second=2.0), told
    )
    assert found.requests == pytest.approx(1200, rel=0.1)


def test_runs_with_other_seeds_show_their_spread(tmp_path: Path) -> None:
    found = simulate(question(tmp_path, traces=(str(specs.TRACE),), duration_seconds=400.0, runs=3), told)
    alone = simulate(question(tmp_path, traces=(str(specs.TRACE),), duration_seconds=400.0), told)
    assert found.seeds == (0, 1, 2)
    assert replace(found, seeds=(0,), spread=()) == alone
    assert all(s.low <= s.median <= s.high for s in found.spread)
    assert any(s.low < s.high for s in found.spread)


def test_a_lost_provider_takes_what_it_had_and_the_router_finds_it_when_it_is_back(tmp_path: Path) -> None:
    found = simulate(
        question(
            tmp_path, duration_seconds=600.0, faults=("lose,provider=local,at_seconds=200,for_seconds=100",)
        ),
        told,
    )
    assert found.outcomes[Outcome.REFUSED] > 200
    assert found.outcomes[Outcome.ENGINE_ERROR] > 0
    within = {m.at_seconds: m.within_targets for m in found.moments}
    assert all(share == 1.0 for at, share in within.items() if at < 190)
    assert all(share == 0.0 for at, share in within.items() if 200 <= at < 290)
    assert all(share == 1.0 for at, share in within.items() if at > 320)
    assert {n for m in found.moments for n in m.replicas.values() if 200 <= m.at_seconds < 300} == {0}


def test_a_reclaimed_node_breaks_nothing_off_where_its_notice_is_long_enough(tmp_path: Path) -> None:
    kind = "reclaim,pool=l4-fp8,at_seconds=100,boot_seconds=60,nodes=2"
    gentle = simulate(question(tmp_path, faults=(f"{kind},notice_seconds=60",)), told)
    harsh = simulate(question(tmp_path, faults=(f"{kind},notice_seconds=0",)), told)
    assert set(gentle.outcomes) == {Outcome.OK}
    assert any("l4-fp8 is on_demand, which no provider takes back" in note for note in gentle.notes)
    assert harsh.outcomes[Outcome.ENGINE_ERROR] > 0


def test_a_burst_makes_queues_and_they_go_again(tmp_path: Path) -> None:
    found = simulate(question(tmp_path, faults=("burst,at_seconds=100,for_seconds=30",)), told)
    in_flight = {m.at_seconds: sum(m.in_flight.values()) for m in found.moments}
    before = max(n for at, n in in_flight.items() if at < 100)
    assert max(in_flight.values()) > 4 * before
    assert in_flight[max(in_flight)] <= before
    assert found.attainment is not None
    assert found.attainment < 1.0


def test_what_is_longer_than_every_context_is_an_error_with_both_lengths(tmp_path: Path) -> None:
    long = trace(tmp_path, (0.0, 100, 10), (1.0, 8000, 193), (2.0, 8192, 1))
    with pytest.raises(HetopsError) as fault:
        simulate(question(tmp_path, traces=(long,), duration_seconds=None), told)
    assert fault.value.message == (
        "2 requests of 3 need more than the 8,192 tokens that the plan's largest context holds, the longest 8,193"
    )


def test_what_fits_to_the_last_token_is_played(tmp_path: Path) -> None:
    just = trace(tmp_path, (0.0, 100, 10), (1.0, 8000, 192))
    found = simulate(question(tmp_path, traces=(just,), duration_seconds=None), told)
    assert found.outcomes == {Outcome.OK: 2}


WRONG: Mapping[str, tuple[dict[str, Any], type[HetopsError], str]] = {
    "rate and speed": ({"requests_per_second": 1.0, "speed": 2.0}, UsageError, "both say how fast"),
    "no such pool": (
        {"faults": ("lose,pool=l4-fp16,at_seconds=1",)},
        UnknownNameError,
        "unknown pool 'l4-fp16'",
    ),
    "after the end": ({"faults": ("slow,pool=l4-fp8,at_seconds=300",)}, HetopsError, "nothing comes after"),
    "a burst after the end": ({"faults": ("burst,at_seconds=9000",)}, HetopsError, "nothing comes after"),
    "no file": ({"faults_file": Path("none.toml")}, HetopsError, "faults none.toml cannot be read"),
    "a window outside": (
        {"traces": (str(specs.TRACE),), "start_seconds": 1e6},
        TraceError,
        "0 requests from 1,000,000 s on",
    ),
    "nobody comes": ({"traces": (str(specs.TRACE),), "requests_per_second": 1e-6}, HetopsError, "no request comes"),
    "too many": (
        {"traces": (str(specs.TRACE),), "requests_per_second": 1e5},
        HetopsError,
        f"too many for one simulation, at most {MOST_REQUESTS:,}",
    ),
    "too large a burst": (
        {"traces": (str(specs.TRACE),), "requests_per_second": 1e3,
         "faults": ("burst,at_seconds=0,for_seconds=300,factor=1000",)}, HetopsError, "too many for one simulation",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_go_together_is_an_error_that_says_so(what: str, tmp_path: Path) -> None:
    fields, kind, message = WRONG[what]
    with pytest.raises(kind) as fault:
        simulate(question(tmp_path, **fields), told)
    assert message in fault.value.message


def test_an_empty_trace_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"trace\.csv: no request"):
        simulate(question(tmp_path, traces=(trace(tmp_path),), duration_seconds=None), told)


def test_a_plan_that_cannot_be_played_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    plan = plans.plan()
    untimed = replace(plan, pools=tuple(replace(p, step_times=None) for p in plan.pools))
    for lacking, message in (
        (untimed, "pools: l4-fp8 carries no step_times"),
        (replace(plan, shares=()), "no class has a share of a pool"),
    ):
        with pytest.raises(HetopsError, match=message):
            simulate(question(tmp_path, plan_file=written(tmp_path, lacking), unchecked=True), told)
    (tmp_path / "plan.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DocumentError, match="format is None") as fault:
        simulate(question(tmp_path, plan_file=tmp_path / "plan.json"), told)
    assert "hetops plan -o FILE" in fault.value.hint


@pytest.mark.parametrize(
    ("step_times", "message"),
    [
        (
            {"weights_seconds": 1e300},
            "pool l4-fp8: step_times: weights_seconds of 1e+300 does not lie between 0 and",
        ),
        ({"prefill_seconds_per_token": -1.0}, "prefill_seconds_per_token of -1 does not lie"),
        ({"pipeline_stages": 0}, "pipeline_stages of 0 does not lie between 1 and 1000"),
        ({"sharpness": 0.0}, "sharpness of 0 does not lie"),
    ],
)
def test_step_times_that_no_engine_has_are_refused(
    step_times: dict[str, Any], message: str, tmp_path: Path
) -> None:
    first, *others = plans.plan().pools
    odd = replace(first, step_times=replace(plans.STEP_TIMES, **step_times))
    path = written(tmp_path, replace(plans.plan(), pools=(odd, *others)))
    with pytest.raises(HetopsError) as fault:
        simulate(question(tmp_path, plan_file=path, unchecked=True), told)
    assert message in fault.value.message


def test_parts_of_a_plan_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    plan = plans.plan()
    first, *others = plan.pools
    renamed = replace(plan, pools=(replace(first, name="l4"), *others))
    with pytest.raises(HetopsError, match=r"plan\.json: shares of chat: there is no pool l4-fp8"):
        simulate(question(tmp_path, plan_file=written(tmp_path, renamed), unchecked=True), told)
    many = replace(plan, pools=(replace(first, nodes=10**9), *others))
    with pytest.raises(HetopsError, match="1,000,000,001 replicas are too many to play"):
        simulate(question(tmp_path, plan_file=written(tmp_path, many), unchecked=True), told)


def test_a_plan_that_somebody_changed_is_refused_as_up_does_and_played_where_that_is_asked_for(
    tmp_path: Path,
) -> None:
    plan = plans.certified(plans.plan())
    path = written(tmp_path, replace(plan, pools=(replace(plan.pools[0], nodes=1), *plan.pools[1:])))
    with pytest.raises(PolicyError, match="certificate does not check: it breaks capacity") as fault:
        simulate(question(tmp_path, plan_file=path), told)
    assert any("l4-fp8: uses 181.8182 % of its capacity" in told for told in fault.value.details)
    played = simulate(question(tmp_path, plan_file=path, unchecked=True), told)
    assert any("certificate does not check: it breaks capacity" in note for note in played.notes)
    assert {p.name: p.replicas for p in played.pools}["l4-fp8"] == 1


def test_without_a_plan_file_it_is_the_spec_s_plan(tmp_path: Path) -> None:
    asked = specs.asked(tmp_path)
    found = simulate(SimulationAsked(spec=asked, stretch=Stretch(duration_seconds=120.0)), told)
    assert [c.name for c in found.classes] == ["short", "long"]
    assert found.attainment == pytest.approx(1.0, abs=0.05)
    assert not any("certificate" in note for note in found.notes)


def test_the_page_is_written_whole_or_the_old_one_stays(tmp_path: Path) -> None:
    found = simulate(question(tmp_path), told)
    write_html(found, tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(HetopsError, match="could not be written"):
        write_html(found, tmp_path / "nowhere" / "a.html")


def test_an_evaluation_tells_the_better_shares_from_the_worse() -> None:
    classes = (plans.workload_class("chat", 6.0, 400, 100),)
    arrivals = of_classes(classes, 200.0, np.random.default_rng(0))
    pools = [pool("a"), pool("b", nodes=3)]
    labels = [0] * len(arrivals)
    good, bad = (
        evaluate(pools, classes, {"chat": {"a": a, "b": 1 - a}}, arrivals, labels)[0] for a in (0.25, 1.0)
    )
    assert good.attainment == 1.0
    assert good.requests == bad.requests == len(arrivals)
    assert bad.ttft is not None
    assert good.ttft is not None
    assert bad.attainment is not None
    assert bad.attainment < good.attainment
    assert bad.ttft.p99 > 2 * good.ttft.p99


def test_ctrl_c_in_a_later_run_keeps_those_before_it(tmp_path: Path) -> None:
    def stop(share: float) -> None:
        if share > 0.55:
            raise KeyboardInterrupt

    found = simulate(question(tmp_path, duration_seconds=2000.0, runs=4), stop)
    assert found.ended is Ended.STOPPED
    assert found.seeds == (0, 1)
    assert found.outcomes == {Outcome.OK: found.requests}


def test_ctrl_c_before_anything_was_over_is_a_cancelled_command(tmp_path: Path) -> None:
    def stop(share: float) -> None:
        del share
        raise KeyboardInterrupt

    slow = ("slow,provider=local,at_seconds=0,factor=90000,nodes=3",)
    with pytest.raises(KeyboardInterrupt):
        simulate(question(tmp_path, duration_seconds=2000.0, faults=slow), stop)
