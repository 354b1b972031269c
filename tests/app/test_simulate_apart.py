"""Plans with prefill and decode apart in virtual time: who feeds whom, the way between them, and what goes wrong."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hetops.app.plan import make_plan
from hetops.app.played_requests import Stretch
from hetops.app.simulate import SimulationAsked, simulate
from hetops.domain import codec
from hetops.domain.configuration import Role
from hetops.domain.observation import Outcome
from hetops.domain.plan import Plan
from hetops.errors import HetopsError, PolicyError
from hetops.reports.simulation import Simulation
from tests.doubles import specs
from tests.doubles.apart import APART

WAY = 6000 * 327_680 / 12.5e9
"""Seconds of a prompt's KV cache."""


@cache
def planned(*overrides: str, text: str = APART) -> Plan:
    """The plan of the spec with other fields."""
    with TemporaryDirectory() as folder:
        return make_plan(specs.asked(Path(folder), text, *overrides))


def played(
    folder: Path, plan: Plan, *faults: str, seconds: float = 200.0, unchecked: bool = False
) -> Simulation:
    """Requests of the plan's own classes."""
    path = folder / "plan.json"
    path.write_bytes(codec.encode(plan))
    asked = SimulationAsked(
        spec=specs.asked(folder, APART),
        plan_file=path,
        faults=faults,
        stretch=Stretch(duration_seconds=seconds),
        unchecked=unchecked,
    )
    return simulate(asked, lambda _: None)


def test_requests_are_prefilled_and_handed_over_in_the_plan_s_shares_and_keep_its_targets(
    tmp_path: Path,
) -> None:
    plan = planned()
    found = played(tmp_path, plan)
    (rag,) = found.classes
    assert found.outcomes == {Outcome.OK: found.requests}
    assert set(rag.shares) == {s.pool for s in plan.loads}
    for pool, share in rag.shares.items():
        planned_share = sum(s.share for s in plan.loads if s.pool == pool)
        assert share.planned == pytest.approx(planned_share)
        assert share.measured == pytest.approx(planned_share, abs=0.003), pool
    assert rag.late == ()
    assert rag.ttft_percentiles is not None
    assert WAY < rag.ttft_percentiles.p50 < rag.ttft_percentiles.p90 <= 3.0
    by_role = dict.fromkeys(Role, 0)
    for one in found.pools:
        by_role[plan.pool(one.name).configuration.role] += one.requests
        assert one.utilisation.measured == pytest.approx(one.utilisation.planned, rel=0.15)
    assert by_role == {Role.MIXED: 0, Role.PREFILL: found.requests, Role.DECODE: found.requests}


def test_a_plan_says_how_long_kv_caches_are_on_their_way_and_all_of_it_is_in_the_time_to_the_first_token(
    tmp_path: Path,
) -> None:
    plan = planned()
    for one in plan.handovers:
        assert (one.seconds_per_prompt, one.seconds_per_token) == (0.0, pytest.approx(WAY / 6000))
    slower = replace(plan, handovers=tuple(replace(h, seconds_per_prompt=0.4) for h in plan.handovers))
    fast, slow = (
        played(tmp_path, of, unchecked=of is slower).classes[0].ttft_percentiles for of in (plan, slower)
    )
    assert fast is not None
    assert slow is not None
    assert slow.p50 - fast.p50 >= 0.4


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    faults = ("burst,at_seconds=50,for_seconds=10,factor=3", "slow,gpu=H100-SXM,at_seconds=100,factor=2")
    first, again = (codec.encode(played(tmp_path, planned(), *faults)) for _ in range(2))
    assert first == again


def test_decoders_that_go_take_their_answers_with_them_and_the_fleet_recovers(tmp_path: Path) -> None:
    plan = planned()
    decoding = next(p.name for p in plan.pools if p.configuration.role is Role.DECODE)
    gone = played(tmp_path, plan, f"lose,pool={decoding},at_seconds=60,for_seconds=40")
    assert gone.outcomes[Outcome.ENGINE_ERROR] > 0
    assert gone.outcomes[Outcome.REFUSED] > 60
    within = {m.at_seconds: m.within_targets for m in gone.moments}
    assert all(share == 1.0 for at, share in within.items() if at < 50)
    assert all(share == 0.0 for at, share in within.items() if 62 < at < 97)
    assert all(share == 1.0 for at, share in within.items() if at > 130)


def test_prefills_of_nodes_that_go_are_done_by_those_that_stay(tmp_path: Path) -> None:
    plan = planned()
    small = next(p.name for p in plan.pools if p.configuration.role is Role.PREFILL and p.nodes > 1)
    found = played(tmp_path, plan, f"lose,pool={small},at_seconds=50,nodes=1")
    assert found.outcomes == {Outcome.OK: found.requests}
    leaving = played(tmp_path, plan, f"reclaim,pool={small},at_seconds=50,nodes=1,boot_seconds=60")
    assert leaving.outcomes == {Outcome.OK: leaving.requests}


def test_one_model_hands_over_beside_another_that_is_served_whole(tmp_path: Path) -> None:
    models = '[[models]]\nname = "llama-3.1-70b"\n\n[[models]]\nname = "qwen3-32b"\n'
    text = APART.replace('[model]\nname = "llama-3.1-70b"\n', models)
    head, _, rest = text.partition("[[workload.classes]]")
    one, _, tail = rest.partition("[targets]")
    own = [f'[[workload.classes]]{one}model = "{name}"\n' for name in ("llama-3.1-70b", "qwen3-32b")]
    few = own[1].replace("rag", "docs").replace("requests_per_second = 6.0", "requests_per_second = 0.5")
    plan = planned(text=f"{head}{own[0]}{few}[targets]{tail}")
    assert {h.workload_class for h in plan.handovers} == {"rag"}
    assert {pool.configuration.role for pool in plan.pools} == set(Role)
    found = played(tmp_path, plan)
    assert found.outcomes == {Outcome.OK: found.requests}
    model_of = {c.name: c.model for c in plan.workload.classes}
    for c in found.classes:
        assert {plan.pool(name).configuration.model for name in c.shares} == {model_of[c.name]}


def test_a_plan_that_lacks_what_it_takes_is_refused_with_it(tmp_path: Path) -> None:
    plan = planned()
    with pytest.raises(PolicyError, match="certificate does not check: it breaks capacity"):
        played(tmp_path, replace(plan, handovers=()))
    with pytest.raises(HetopsError, match=r"handovers: nobody decodes what .* prefills of rag"):
        played(tmp_path, replace(plan, handovers=()), unchecked=True)
    older = replace(plan, handovers=tuple(replace(h, seconds_per_token=None) for h in plan.handovers))
    with pytest.raises(HetopsError, match=r"nothing says how long what .* prefills is on its way"):
        played(tmp_path, older, unchecked=True)
    text = codec.encode(plan).decode()
    assert '"seconds_per_prompt": 0.0' in text
    path = tmp_path / "plan.json"
    path.write_text(text.replace('"seconds_per_prompt": 0.0', '"seconds_per_prompt": -1.0'), encoding="utf-8")
    with pytest.raises(HetopsError, match="seconds_per_prompt must be at least 0"):
        simulate(SimulationAsked(spec=specs.asked(tmp_path, APART), plan_file=path), print)
