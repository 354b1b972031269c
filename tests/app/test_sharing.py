"""Models on slices of one GPU, from a spec: what is planned, how it can be placed, what is refused."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hetops.app.candidates import candidates
from hetops.app.day import find_day
from hetops.app.plan import make_plan
from hetops.app.pose import pose
from hetops.app.preconditions import check_whole_nodes
from hetops.domain import codec
from hetops.domain.day import Day
from hetops.domain.gpu import GpuSlice
from hetops.domain.packing import cut_gpus
from hetops.domain.performance import EvidenceLayer
from hetops.domain.plan import Plan
from hetops.errors import DocumentError, PolicyError
from hetops.reports import plan as report
from hetops.solver.recheck.day import recheck_day
from hetops.solver.recheck.plan import recheck, seal
from hetops.solver.solve import Effort
from tests.app.test_models import DAY
from tests.catalog.test_mig import placed
from tests.cli.process import hetops
from tests.doubles import specs
from tests.doubles.two_models import TWO, alone

SMALL = "qwen3-0.6b"
LLAMA = "llama-3.1-8b"
TEXT = TWO.replace("qwen3-32b", SMALL)
HOPPER = 'offers.gpus=["H100-SXM:1"]'
CUT = "policy.share_gpus=true"


@cache
def planned(*overrides: str, text: str = TEXT) -> Plan:
    """The plan of the spec with other fields."""
    with TemporaryDirectory() as folder:
        return make_plan(specs.asked(Path(folder), text, *overrides))


def test_two_small_models_are_on_one_gpu() -> None:
    """Whole GPUs are one for each model. A third has room for the larger one, a sixth for the smaller: half of the GPU is idle."""
    whole, cut = planned(HOPPER), planned(HOPPER, CUT)
    assert [(p.nodes, p.configuration.mig) for p in whole.pools] == [(1, None), (1, None)]
    slices = {
        p.configuration.model: (p.configuration.gpu, p.parts_per_node, p.nodes, p.replicas) for p in cut.pools
    }
    assert slices == {LLAMA: ("H100-SXM-2g.20gb", 3, 1, 1), SMALL: ("H100-SXM-1g.10gb", 6, 1, 1)}
    (rental,) = cut.rentals
    assert (rental.nodes, cut.idle_nodes(rental)) == (1, Fraction(1, 2))
    assert 2 * cut.usd_per_hour == whole.usd_per_hour
    assert recheck(cut) == ()
    assert codec.decode(Plan, codec.encode(cut), source="plan.json") == cut
    told = report.as_text(cut)
    assert "1 x 1 H100-SXM-2g.20gb" in told
    assert "0.5 in use, 0.5 idle for $" in told
    assert "  1 GPU cut into 1 x 2g.20gb for h100-sxm-2g-20gb-" in told


def test_speeds_of_slices_are_guesses_and_say_so() -> None:
    cut = planned(HOPPER, CUT)
    assert {row.evidence.layer for row in cut.performance} == {EvidenceLayer.PRIOR}
    assert all("in proportion to a slice" in row.evidence.source for row in cut.performance)
    told = [w for w in cut.warnings if "slice" in w or "guesses" in w]
    assert told == ["speeds of slices are those of their GPU in proportion: nobody measured a slice"]


@pytest.mark.parametrize("factor", [5, 20])
def test_whatever_is_planned_can_be_placed(factor: int) -> None:
    """By NVIDIA's own placements, on as many GPUs as are paid for."""
    rates = TEXT.replace("requests_per_second = 8.0", f"requests_per_second = {8 * factor}").replace(
        "requests_per_second = 1.0", f"requests_per_second = {7 * factor}"
    )
    plan = planned('offers.gpus=["H100-SXM","A100-40GB-SXM"]', CUT, text=rates)
    for rental in plan.rentals:
        own = [pool for pool in plan.pools if pool.offer.id == rental.offer.id]
        gpus = cut_gpus(own)
        profile = {p.name: p.configuration.mig.profile for p in own if p.configuration.mig}
        assert all(placed(rental.offer.gpu, [profile[name] for name in gpu]) for gpu in gpus)
        whole = sum(
            p.nodes * p.replicas_per_node * p.configuration.gpu_count for p in own if p.name not in profile
        )
        assert whole + len(gpus) <= rental.nodes * rental.offer.gpu_count
        counted = Counter(name for gpu in gpus for name in gpu)
        assert counted == {p.name: p.nodes for p in own if p.name in profile}
    assert recheck(plan) == ()


def test_any_slices_are_packed_on_as_few_gpus_as_they_add_up_to() -> None:
    """Every number of halves, thirds and sixths up to five of each, by NVIDIA's own placements."""
    pool = planned(HOPPER, CUT).pools[0]
    kinds = [
        GpuSlice(of="H100-SXM", profile=name, parts=n)
        for name, n in (("1g.10gb", 6), ("2g.20gb", 3), ("3g.40gb", 2))
    ]
    pools = [
        replace(
            pool,
            name=k.profile,
            configuration=replace(pool.configuration, gpu=k.name, mig=k),
            parts_per_node=k.parts,
        )
        for k in kinds
    ]
    for counts in itertools.product(range(6), repeat=3):
        own = [replace(one, nodes=n) for one, n in zip(pools, counts, strict=True) if n]
        gpus = cut_gpus(own)
        assert len(gpus) == math.ceil(sum(Fraction(n, k.parts) for n, k in zip(counts, kinds, strict=True)))
        assert all(placed("H100-SXM", gpu) for gpu in gpus)
        assert Counter(name for gpu in gpus for name in gpu) == {one.name: one.nodes for one in own}


def test_models_may_have_a_whole_gpu_beside_one_that_is_cut(tmp_path: Path) -> None:
    """Nodes of eight: pools of whole GPUs take parts of them too, and all parts fill them together."""
    posed = pose(specs.asked(tmp_path, TEXT, 'offers.gpus=["H100-SXM:8"]', CUT))
    parts = {
        (c.parts_per_node, bool(posed.configurations[c.configuration].mig)) for c in posed.problem.columns
    }
    assert parts == {(1, False), (2, False), (4, False), (8, False), (16, True), (24, True), (48, True)}
    assert {c.replicas_per_node for c in posed.problem.columns} == {1}


def test_one_model_may_have_slices_too() -> None:
    """They are more to choose from: nothing costs more for it."""
    text = alone(LLAMA)
    whole, cut = planned(HOPPER, text=text), planned(HOPPER, CUT, text=text)
    assert cut.usd_per_hour <= whole.usd_per_hour
    assert recheck(cut) == ()
    assert not any("says nothing here" in w for w in cut.warnings)


def test_only_providers_whose_gpus_may_be_cut_have_slices(tmp_path: Path) -> None:
    text = TEXT.replace("[providers.gcp]", "[providers.runpod]")
    posed = pose(specs.asked(tmp_path, text, HOPPER, CUT))
    cut = {
        c.offer.partition("/")[0] for c in posed.problem.columns if posed.configurations[c.configuration].mig
    }
    assert cut == {"aws"}
    nobody = TEXT.replace("[providers.aws]\n[providers.gcp]", "[providers.runpod]")
    plan = planned('offers.gpus=["H100-SXM"]', CUT, text=nobody)
    assert (
        "policy.share_gpus says nothing here: no provider of the offers lets its GPUs be cut" in plan.warnings
    )
    assert all(p.configuration.mig is None for p in plan.pools)


def test_slices_go_with_losses_and_with_a_day(tmp_path: Path) -> None:
    """Each provider alone serves all; by noon there are more slices, which start for their part of a node's price."""
    both = 'offers.gpus=["H100-SXM:1","A100-40GB-SXM:1"]'
    plan = planned(both, CUT, text=f'{TEXT}[[policy.survive]]\nlosing = "provider"\nkept_share = 1.0\n')
    assert {p.offer.provider for p in plan.pools if p.configuration.mig} == {"aws", "gcp"}
    assert recheck(plan) == ()
    posed = pose(specs.asked(tmp_path, TEXT + DAY.replace("code = 3.0", "code = 100.0"), HOPPER, CUT))
    day = find_day(posed, Effort(limit_seconds=60.0)).document
    assert isinstance(day, Day)
    assert recheck_day(day) == ()
    assert day.starts
    for start in day.starts:
        pool = day.period(start.period).plan.pool(start.pool)
        assert pool.parts_per_node in {1, 2, 3, 6}
        due = Fraction(pool.offer.total_usd_per_hour) * start.nodes * 5 / 60 / pool.parts_per_node
        assert abs(Fraction(start.usd) - due) <= Fraction(1, 10**6)


def test_without_the_word_no_gpu_is_cut(tmp_path: Path) -> None:
    found = candidates(specs.asked(tmp_path, TEXT, HOPPER))
    assert all(c.mig is None for c in found.enumeration.configurations)
    assert not any("MIG" in r.subject or "g." in r.subject for r in found.enumeration.refusals)


def test_slices_that_were_tampered_with_are_found_out() -> None:
    cut = planned(HOPPER, CUT)
    large, small = sorted(cut.pools, key=lambda pool: pool.parts_per_node)
    assert large.configuration.mig is not None

    def messages(*pools: object) -> set[str]:
        return {v.message for v in recheck(seal(replace(cut, pools=pools)))}  # type: ignore[arg-type]

    for other in (
        replace(large, parts_per_node=6),
        replace(large, replicas_per_node=2),
        replace(large, configuration=replace(large.configuration, mig=None)),
        replace(large, configuration=replace(large.configuration, mig=replace(large.configuration.mig, of="L4"))),
        replace(large, offer=replace(large.offer, gpu="L4")),
    ):  # fmt: skip
        assert any("do not fit on" in m for m in messages(other, small)), other
    assert "more nodes in use than paid for: 1 nodes" in messages(replace(large, nodes=3), small)
    seven = codec.encode(cut).replace(b'"parts": 6', b'"parts": 9')
    with pytest.raises(DocumentError, match=r"9 of 1g\.10gb do not fit on one GPU"):
        codec.decode(Plan, seven, source="plan.json")


def test_slices_are_for_planning_only() -> None:
    cut = planned(HOPPER, CUT)
    with pytest.raises(PolicyError, match="nodes that pools share can only be planned with") as caught:
        check_whole_nodes(cut)
    assert "share_gpus = false" in caught.value.hint


def test_from_whole_gpus_that_run_slices_are_added(tmp_path: Path) -> None:
    terms = "[policy.migration]\nusd_per_added_node = 6\nhorizon_hours = 1\n"
    running = planned(HOPPER)
    free = make_plan(replace(specs.asked(tmp_path, TEXT, HOPPER, CUT), running=running))
    assert free.migration is not None
    assert (free.migration.added(free.nodes), free.migration.removed(free.nodes)) == (Fraction(1, 2), 2)
    assert free.nodes == planned(HOPPER, CUT).nodes
    counted = make_plan(replace(specs.asked(tmp_path, TEXT + terms, HOPPER, CUT), running=running))
    assert counted.migration is not None
    saved = running.usd_per_hour - free.usd_per_hour
    assert counted.usd_per_hour == (free if saved > 3 else running).usd_per_hour
    assert recheck(counted) == ()


def test_a_slice_is_no_gpu_that_could_be_asked_for() -> None:
    with pytest.raises(ValueError, match="is no MIG profile"):
        GpuSlice(of="H100-SXM", profile="whole", parts=1)
    assert GpuSlice(of="H100-SXM", profile="3g.40gb", parts=2).name == "H100-SXM-3g.40gb"


def test_a_slice_can_be_estimated_and_reaches_no_other_gpu(tmp_path: Path) -> None:
    asked = ("estimate", "--model", LLAMA, "--precision", "fp8", "--gpu", "H100-SXM-2g.20gb")
    one = hetops(tmp_path, *asked)
    assert "Evidence: prior (" in one.stdout
    assert "did you mean 'H100-SXM-3g.40gb'" in hetops(tmp_path, *asked[:-1], "H100-SXM-4g.40gb").stderr
    for more in (("--tp", "2"), ("--link", "12.5")):
        assert "H100-SXM-2g.20gb reaches no other GPU" in hetops(tmp_path, *asked, *more).stderr
    small = hetops(tmp_path, *asked[:-1], "H100-SXM-1g.10gb").stderr
    assert "would fit: 1 x H100-SXM-1g.10gb (int4)" in small
    assert "2 x H100-SXM-1g.10gb" not in small
