"""Services of a plan in virtual time: they are given what the router may give them, and paid for what they answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app.simulate import simulate
from hetops.app.virtual_fleet import Playing, endpoints, playing
from hetops.app.virtual_router import Trial
from hetops.domain import codec
from hetops.domain.observation import Outcome
from hetops.domain.plan import ClassShare, Plan
from hetops.domain.service import PlannedService, Service
from hetops.reports.simulation import Simulation
from hetops.reports.simulation_text import as_text
from hetops.router.config import from_plan
from hetops.simulate.fleet import VirtualFleet, VirtualService
from hetops.simulate.replay import Scenario
from tests.app.test_simulate import question, told, trace, written
from tests.doubles import plans
from tests.simulate.fleets import arrivals, pool

PAYGO = Service(
    name="paygo",
    url="https://api.example.com/v1/",
    model="vendor/llama",
    usd_per_million_input_tokens=Decimal("0.5"),
    usd_per_million_output_tokens=Decimal("2"),
    requests_per_minute=60,
    tokens_per_minute=60_000,
    ttft_seconds=0.6,
    tpot_seconds=0.03,
    max_context_tokens=8192,
)


def shared(chat: Mapping[str, float], service: Service = PAYGO) -> Plan:
    """The small plan with a service, chat's requests shared out like that."""
    plan = plans.plan()
    (rate,) = (c.requests_per_second for c in plan.workload.classes if c.name == "chat")
    shares = tuple(
        ClassShare(workload_class="chat", pool=name, share=share, requests_per_second=share * rate)
        for name, share in chat.items()
    )
    others = tuple(s for s in plan.shares if s.workload_class != "chat")
    stands = PlannedService(service=service, serves=("chat",), usd_per_hour_at_limits=Decimal(9))
    return replace(plan, shares=(*shares, *others), services=(stands,))


def simulated(folder: Path, plan: Plan, *rows: tuple[float, int, int]) -> Simulation:
    """The plan with a trace, or with requests of its own classes."""
    fields = {"traces": (trace(folder, *rows),), "duration_seconds": None} if rows else {}
    return simulate(question(folder, plan_file=written(folder, plan), unchecked=True, **fields), told)


def test_a_share_of_a_service_is_played_at_its_pace_and_paid_by_its_tokens(tmp_path: Path) -> None:
    rows = [(2.0 * n, 200, 50) for n in range(100)]
    found = simulated(tmp_path, shared({"l4-fp8": 0.75, "paygo": 0.25}), *rows)
    paygo = next(p for p in found.pools if p.name == "paygo")
    assert found.outcomes == {Outcome.OK: 100}
    assert paygo.requests == 25
    assert paygo.usd == pytest.approx(25 * (200 * 0.5 + 50 * 2) / 1e6)
    nodes = sum(p.usd for p in found.pools if p.name != "paygo")
    assert nodes == pytest.approx(3.5 * found.answered_seconds / 3600)
    assert found.usd == pytest.approx(nodes + paygo.usd)
    assert found.usd_per_million_tokens.measured == pytest.approx(found.usd / (100 * 250) * 1e6)
    assert paygo.utilisation.measured == pytest.approx(max(25 / 60, 25 * 250 / 60_000) * 60 / found.seconds)
    assert paygo.in_flight == pytest.approx(25 * (0.6 + 49 * 0.03) / found.answered_seconds, rel=0.02)
    assert found.classes[0].shares["paygo"].planned == 0.25
    assert codec.decode(Simulation, codec.encode(found), source="test") == found
    assert "paygo: every answer takes what the spec states" in as_text(found)


def test_a_target_that_is_just_kept_is_kept(tmp_path: Path) -> None:
    plan = shared({"paygo": 1.0})
    (chat,) = (c for c in plan.workload.classes if c.name == "chat")
    exact = replace(chat.target, ttft_seconds=0.6, tpot_seconds=0.03)
    others = tuple(c for c in plan.workload.classes if c.name != "chat")
    workload = replace(plan.workload, classes=(replace(chat, target=exact), *others))
    found = simulated(tmp_path, replace(plan, workload=workload), *[(7.1 * n, 200, 50) for n in range(100)])
    assert found.attainment == 1.0


def most_in_a_minute(times: Sequence[float]) -> int:
    """The most that came in any minute, the moment of its end left out."""
    return max(sum(at <= other < at + 60.0 - 1e-6 for other in times) for at in times)


def play(requests: int, plan: Plan) -> Playing:
    """Ten requests of chat a second through a plan's two pools, of one replica each, and its service."""
    fleet = VirtualFleet(
        [
            pool("l4-fp8"),
            pool("l40s-fp8"),
            VirtualService(name="paygo", ttft_seconds=0.6, tpot_seconds=0.03, max_context_tokens=8192),
        ]
    )
    config = from_plan(plan, endpoints(fleet))
    classes = tuple(c for c in plan.workload.classes if c.name in config.shares)
    coming = arrivals([0.1 * n for n in range(requests)], 300, 100)
    one = playing(
        Trial(
            scenario=Scenario(fleet=fleet, arrivals=coming),
            config=config,
            classes=classes,
            labels=(0,) * requests,
        )
    )
    for _ in one.progress():
        pass
    return one


@pytest.mark.parametrize("limit", ["requests_per_minute", "tokens_per_minute"])
def test_in_no_minute_a_service_gets_more_than_its_limits_and_the_rest_goes_to_pools(limit: str) -> None:
    tight = {"requests_per_minute": 90.0, "tokens_per_minute": 400.0 * 90}
    service = replace(PAYGO, **{name: most * (1 + 9 * (name != limit)) for name, most in tight.items()})
    one = play(1500, shared({"l4-fp8": 0.5, "paygo": 0.5}, service))
    given = [0.1 * n for n, to in enumerate(one.record.pools) if to == 2]
    assert 0.9 * 90 <= most_in_a_minute(given) <= 90
    assert len(given) > 2 * 90
    assert one.record.outcomes.count(Outcome.REFUSED) == 0


def test_what_a_service_may_not_be_given_is_refused_where_nothing_else_serves_its_class() -> None:
    plan = shared({"paygo": 1.0})
    slow = tuple(row for row in plan.performance if row.workload_class != "chat")
    one = play(1500, replace(plan, performance=slow))
    given = [0.1 * n for n, to in enumerate(one.record.pools) if to == 2]
    assert most_in_a_minute(given) == 60
    outcomes = Counter(one.record.outcomes)
    assert outcomes == {Outcome.OK: len(given), Outcome.REFUSED: 1500 - len(given)}
    assert one.record.pools.count(-1) == outcomes[Outcome.REFUSED] > 1000


def test_a_service_that_stands_by_takes_what_full_pools_cannot(tmp_path: Path) -> None:
    plan = shared({"l4-fp8": 1.0}, replace(PAYGO, tokens_per_minute=None))
    quiet = [(2.0 * n, 300, 100) for n in range(50)]
    assert {p.name: p.requests for p in simulated(tmp_path, plan, *quiet).pools}["paygo"] == 0
    crowd = [(0.001 * n, 300, 100) for n in range(3000)]
    found = simulated(tmp_path, plan, *crowd)
    paygo = next(p for p in found.pools if p.name == "paygo")
    assert paygo.requests == 60
    assert found.spilled >= 60
