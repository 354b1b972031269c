"""A status holds what runs against the plan; its text, its exit code and its JSON agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from hetops.domain import codec
from hetops.domain.observation import Observation, Outcome
from hetops.domain.plan import Plan
from hetops.observations.merge import summarize
from hetops.plugin.provider import Node, NodeState
from hetops.reports import page
from hetops.reports import status as report
from hetops.reports.status import Health, NodeStatus, RouterStatus, Seen, Status
from hetops.reports.status_text import as_text, sparkline
from tests.doubles import plans

UNTIL = plans.NOW.timestamp()
SINCE = UNTIL - 240
ROUTER = RouterStatus(url="http://127.0.0.1:8080", health=Health.HEALTHY)
SERVING = {"l4-fp8": 2, "l40s-fp8": 1}


def nodes_of(plan: Plan, state: NodeState = NodeState.RUNNING) -> tuple[NodeStatus, ...]:
    """All planned nodes in one state."""
    return tuple(
        NodeStatus(name=f"{p.name}-{i}", pool=p.name, state=state) for p in plan.pools for i in range(p.nodes)
    )


def observation(at: float, pool: str = "l4-fp8", **fields: object) -> Observation:
    """A request of `chat` that was answered in two seconds."""
    told = {
        "workload_class": "chat",
        "endpoint": "http://127.0.0.1:9",
        "outcome": Outcome.OK,
        "status": 200,
        "input_tokens": 1000,
        "output_tokens": 200,
        "ttft_seconds": 0.5,
        "tpot_seconds": 0.06,
        "total_seconds": 2.0,
        **fields,
    }
    return Observation(at=at, pool=pool, **told)


def found(
    *,
    nodes: tuple[NodeStatus, ...] | None = None,
    router: RouterStatus = ROUTER,
    serving: dict[str, int] | None = None,
    observations: Sequence[Observation] = (),
    plan: Plan | None = None,
) -> Status:
    """The status of the small plan as it was seen."""
    plan = plan or plans.plan()
    return report.status(
        Seen(
            plan=plan,
            at=plans.NOW,
            nodes=nodes_of(plan) if nodes is None else nodes,
            router=router,
            serving=SERVING if serving is None else serving,
            summary=summarize(observations, since=SINCE, until=UNTIL),
            observations=observations,
        )
    )


def test_all_planned_nodes_running_behind_a_healthy_router_are_healthy() -> None:
    status = found()
    assert (status.health, status.exit_code) == (Health.HEALTHY, 0)
    assert as_text(status).startswith("chat: healthy, llama-3.1-8b\n")


def test_a_node_that_failed_degrades_its_pool_and_is_named_with_its_reason() -> None:
    nodes = list(nodes_of(plans.plan()))
    nodes[0] = replace(nodes[0], state=NodeState.FAILED, message="its engine has died")
    status = found(nodes=tuple(nodes), serving={"l4-fp8": 1, "l40s-fp8": 1})
    assert (status.health, status.exit_code) == (Health.DEGRADED, 0)
    assert [p.health for p in status.pools] == [Health.DEGRADED, Health.HEALTHY]
    assert "l4-fp8-0 (l4-fp8) is failed: its engine has died" in as_text(status)


@pytest.mark.parametrize(
    "status",
    [found(nodes=()), found(router=RouterStatus(url="", health=Health.DOWN, message="refused"))],
    ids=["no nodes", "no router"],
)
def test_where_nothing_serves_the_exit_code_is_1(status: Status) -> None:
    assert (status.health, status.exit_code) == (Health.DOWN, 1)


def test_a_pool_whose_replicas_the_router_leaves_out_is_degraded() -> None:
    status = found(serving={"l4-fp8": 1, "l40s-fp8": 1})
    assert status.pools[0].health is Health.DEGRADED


def test_rates_latencies_and_shares_stand_beside_the_plan() -> None:
    observations = [observation(SINCE + i) for i in range(180)]
    observations += [observation(SINCE + i, "l40s-fp8") for i in range(60)]
    status = found(observations=observations)
    chat = status.classes[0]
    assert chat.requests_per_second == report.Measured(planned=3.0, measured=1.0)
    assert chat.ttft_seconds == report.Measured(planned=0.41, measured=0.5, planned_low=0.3, planned_high=0.8)
    assert chat.shares["l4-fp8"] == report.Measured(planned=0.6, measured=0.75)
    row = next(line for line in as_text(status).splitlines() if line.startswith("chat  "))
    assert "p90 60 ms  50 ms missed" in row
    assert "l4-fp8 75 % (60 %), l40s-fp8 25 % (40 %)" in row


def test_without_requests_nothing_is_claimed_to_be_measured() -> None:
    status = found()
    assert status.usd_per_million_tokens.measured is None
    assert status.classes[0].ttft_seconds.measured is None
    assert status.classes[0].shares["l4-fp8"].measured is None


def test_the_cost_counts_the_nodes_that_are_there_and_tokens_both_ways() -> None:
    plan = plans.plan()
    status = found(nodes=nodes_of(plan)[1:], observations=[observation(SINCE + i) for i in range(240)])
    assert status.usd_per_hour == plan.usd_per_hour - plan.pools[0].offer.total_usd_per_hour
    assert status.usd_per_million_tokens.measured == pytest.approx(2.70 / (1200 * 3600) * 1e6)


@pytest.mark.parametrize("answered", [0, 29, 30])
def test_what_tokens_cost_is_told_of_thirty_answers_or_more(answered: int) -> None:
    failed = [observation(SINCE, outcome=Outcome.ENGINE_ERROR)] * 9
    told = as_text(found(observations=[observation(SINCE)] * answered + failed)).splitlines()[3]
    few = "9 failed; too few were answered to tell what a million tokens cost, planned $" in told
    assert few is (answered < 30)
    assert (" for a million tokens, planned $" in told) is not few


def test_utilisation_is_the_share_of_slots_that_requests_hold_in_each_step() -> None:
    pool = plans.plan().pools[0]  # 2 replicas of 16 slots; 24 steps of 10 s
    held = [observation(SINCE + 5, total_seconds=10.0)] * 16
    busy = report.utilisation(pool, held, SINCE, UNTIL)
    assert busy[:3] == (0.25, 0.25, 0.0)
    assert sparkline(busy[:3]) == "▃▃▁"


def test_utilisation_counts_only_what_lies_in_the_window() -> None:
    pool = plans.plan().pools[0]
    over_both_ends = [observation(SINCE - 50, total_seconds=1000.0)] * 32
    assert set(report.utilisation(pool, over_both_ends, SINCE, UNTIL)) == {1.0}


def test_failed_requests_are_counted_apart() -> None:
    observations = [
        observation(SINCE, outcome=Outcome.ENGINE_ERROR),
        observation(SINCE, outcome=Outcome.ABORTED),
        observation(SINCE),
    ]
    assert (found(observations=observations).requests, found(observations=observations).failed) == (3, 1)


def test_json_reads_back_as_the_same_status() -> None:
    status = found(observations=[observation(SINCE)])
    raw = json.loads(json.dumps(report.as_json(status), allow_nan=False))
    assert raw["usd_per_month"] == "2555.00"
    assert codec.from_builtins(Status, raw, source="test") == status


def test_a_node_keeps_the_first_line_of_its_provider_s_message() -> None:
    node = Node(id="a", name="a", deployment="chat", state=NodeState.FAILED, message="died\nlog line")
    assert report.node_status(node, "l4-fp8").message == "died"


def test_a_status_fits_eighty_characters_with_its_bars_in_one_line() -> None:
    token = page.WIDTH.set(80)
    lines = page.folded(as_text(found(observations=[observation(SINCE, "l4-fp8")]))).splitlines()
    page.WIDTH.reset(token)
    assert max(map(len, lines)) <= 80
    assert lines[lines.index("BUSY, OLDEST FIRST") + 1].split()[0] == "l4-fp8"
    assert len(lines[lines.index("BUSY, OLDEST FIRST") + 1].split()[1]) == 24


def test_emulated_pools_say_so_in_the_table() -> None:
    assert "L4 (emulated)" in as_text(found())


def test_a_service_is_a_pool_without_nodes_that_costs_what_its_answers_took() -> None:
    plan = plans.with_service(plans.plan())
    observations = [observation(SINCE + i, "paygo") for i in range(120)]
    status = found(plan=plan, observations=observations, serving={**SERVING, "paygo": 1})
    service = status.pools[-1]
    assert (service.name, service.health, service.nodes_planned) == ("paygo", Health.HEALTHY, 0)
    due = 120 / 240 * 3600 * (1000 * 0.10 + 200 * 0.30) / 1e6
    assert float(service.usd_per_hour) == pytest.approx(due)
    assert status.usd_per_hour == plans.plan().usd_per_hour + service.usd_per_hour
    row = next(line for line in as_text(status).splitlines() if line.startswith("paygo"))
    assert "by the token" in row
    assert found(plan=plan, serving={**SERVING, "paygo": 0}).health is Health.DEGRADED
