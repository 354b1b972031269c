"""Prefill and decode apart in a spec's plan: where they pay, where they do not, what is checked of them, and what refuses them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hetops.app.day import find_day
from hetops.app.frontier import FrontierAsked, frontier
from hetops.app.plan import make_plan
from hetops.app.pose import pose
from hetops.app.preconditions import check_whole_requests
from hetops.app.roles import formats_unbeaten
from hetops.domain import codec
from hetops.domain.configuration import Configuration, Role
from hetops.domain.day import Day
from hetops.domain.model import Precision
from hetops.domain.performance import Binding, Evidence, EvidenceLayer, PerformanceRow
from hetops.domain.plan import Plan
from hetops.errors import InfeasibleError, PolicyError, SpecError
from hetops.performance.table import PerformanceTable
from hetops.reports import plan as report
from hetops.solver.recheck.day import recheck_day
from hetops.solver.recheck.plan import recheck, seal
from hetops.solver.solve import Effort
from hetops.solver.terms import Role as Part
from hetops.solver.terms import exact
from hetops.stack.inputs import FleetInputs
from tests.doubles import specs
from tests.doubles.apart import APART, WHOLE
from tests.doubles.two_models import TWO

OVERFLOW = """
[[overflow]]
name = "api"
url = "https://api.example.com/v1"
model = "vendor/llama"
api_key_variable = "KEY"
usd_per_million_input_tokens = 0.6
usd_per_million_output_tokens = 0.6
ttft_seconds = 1.0
tpot_seconds = 0.02
requests_per_minute = 60
tokens_per_minute = 1000000
max_context_tokens = 32000
"""


@cache
def planned(*overrides: str, text: str = APART) -> Plan:
    """The plan of the spec with other fields."""
    with TemporaryDirectory() as folder:
        return make_plan(specs.asked(Path(folder), text, *overrides))


def roles(plan: Plan) -> set[Role]:
    return {pool.configuration.role for pool in plan.pools}


def test_long_prompts_with_a_tight_tpot_are_prefilled_apart_and_the_plan_says_what_that_saves() -> None:
    plan, whole = planned(), planned(text=WHOLE)
    assert roles(plan) == {Role.PREFILL, Role.DECODE}
    assert roles(whole) == {Role.MIXED}
    (told,) = plan.term_costs
    assert (told.usd_per_hour, told.usd_per_hour_without) == (plan.usd_per_hour, whole.usd_per_hour)
    assert plan.usd_per_hour < whole.usd_per_hour
    saved = whole.usd_per_hour - plan.usd_per_hour
    assert f"Letting prefill and decode stand apart saves ${saved:,.2f} /h" in report.as_text(plan)
    assert recheck(plan) == ()


def test_a_plan_tells_which_pool_feeds_which_and_by_how_much() -> None:
    plan = planned()
    prefilled = {p.name for p in plan.pools if p.configuration.role is Role.PREFILL}
    assert {s.pool for s in plan.shares} == prefilled
    assert sum(exact(s.share) for s in plan.shares) == sum(exact(h.share) for h in plan.handovers) == 1
    for one in plan.handovers:
        source, target = plan.pool(one.source), plan.pool(one.target)
        assert source.offer.place == target.offer.place
        assert source.configuration.kv_format == target.configuration.kv_format
        assert one.requests_per_second == pytest.approx(one.share * 6.0)
    assert {s.pool for s in plan.answers} == {h.target for h in plan.handovers}
    assert "PREFILLED BY" in report.as_text(plan)
    told = report.as_text(plan)
    assert "decode alone" in told
    (decode,) = {h.target for h in plan.handovers}
    assert f" %, then {decode} 100 %" in told


def test_a_frontier_tells_which_nodes_prefill_and_which_decode(tmp_path: Path) -> None:
    """Of a fleet that serves whole requests nothing is told of roles."""
    apart, whole = (
        frontier(
            FrontierAsked(spec=specs.asked(tmp_path, text), target_factors=(1.0,)), lambda _: None
        ).points[0]
        for text in (APART, WHOLE)
    )
    assert set(apart.roles) == set(apart.nodes)
    assert {role for of in apart.roles.values() for role in of} == {Part.PREFILL, Part.DECODE}
    assert whole.nodes
    assert not whole.roles


def test_what_nobody_measured_is_a_prior_and_its_time_to_the_first_token_has_the_way_in_it() -> None:
    plan = planned()
    assert {e.layer for e in plan.evidence} == {EvidenceLayer.PRIOR}
    (found,) = plan.forecasts
    parts = {plan.pool(s.pool).configuration.role: s for s in plan.loads}
    prefill = next(r for r in plan.performance if r.configuration.endswith("/prefill"))
    assert set(parts) == {Role.PREFILL, Role.DECODE}
    assert prefill.evidence.margin > 0.25
    (told,) = [w for w in plan.warnings if "speeds" in w]
    assert told.startswith("speeds of prefill and decode apart are those of whole replicas")
    way = 6000 * 327_680 / 12.5e9
    assert way < found.ttft_seconds <= 3.0
    assert found.tpot_seconds <= 0.04


@pytest.mark.parametrize(
    "override", ["engine.disaggregation.gb_per_second=0.5", "targets.tpot_seconds=2.0"], ids=["slow", "loose"]
)
def test_where_it_does_not_pay_the_plan_is_that_without_it_and_says_so(override: str) -> None:
    """A prompt's KV takes four seconds, of three that there are; or nothing hurries the tokens."""
    plan = planned(override)
    other = () if "engine" in override else (override,)
    assert roles(plan) == {Role.MIXED}
    assert plan.usd_per_hour == planned(*other, text=WHOLE).usd_per_hour
    assert plan.handovers == ()
    assert "stand apart costs nothing" in report.as_text(plan)


def test_a_class_that_could_only_be_prefilled_is_told_as_one_that_nothing_serves() -> None:
    """No step of decoding takes a tenth of a millisecond; of the prompts' time three seconds are enough."""
    with pytest.raises(InfeasibleError, match="serves rag within the targets") as none:
        planned("targets.tpot_seconds=0.0001")
    (nearest, *_) = none.value.details
    assert nearest.startswith("rag: nearest is llama-3.1-70b/")
    assert "a decode step alone takes" in nearest
    assert "/prefill" not in nearest


def test_kv_caches_go_nowhere_but_within_one_place() -> None:
    """Prefill and decode on providers of their own cannot be joined, though each alone would be the cheapest."""
    posed_offers = planned()
    places = {pool.offer.place for pool in posed_offers.pools}
    assert len(places) == 1
    with TemporaryDirectory() as folder:
        problem = pose(specs.asked(Path(folder), APART)).problem
    assert {o.network for o in problem.offers} == {o.zone for o in problem.offers}
    assert len({o.network for o in problem.offers}) > 1


def _edited(plan: Plan, **fields: object) -> set[str]:
    return {v.rule for v in recheck(seal(replace(plan, **fields)))}  # type: ignore[arg-type]


def test_a_plan_whose_handovers_were_edited_is_refused() -> None:
    plan = planned()
    first, *rest = plan.handovers
    decode = next(p for p in plan.pools if p.configuration.role is Role.DECODE)
    edits: dict[str, dict[str, object]] = {
        "dropped": {"handovers": tuple(rest)},
        "less": {"handovers": (replace(first, share=first.share / 2), *rest)},
        "rate": {"handovers": (replace(first, requests_per_second=99.0), *rest)},
        "twice": {"handovers": (first, first, *rest)},
        "to what prefills": {"handovers": (replace(first, target=first.source), *rest)},
        "to nothing": {"handovers": (replace(first, target="nothing"), *rest)},
        "asked first of what decodes": {
            "shares": tuple(
                replace(s, pool=decode.name) if s.pool == first.source else s for s in plan.shares
            )
        },
        "another format": {
            "pools": tuple(
                replace(p, configuration=replace(p.configuration, engine="sglang")) if p is decode else p
                for p in plan.pools
            )
        },
        "another place": {
            "pools": tuple(
                replace(p, offer=replace(p.offer, region="eu-west-1")) if p is decode else p
                for p in plan.pools
            )
        },
    }
    for name, edit in edits.items():
        assert "handovers" in _edited(plan, **edit), name
    fewer = tuple(replace(h, share=h.share * 0.9) for h in plan.handovers)
    assert "capacity" in _edited(plan, handovers=fewer)


def test_a_service_takes_what_overflows_of_whole_requests() -> None:
    """One a second of six goes there whole; the rest is handed over."""
    plan = planned(text=APART + OVERFLOW)
    assert recheck(plan) == ()
    whole = {s.pool: s.share for s in plan.answers if s.pool == "api"}
    assert whole == {s.pool: s.share for s in plan.shares if s.pool == "api"}
    assert 0 < whole["api"] < 0.2
    assert sum(exact(s.share) for s in plan.answers) == 1


def _configuration(gpu: str, weights: Precision, role: Role) -> Configuration:
    return Configuration(
        model="m",
        engine="vllm",
        gpu=gpu,
        weights=weights,
        kv=Precision.BF16,
        checkpoint="m",
        max_sequences=8,
        max_context_tokens=64,
        role=role,
    )


def _sustains(one: Configuration, rate: float) -> PerformanceRow:
    return PerformanceRow(
        configuration=one.id,
        workload_class="chat",
        requests_per_second=rate,
        requests_per_second_low=rate,
        requests_per_second_high=rate,
        ttft_seconds=1.0,
        tpot_seconds=0.01,
        concurrency=1.0,
        binding=Binding.GIVEN,
        evidence=Evidence(layer=EvidenceLayer.GIVEN, source="by hand"),
    )


@pytest.mark.parametrize(("on_b", "kept"), [(1.0, {Precision.FP8}), (0.5, {Precision.FP8, Precision.BF16})])
def test_a_format_is_left_out_only_where_another_does_all_its_work(on_b: float, kept: set[Precision]) -> None:
    """FP8 is twice as fast on A; on B it is as fast as 16 bit, or half: then what A prefills may be decoded there in 16 bit."""
    rates = {
        _configuration(gpu, weights, role): rate
        for gpu, weights, rate in (
            ("A", Precision.BF16, 1.0),
            ("A", Precision.FP8, 2.0),
            ("B", Precision.BF16, 1.0),
            ("B", Precision.FP8, on_b),
        )
        for role in (Role.PREFILL, Role.DECODE)
    }
    rows = {(one.id, "chat", 0.0): _sustains(one, rate) for one, rate in rates.items()}
    table = PerformanceTable(rows=rows, step_times={})
    for order in (list(rates), list(rates)[::-1]):
        found = formats_unbeaten(order, table)
        assert {one.weights for of in found for one in of} == kept


def test_a_plan_file_comes_back_as_it_was() -> None:
    plan = planned()
    assert codec.decode(Plan, codec.encode(plan), source="test") == plan


def test_limits_on_shares_hold_for_prompts_and_for_answers() -> None:
    """At most half on A100 leaves the other half of the answers to H100."""
    limit = '[[policy.shares]]\nof = "gpu"\nnames = ["A100-80GB-SXM"]\nat_most = 0.5\n'
    plan = planned(text=APART + limit)
    assert recheck(plan) == ()
    on = {p.name: p.offer.gpu for p in plan.pools}
    for shares in (plan.shares, plan.answers):
        there = sum(Fraction(s.share) for s in shares if on[s.pool] == "A100-80GB-SXM")
        assert there <= Fraction(1, 2) + Fraction(1, 10**6)
    over = replace(planned().certificate.limits, shares=plan.certificate.limits.shares)  # type: ignore[type-var,union-attr]
    unlimited = planned()
    held = replace(unlimited, certificate=replace(unlimited.certificate, limits=over))
    assert "share limits" in {v.rule for v in recheck(seal(held))}


def test_a_day_hands_over_in_each_of_its_periods(tmp_path: Path) -> None:
    periods = "".join(
        f'[[policy.day.periods]]\nname = "{name}"\nhours = 8\nfactor = {factor}\n'
        for name, factor in (("day", 1.0), ("evening", 0.5), ("night", 0.0))
    )
    text = f"{APART}[policy.day]\nboot_minutes = 5\n{periods}"
    day = find_day(pose(specs.asked(tmp_path, text)), Effort()).document
    assert isinstance(day, Day)
    assert recheck_day(day) == ()
    assert [bool(period.plan.handovers) for period in day.periods] == [True, True, False]
    assert any(cost.text == "letting prefill and decode stand apart" for cost in day.term_costs)
    assert not any("the search ended" in warning for warning in day.warnings)


def test_models_hand_over_to_themselves_and_a_mean_quality_holds_for_both_parts() -> None:
    more = "[engine.disaggregation]\ngb_per_second = 5.0\n"
    text = TWO.replace("[offers]", f"{more}\n[offers]")
    plan = planned("targets.tpot_seconds=0.03", 'offers.gpus=["L40S","H100-SXM:1"]', text=text)
    assert recheck(plan) == ()
    for one in plan.handovers:
        model = plan.pool(one.source).configuration.model
        assert plan.pool(one.target).configuration.model == model
        assert next(c for c in plan.workload.classes if c.name == one.workload_class).asks_for(model)
    kept = planned("model.mean_quality=0.99")
    assert kept.forecasts[0].mean_quality is not None
    assert 0.99 <= kept.forecasts[0].mean_quality <= 1.01
    assert recheck(kept) == ()


def test_such_a_plan_is_for_planning_only() -> None:
    plan = planned()
    check_whole_requests(planned(text=WHOLE))
    with pytest.raises(PolicyError, match="prefill and decode apart can only be planned with"):
        check_whole_requests(plan)
    with pytest.raises(ValueError, match="does a part of each request"):
        FleetInputs(plan=plan)


def test_what_is_left_after_a_loss_prefills_and_decodes_in_one_place() -> None:
    free, plan = planned(), planned(text=APART + '[[policy.survive]]\nlosing = "zone"\nkept_share = 0.5\n')
    assert plan.usd_per_hour > free.usd_per_hour
    assert recheck(plan) == ()
    assert len({pool.offer.place for pool in plan.pools}) == len(plan.covers) == 2
    assert "50 %  a100" in report.as_text(plan), "what is prefilled and decoded is served once"
    decoding = {p.name for p in plan.pools if p.configuration.role is Role.DECODE}
    for i, cover in enumerate(plan.covers):
        for decodes, message in ((False, "is served, must be"), (True, "more is prefilled than decoded")):
            less = (
                replace(s, share=0.9 * s.share) if (s.pool in decoding) == decodes else s
                for s in cover.shares
            )
            covers = (*plan.covers[:i], replace(cover, shares=tuple(less)), *plan.covers[i + 1 :])
            told = {v.message for v in recheck(seal(replace(plan, covers=covers)))}
            assert any(message in one for one in told)


FAR = """
[[origins]]
name = "far"
share = 1.0

[[network]]
round_trip_seconds = 1.0
usd_per_gb = 0.09
"""


def test_the_way_is_taken_off_the_prompts_part_once_and_answers_cost_egress_once() -> None:
    one = APART.replace("[model]\n", '[model]\nprecisions = ["fp8"]\n')
    near, far = planned(text=one), planned(text=one + FAR)
    assert recheck(far) == ()
    assert roles(far) == {Role.PREFILL, Role.DECODE}
    decoding = {p.name for p in far.pools if p.configuration.role is Role.DECODE}
    rows = {r.configuration: r.requests_per_second for r in far.performance}
    both = [r for r in near.performance if r.configuration in rows]
    assert {r.configuration.endswith("/prefill") for r in both} == {False, True}
    for row in both:
        slower = rows[row.configuration] < row.requests_per_second
        assert slower == row.configuration.endswith("/prefill")
    assert far.network is not None
    paid = {way.destination: way.usd_per_hour for way in far.network.ways if way.usd_per_hour}
    assert paid.keys() == decoding
    answers = 6.0 * 200 * 3600 * far.network.bytes_per_output_token / 1e9 * 0.09
    assert float(far.egress_usd_per_hour) == pytest.approx(answers, abs=1e-5)
    (then,) = far.forecasts
    (before,) = near.forecasts
    assert 1.0 < then.ttft_seconds < 3.0
    assert then.ttft_seconds < before.ttft_seconds + 1.0, (
        "less is left for the prompt, so it waits less; the way counts once"
    )


def test_a_fleet_that_serves_whole_requests_can_change_into_one_apart(tmp_path: Path) -> None:
    whole, free = planned(text=WHOLE), planned()
    terms = "[policy.migration]\nusd_per_added_node = {0}\nusd_per_removed_node = 1\nhorizon_hours = 1\n"
    for usd, then in ((0.1, free), (1000, whole)):
        asked = specs.asked(tmp_path, APART + terms.format(usd))
        plan = make_plan(replace(asked, running=whole))
        assert recheck(plan) == ()
        assert (plan.usd_per_hour, roles(plan)) == (then.usd_per_hour, roles(then))
        assert plan.migration is not None
        assert plan.migration.running == whole.nodes


def test_a_fleet_apart_that_runs_is_planned_from_and_what_its_roles_save_counts_its_end(
    tmp_path: Path,
) -> None:
    free = planned()
    asked = specs.asked(
        tmp_path, APART + "[policy.migration]\nusd_per_removed_node = 24\nhorizon_hours = 24\n"
    )
    plan = make_plan(replace(asked, running=free))
    assert recheck(plan) == ()
    assert plan.nodes == free.nodes
    (without,) = (t.usd_per_hour_without for t in plan.term_costs if "prefill and decode" in t.text)
    assert without == planned(text=WHOLE).usd_per_hour + sum(free.nodes.values())


def test_it_is_refused_for_engines_that_cannot(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"disaggregation: llamacpp cannot hand KV caches over"):
        pose(specs.asked(tmp_path, APART.replace('"vllm"', '"llamacpp"') + "[providers.local]\n"))
