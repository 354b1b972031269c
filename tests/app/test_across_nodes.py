"""Replicas over several nodes in a spec's plan: where they pay, where they do not, what is checked of them, and what refuses them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hetops.app.candidates import candidates
from hetops.app.day import find_day
from hetops.app.frontier import FrontierAsked, frontier
from hetops.app.laid import laid_out
from hetops.app.plan import make_plan
from hetops.app.pose import pose
from hetops.app.preconditions import check_single_nodes
from hetops.app.sharing import sharing
from hetops.app.simulate import SimulationAsked, simulate
from hetops.domain import codec
from hetops.domain.configuration import StageGpus
from hetops.domain.day import Day
from hetops.domain.offer import Limits, Market
from hetops.domain.performance import EvidenceLayer
from hetops.domain.plan import NodesOf, Plan, PlannedPool
from hetops.errors import HetopsError, InfeasibleError, PolicyError, SpecError, UsageError
from hetops.reports import plan as report
from hetops.solver.recheck.day import recheck_day
from hetops.solver.recheck.plan import recheck, seal
from hetops.solver.solve import Effort
from hetops.solver.terms import Role as Part
from hetops.stack.inputs import FleetInputs
from tests.doubles import specs
from tests.doubles.across import ACROSS, FEW, WITHIN

ON_ONE = "[[policy.shares]]\nof = 'gpu'\nnames = ['H100-SXM']\nat_most = 0.6\n"


@cache
def planned(*overrides: str, text: str = ACROSS) -> Plan:
    """The plan of the spec with other fields."""
    with TemporaryDirectory() as folder:
        return make_plan(specs.asked(Path(folder), text, *overrides))


def over(plan: Plan) -> PlannedPool:
    """The pool whose replicas are over several nodes."""
    (found,) = (pool for pool in plan.pools if pool.also)
    return found


def test_a_model_that_nodes_are_small_for_is_cheaper_over_several_and_the_plan_says_what_that_saves() -> None:
    plan, within = planned(), planned(text=WITHIN)
    assert not any(pool.also for pool in within.pools)
    (told,) = plan.term_costs
    assert (told.usd_per_hour, told.usd_per_hour_without) == (plan.usd_per_hour, within.usd_per_hour)
    assert plan.usd_per_hour < within.usd_per_hour
    saved = within.usd_per_hour - plan.usd_per_hour
    text = report.as_text(plan)
    assert f"Letting replicas stand on several nodes saves ${saved:,.2f} /h" in text
    assert "1 aws p5.4xlarge us-east-1 on_demand + 2 aws g7e.2xlarge us-east-1 on_demand" in text
    assert "1 x (1 x 1 H100-SXM + 2 x 1 RTXPRO6000-Server)" in text
    assert recheck(plan) == ()


def test_where_there_is_one_node_of_each_offer_stages_are_on_unlike_gpus() -> None:
    plan = planned(FEW)
    pool = over(plan)
    assert {stage.gpu for stage in pool.configuration.stages} == {"H100-SXM", "RTXPRO6000-Server"}
    assert {offer.gpu for offer in pool.offers} == {"H100-SXM", "RTXPRO6000-Server"}
    assert len({offer.place for offer in pool.offers}) == 1
    assert pool.usd_per_hour == sum(offer.total_usd_per_hour for offer in pool.offers)
    assert "without it there is no fleet" in report.as_text(plan)
    assert recheck(plan) == ()
    with pytest.raises(InfeasibleError):
        planned(FEW, text=WITHIN)


@pytest.mark.parametrize("small", ['model.name="llama-3.1-8b"', "engine.across_nodes.gb_per_second=0.0001"])
def test_where_it_does_not_pay_the_plan_is_that_without_it_and_says_so(small: str) -> None:
    """A model that a GPU holds; or hidden states that take seconds from node to node."""
    plan = planned(small)
    other = () if "across" in small else (small,)
    assert not any(pool.also for pool in plan.pools)
    assert plan.usd_per_hour == planned(*other, text=WITHIN).usd_per_hour
    assert "several nodes costs nothing" in report.as_text(plan)


@pytest.mark.parametrize("most", [1, 3])
def test_pipelines_that_others_replace_are_of_no_use(most: int) -> None:
    """With a limit on pools that binds nothing all are offered to the solver, and none of them makes the fleet cheaper."""
    gpus = 'offers.gpus=["H100-SXM:1","RTXPRO6000-Server","L40S"]'
    asked = (gpus, f"policy.max_nodes_per_offer={most}", "policy.gap=1e-9")
    every = planned(*asked, "policy.max_pools=50")
    assert every.usd_per_hour == planned(*asked).usd_per_hour
    with TemporaryDirectory() as folder:
        more = pose(specs.asked(Path(folder), ACROSS, *asked, "policy.max_pools=50")).problem.columns
        fewer = pose(specs.asked(Path(folder), ACROSS, *asked)).problem.columns
    assert len(fewer) < len(more) / 2


def test_what_nobody_measured_is_a_prior_and_the_plan_warns_of_it() -> None:
    plan = planned(FEW)
    row = next(r for r in plan.performance if r.configuration == over(plan).configuration.id)
    assert row.evidence.layer is EvidenceLayer.PRIOR
    assert "several nodes" in row.evidence.source
    assert row.requests_per_second_low < row.requests_per_second < row.requests_per_second_high
    assert any(w.startswith("speeds of pipelines over several nodes") for w in plan.warnings)


def test_a_plan_file_comes_back_as_it_was() -> None:
    plan = planned(FEW)
    assert codec.decode(Plan, codec.encode(plan), source="test") == plan


def _edited(plan: Plan, pool: PlannedPool, **fields: object) -> set[str]:
    changed = replace(pool, **fields)  # type: ignore[arg-type]
    pools = tuple(changed if one is pool else one for one in plan.pools)
    return {v.rule for v in recheck(seal(replace(plan, pools=pools)))}


def test_a_plan_whose_nodes_were_edited_is_refused() -> None:
    plan = planned(FEW)
    pool = over(plan)
    (other,) = pool.also
    far = replace(other.offer, region="eu-west-1")
    alike = replace(other.offer, gpu="H100-SXM")
    idle = replace(other.offer, sku="g6e.xlarge", gpu="L40S")
    smaller = (StageGpus(gpu="H100-SXM", tensor_parallel=1), StageGpus(gpu="L40S", tensor_parallel=1))
    larger = (StageGpus(gpu="H100-SXM", tensor_parallel=1), StageGpus(gpu=other.offer.gpu, tensor_parallel=2))
    edits: dict[str, dict[str, object]] = {
        "alone": {"also": ()},
        "far away": {"also": (NodesOf(offer=far, nodes=1),)},
        "on the other's GPUs": {"also": (NodesOf(offer=alike, nodes=1),)},
        "more than there is room for": {"replicas_per_node": 2},
        "GPUs without a stage": {"also": (other, NodesOf(offer=idle, nodes=1))},
        "stages on other GPUs": {"configuration": replace(pool.configuration, stages=smaller)},
        "larger stages": {"configuration": replace(pool.configuration, stages=larger)},
        "no stages": {"configuration": replace(pool.configuration, stages=())},
        "the other way round": {"offer": other.offer, "also": (NodesOf(offer=pool.offer, nodes=1),)},
    }
    for name, edit in edits.items():
        assert "pools" in _edited(plan, pool, **edit), name
    two = {"also": (replace(other, nodes=2),)}
    assert {"stock", "cost"} <= _edited(plan, pool, **two)
    cheaper = replace(other.offer, usd_per_hour=other.offer.usd_per_hour / 2)
    assert "cost" in _edited(plan, pool, also=(NodesOf(offer=cheaper, nodes=1),))
    gone = replace(other.offer, limits=Limits(max_count=0))
    assert "stock" in _edited(plan, pool, also=(NodesOf(offer=gone, nodes=1),))
    reserved = replace(other.offer, market=Market.RESERVED)
    assert "rentals" in _edited(plan, pool, also=(NodesOf(offer=reserved, nodes=1),))


def test_a_part_of_a_node_goes_with_no_others() -> None:
    pool = over(planned(FEW))
    with pytest.raises(ValueError, match="a part of a node"):
        replace(pool, parts_per_node=2)
    with pytest.raises(ValueError, match="must be at least 1"):
        replace(pool, also=(replace(pool.also[0], nodes=0),))


def test_a_provider_budget_is_for_all_nodes_that_go_together() -> None:
    plan = planned(FEW)
    spent = sum((offer.total_usd_per_hour for pool in plan.pools for offer in pool.offers), Decimal(0))
    limits = plan.certificate.limits
    assert limits is not None
    for most, broken in ((spent, False), (spent - Decimal("0.01"), True)):
        held = replace(limits, provider_budgets_usd_per_hour={"aws": most})
        edited = replace(plan, certificate=replace(plan.certificate, limits=held))
        assert ("provider budgets" in {v.rule for v in recheck(seal(edited))}) is broken


def test_what_touches_a_gpu_type_counts_against_its_most_and_only_what_is_on_it_alone_for_its_least() -> None:
    """At most 60 % of long may be where an H100 is, if only as a stage."""
    plan = planned(FEW, text=ACROSS + ON_ONE)
    assert recheck(plan) == ()
    touching = {p.name for p in plan.pools if "H100-SXM" in {o.gpu for o in p.offers}}
    there = sum(Fraction(s.share) for s in plan.shares if s.workload_class == "long" and s.pool in touching)
    assert 0 < there <= Fraction(6, 10) + Fraction(1, 10**6)
    assert plan.usd_per_hour > planned(FEW).usd_per_hour
    free = planned(FEW)
    (rule,) = plan.certificate.limits.shares  # type: ignore[union-attr]
    for held in (rule, replace(rule, at_most=1.0, at_least=0.1)):
        limits = replace(free.certificate.limits, shares=(held,))  # type: ignore[type-var]
        edited = replace(free, certificate=replace(free.certificate, limits=limits))
        assert "share limits" in {v.rule for v in recheck(seal(edited))}


def test_a_replica_is_lost_with_any_of_its_nodes() -> None:
    losing = "[[policy.survive]]\nlosing = 'gpu'\nnames = ['H100-SXM']\nkept_share = 0.3\n"
    plan = planned(FEW, text=ACROSS + losing)
    assert recheck(plan) == ()
    (cover,) = plan.covers
    touching = {p.name for p in plan.pools if "H100-SXM" in {o.gpu for o in p.offers}}
    assert touching
    assert touching.isdisjoint(share.pool for share in cover.shares)
    (moved, *rest) = cover.shares
    back = replace(cover, shares=(replace(moved, pool=min(touching)), *rest))
    assert "losses" in {v.rule for v in recheck(seal(replace(plan, covers=(back,))))}


def test_a_stage_may_be_on_a_node_that_is_reserved() -> None:
    reserved = "[[reserved]]\noffer = 'p5.4xlarge'\nnodes = 1\nusd_per_hour = 4.0\n"
    plan = planned(FEW, text=ACROSS + reserved)
    assert recheck(plan) == ()
    assert over(plan).offer.market is Market.RESERVED
    (rental,) = plan.rentals
    assert plan.idle_nodes(rental) == 0
    on_demand = sum(
        (o.total_usd_per_hour for p in plan.pools for o in p.offers if o != rental.offer), Decimal(0)
    )
    assert plan.usd_per_hour == on_demand + Decimal("4.0")


def test_a_frontier_counts_all_nodes(tmp_path: Path) -> None:
    asked = FrontierAsked(spec=specs.asked(tmp_path, ACROSS, FEW), target_factors=(1.0,))
    (point,) = frontier(asked, lambda _: None).points
    assert point.nodes == {"RTXPRO6000-Server:1": 2, "H100-SXM:1": 1}


def test_a_day_starts_all_nodes_of_a_replica_together(tmp_path: Path) -> None:
    periods = "".join(
        f'[[policy.day.periods]]\nname = "{name}"\nhours = 12\nfactor = {factor}\n'
        for name, factor in (("day", 1.0), ("night", 0.0))
    )
    text = f"{ACROSS}[policy.day]\nboot_minutes = 30\n{periods}"
    day = find_day(pose(specs.asked(tmp_path, text, FEW)), Effort()).document
    assert isinstance(day, Day)
    assert recheck_day(day) == ()
    pool = over(day.periods[0].plan)
    (start,) = (s for s in day.starts if s.pool == pool.name)
    assert start.usd == pytest.approx(pool.usd_per_hour / 2)
    lower = tuple(replace(s, usd=s.usd / 2) if s is start else s for s in day.starts)
    assert "starts" in {v.rule for v in recheck_day(replace(day, starts=lower))}


def test_prefill_and_decode_apart_are_within_nodes_beside_them(tmp_path: Path) -> None:
    apart = ACROSS.replace("[offers]", "[engine.disaggregation]\ngb_per_second = 12.5\n\n[offers]")
    columns = pose(specs.asked(tmp_path, apart)).problem.columns
    assert {c.role for c in columns if c.also} == {Part.WHOLE}
    assert {c.role for c in columns} == set(Part)
    assert recheck(planned(text=apart)) == ()


def test_nodes_go_together_without_room_for_a_stage_left_over(tmp_path: Path) -> None:
    """Two stages of four GPUs on nodes of eight are no pipeline over nodes; with one on a node of four, two replicas are."""
    gpus = 'offers.gpus=["L40S:4","L40S:8","H100-SXM:8"]'
    found = candidates(specs.asked(tmp_path, ACROSS, gpus))
    size = {offer.id: (offer.gpu, offer.gpu_count) for offer in found.gathered.selection.offers}
    staged = [one for one in found.enumeration.configurations if one.stages]
    laid = list(laid_out(found, staged, sharing(found)))
    assert len(laid) > 100
    for one in laid:
        assert sum(one.nodes.values()) > 1
        for gpu in {stage.gpu for stage in one.configuration.stages}:
            (offer,) = (name for name in one.nodes if size[name][0] == gpu)
            mine = [s.tensor_parallel for s in one.configuration.stages if s.gpu == gpu]
            on_each = size[offer][1] // mine[0]
            assert len(mine) * one.replicas == on_each * one.nodes[offer]
    assert len({(one.offer, one.name) for one in laid}) == len(laid)


def test_such_a_plan_is_for_planning_only(tmp_path: Path) -> None:
    plan = planned(FEW)
    check_single_nodes(planned(text=WITHIN))
    with pytest.raises(PolicyError, match="over several nodes can only be planned with"):
        check_single_nodes(plan)
    with pytest.raises(ValueError, match="over several nodes"):
        FleetInputs(plan=plan)
    with pytest.raises(HetopsError, match="cannot be simulated yet"):
        simulate(SimulationAsked(spec=specs.asked(tmp_path, ACROSS, FEW)), lambda _: None)
    changed = replace(plan, pools=tuple(replace(pool, also=()) for pool in plan.pools))
    (tmp_path / "plan.json").write_bytes(codec.encode(changed))
    asked = SimulationAsked(
        spec=specs.asked(tmp_path, ACROSS), plan_file=tmp_path / "plan.json", unchecked=True
    )
    with pytest.raises(HetopsError, match="cannot be simulated yet"):
        simulate(asked, lambda _: None)


def test_what_does_not_go_with_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"engine\.across_nodes: replicas over several nodes are planned"):
        pose(specs.asked(tmp_path, f"{ACROSS}[policy.migration]\n"))
    with pytest.raises(UsageError, match="planned from nothing"):
        pose(replace(specs.asked(tmp_path, ACROSS), running=planned(text=WITHIN)))
