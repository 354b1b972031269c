"""Terms that are wrong are told with what is wrong; terms that leave no fleet, with the smallest change that lets one exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from hetops.solver.limit import LimitKind
from hetops.solver.problem import Mode, Problem
from hetops.solver.questions.relax import relaxations
from hetops.solver.questions.relaxation import QuestionKind, RelaxationKind, relaxed
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Billing, Link, Loss, Migration, Period, Running, Service, ShareLimit, Trait
from tests.solver.problems import column, demands, offer, small
from tests.solver.termed import BATCH, DAY_AND_NIGHT, ON_DEMAND, SPLIT, SPOT, ZONES, at, one, with_columns

NAN = float("nan")

WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "caps that contradict": (
        lambda: ShareLimit(id="s", trait=Trait.ZONE, values=("a",), at_most=0.2, at_least=0.3),
        "at_least 0.3 and at_most 0.2",
    ),
    "a least share of everything": (
        lambda: ShareLimit(id="s", trait=Trait.ZONE, at_least=0.3),
        "needs values",
    ),
    "a price that is no number": (
        lambda: Service(id="api", usd_per_request={"chat": Decimal("NaN")}),
        "usd_per_request[chat] NaN",
    ),
    "a share that is none": (lambda: Loss(id="l", trait=Trait.ZONE, kept_share=NAN), "kept_share nan"),
    "a period of no length": (lambda: Period(name="p", hours=0.0), "hours 0.0"),
    "a negative rate": (lambda: Period(name="p", hours=1.0, requests_per_second={"chat": -1.0}), "chat -1.0"),
    "a negative price of change": (
        lambda: Migration(running=(), usd_per_added_node=Decimal(-1)),
        "usd_per_added_node -1",
    ),
    "a column that runs twice": (
        lambda: Migration(running=(Running(offer="o", configuration="c", nodes=1),) * 2),
        "runs twice",
    ),
    "a bandwidth that is no number": (
        lambda: Link(source="a", target="b", gb_per_second=NAN),
        "gb_per_second nan",
    ),
    "a zone that nobody has": (
        lambda: replace(one(*ZONES), losses=(Loss(id="l", trait=Trait.ZONE, values=("aa",)),)),
        "loss 'l': unknown zone 'aa' (did you mean 'a'?)",
    ),
    "a class that nobody asks": (
        lambda: small(services=(Service(id="api", usd_per_request={"chta": Decimal(1)}),)),
        "service 'api': unknown class 'chta' (did you mean 'chat'?)",
    ),
    "a service with an offer's name": (
        lambda: small(services=(Service(id="cheap", usd_per_request={}),)),
        "an offer has this id",
    ),
    "nodes that run of nothing": (
        lambda: small(migration=Migration(running=(Running(offer="cheap", configuration="tp9", nodes=1),))),
        "no column 'tp9' on 'cheap'",
    ),
    "a spot node that never serves": (
        lambda: one(at(offer("o", "1"), interruptions_per_hour=2.0, recovery_hours=0.5)),
        "it never serves",
    ),
    "more committed than there is": (
        lambda: one(at(offer("o", "1", 2), billing=Billing.RESERVED, committed_nodes=3)),
        "committed_nodes 3 are more than max_nodes 2",
    ),
    "parts that leave waste": (
        lambda: small(
            configurations=("a", "b"),
            columns=(
                replace(column("cheap", "a", chat=1.0), parts_per_node=2),
                replace(column("cheap", "b", chat=1.0), parts_per_node=5),
            ),
        ),
        "one must be a multiple of the other",
    ),
    "another model's rate": (
        lambda: with_columns(
            small(classes=tuple(replace(c, model="llama") for c in small().classes)),
            lambda _: {"model": "qwen"},
        ),
        "which asks for llama, not qwen",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said(what: str) -> None:
    make, says = WRONG[what]
    with pytest.raises(ValueError, match=re.escape(says)):
        make()


HOPELESS: dict[RelaxationKind, tuple[Problem, Decimal]] = {
    LimitKind.SHARE: (
        replace(
            one(at(ON_DEMAND, max_nodes=1), SPOT, chat=4.0),
            share_limits=(ShareLimit(id="spot", trait=Trait.MARKET, values=("spot",), at_most=0.5),),
        ),
        Decimal("0.75"),
    ),
    LimitKind.LEAST_SHARE: (
        replace(
            one(at(ON_DEMAND, max_nodes=1), SPOT, chat=4.0),
            share_limits=(ShareLimit(id="od", trait=Trait.MARKET, values=("on_demand",), at_least=0.5),),
        ),
        Decimal("0.25"),
    ),
    LimitKind.LOSS: (
        replace(
            one(*(at(o, max_nodes=1) for o in ZONES), chat=2.5),
            losses=(Loss(id="zone", trait=Trait.ZONE, kept_share=0.9),),
        ),
        Decimal("0.8"),
    ),
    LimitKind.CHANGES: (
        replace(
            one(offer("o", "1", 9), chat=5.0),
            migration=Migration(
                running=(Running(offer="o", configuration="tp1", nodes=2),), max_changed_nodes=1
            ),
        ),
        Decimal(3),
    ),
    LimitKind.MEAN_BUDGET: (
        replace(
            one(offer("o", "1", 9), chat=1.0), periods=DAY_AND_NIGHT, mean_budget_usd_per_hour=Decimal(2)
        ),
        Decimal("2.5"),
    ),
    LimitKind.BUDGET: (
        replace(one(offer("o", "1", 9), chat=1.0), periods=DAY_AND_NIGHT, budget_usd_per_hour=Decimal(3)),
        Decimal(4),
    ),
    # A node serves one of three requests per second.
    LimitKind.SERVICE_REQUESTS: (
        replace(
            one(offer("o", "1", 1), chat=3.0),
            services=(Service(id="api", usd_per_request={"chat": Decimal(1)}, max_requests_per_second=0.5),),
        ),
        Decimal(2),
    ),
    # The same after a loss of the node, when all of it goes to the service, at 300 tokens a request.
    LimitKind.SERVICE_TOKENS: (
        replace(
            one(offer("o", "1", 1), chat=3.0),
            losses=(Loss(id="node", trait=Trait.OFFER, values=("o",)),),
            services=(
                Service(
                    id="api",
                    usd_per_request={"chat": Decimal(1)},
                    max_tokens_per_second=600.0,
                    tokens_per_request={"chat": 300.0},
                ),
            ),
        ),
        Decimal(900),
    ),
    LimitKind.LINK: (
        replace(
            SPLIT,
            columns=SPLIT.columns[:2],
            links=(Link(source="big", target="small", gb_per_second=0.05),),
        ),
        Decimal("0.2"),
    ),
    # Nodes for two requests a second, of which half may be served by what gives 0.9; the rest by 1.
    LimitKind.EVERY_QUALITY: (
        replace(
            one(offer("rough", "1", 2), offer("fine", "3", 2), chat=2.0, code=2.0),
            classes=tuple(replace(c, mean_quality=0.99) for c in demands(chat=2.0, code=2.0)),
            columns=(
                replace(column("rough", chat=1.0, code=1.0), quality={"chat": 0.9, "code": 0.9}),
                column("fine", chat=1.0, code=1.0),
            ),
        ),
        Decimal("0.95"),
    ),
    # What comes by day in twelve hours may wait until the night ends.
    QuestionKind.DEADLINE: (
        replace(BATCH, classes=tuple(replace(c, deadline_hours=8.0) for c in BATCH.classes)),
        Decimal(24),
    ),
    QuestionKind.ASSUMED_STOCK: (
        replace(one(offer("a", "1", None), offer("b", "2", None), chat=7.0), assumed_max_nodes=3),
        Decimal(4),
    ),
}


@pytest.mark.parametrize("kind", HOPELESS)
def test_the_smallest_change_that_lets_a_fleet_exist_is_found_and_does(kind: RelaxationKind) -> None:
    problem, needed = HOPELESS[kind]
    assert isinstance(solve(problem), Infeasible)
    change = next(c for c in relaxations(problem) if c.kind is kind)
    assert abs(change.needed - needed) <= Decimal("0.000002")
    assert isinstance(solve(relaxed(problem, change)), Solution)


def test_what_is_kept_whatever_offer_is_lost_is_found_by_trying() -> None:
    """Of three nodes one each for a request per second two are left, of the 2.5 that are wanted."""
    offers = tuple(offer(f"o{i}", "1", 1) for i in range(3))
    problem = replace(one(*offers, chat=2.5), losses=(Loss(id="any", trait=Trait.OFFER, kept_share=0.9),))
    change = next(c for c in relaxations(problem) if c.kind is LimitKind.LOSS)
    assert change.needed == Decimal("0.8")
    assert isinstance(solve(relaxed(problem, change)), Solution)


def test_a_headroom_that_a_service_need_not_have_is_found_by_trying() -> None:
    """A node and 0.5 requests per second of the service serve 1.35 where the node has 15 % of headroom left."""
    problem = replace(
        one(offer("o", "1", 1), chat=1.35),
        headroom=0.5,
        services=(Service(id="api", usd_per_request={"chat": Decimal(1)}, max_requests_per_second=0.5),),
    )
    change = next(c for c in relaxations(problem) if c.kind is QuestionKind.HEADROOM)
    assert change.needed == Decimal("0.150")
    assert isinstance(solve(relaxed(problem, change)), Solution)
    assert isinstance(solve(replace(problem, headroom=0.151)), Infeasible)


def test_means_of_quality_that_differ_are_lowered_by_as_much() -> None:
    problem, _ = HOPELESS[LimitKind.EVERY_QUALITY]
    chat, code = problem.classes
    unlike = replace(problem, classes=(chat, replace(code, mean_quality=0.97)))
    change = next(c for c in relaxations(unlike) if c.kind is LimitKind.EVERY_QUALITY)
    assert change.text.startswith("lower the mean quality of every class by 0.03")
    after = relaxed(unlike, change)
    assert [c.mean_quality for c in after.classes] == pytest.approx([0.96, 0.94], abs=2e-6)
    assert isinstance(solve(after), Solution)


def test_a_class_that_only_a_service_can_serve_is_served() -> None:
    problem = small(
        columns=(column("cheap", chat=2.0),),
        services=(Service(id="api", usd_per_request={"code": Decimal("0.0001")}),),
    )
    solution = solve(problem)
    assert isinstance(solution, Solution)
    assert solution.usd_per_hour == Decimal(1) + 4 * 3600 * Decimal("0.0001")


def test_what_little_a_request_costs_is_paid_as_it_is_where_a_budget_is_for_many() -> None:
    """A node leaves 0.0006 USD per hour for a service's requests, 0.0003996 for one a second: steps of a millionth would cost 0.1 %."""
    solution = solve(
        small(
            mode=Mode.MAX_THROUGHPUT,
            budget_usd_per_hour=Decimal("1.0006"),
            offers=(offer("o", "1", 1),),
            classes=demands(chat=1.0, code=1.0),
            columns=(column("o", chat=3.0),),
            services=(Service(id="api", usd_per_request={"code": Decimal("1.11e-7")}),),
        )
    )
    assert isinstance(solution, Solution)
    assert solution.requests_per_second == pytest.approx(2 * 0.0006 / 0.0003996, rel=1e-6)


def test_prices_over_eight_orders_of_magnitude_are_added_up_exactly() -> None:
    problem = one(offer("tiny", "0.0001", 1), offer("huge", "10000", 5), chat=2.0)
    solution = solve(replace(problem, services=(Service(id="api", usd_per_request={"chat": Decimal(50)}),)))
    assert isinstance(solution, Solution)
    assert solution.usd_per_hour == Decimal("10000.0001")
