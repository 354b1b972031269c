"""Use case: what a looser target, less headroom or more money is worth: the same question solved along two axes.

Decides the order of the points, and that a point takes over the fleet of a harder one that is no worse. Each point is a
search of its own, certified as a plan's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from itertools import chain

from hetops.app.candidates import Asked
from hetops.app.pose import Posed, pose
from hetops.app.stopped import without_answer
from hetops.errors import InfeasibleError, TimeoutExpiredError, UsageError
from hetops.reports.frontier import Axis, Frontier, FrontierPoint
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Infeasible, Solution, nodes_of, usd_of_shed
from hetops.solver.solve import DEFAULT_LIMIT_SECONDS, Effort, solve
from hetops.solver.terms import Role

TARGET_FACTORS = (0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
"""Factors on every latency target where none are named."""

MOST_POINTS = 400
"""More searches than anybody waits for are a slip of the pen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierAsked:
    """Along what to go. Budgets ask for the largest rate at each; without them, targets ask for the least cost."""

    spec: Asked
    target_factors: tuple[float, ...] = ()
    headrooms: tuple[float, ...] = ()
    """None takes the spec's."""
    budgets_usd_per_hour: tuple[Decimal, ...] = ()
    limit_seconds: float = DEFAULT_LIMIT_SECONDS
    """For each point."""

    def __post_init__(self) -> None:
        faults = (
            (
                bool(self.target_factors and self.budgets_usd_per_hour),
                "--targets and --budgets",
                "ask for one of them",
            ),
            (not all(0 < f < 1e6 for f in self.target_factors), "--targets", "factors are above 0: 0.5,1,2"),
            (
                not all(0 <= h < 1 for h in self.headrooms),
                "--headroom",
                "shares are from 0 to below 1: 0,0.15,0.3",
            ),
            (
                not all(0 < b < Decimal("1e9") for b in self.budgets_usd_per_hour),
                "--budgets",
                "USD per hour above 0 and below a thousand million",
            ),
        )
        for wrong, option, told in faults:
            if wrong:
                raise UsageError(f"{option}: {told}")


def frontier(asked: FrontierAsked, say: Callable[[str], None]) -> Frontier:
    """The points in the order of their series; `say` hears of every fifth. Ctrl-C ends it with those found until then.

    Raises:
        CancelledError: Ctrl-C before the first.
        HetopsError: as `pose`.
        UsageError: more points than `MOST_POINTS`.
    """
    posed = pose(asked.spec)
    axis = Axis.BUDGET if asked.budgets_usd_per_hour else Axis.TARGETS
    along: Sequence[float | Decimal] = asked.budgets_usd_per_hour or asked.target_factors or TARGET_FACTORS
    headrooms = sorted(set(asked.headrooms or (posed.problem.headroom,)), reverse=True)
    along = sorted(set(along))
    wanted = len(along) * len(headrooms)
    if wanted > MOST_POINTS:
        raise UsageError(
            f"{wanted} points are asked for: at most {MOST_POINTS}",
            hint="name fewer in --targets, --budgets or --headroom",
        )
    points: list[FrontierPoint] = []
    try:
        for own in chain.from_iterable(
            _points_at(posed, value, headrooms, asked.limit_seconds) for value in along
        ):
            points.append(_no_worse_than(_harder(points, own), own))
            if len(points) % 5 == 0 and len(points) < wanted:
                say(f"{len(points)} of {wanted} points")
    except KeyboardInterrupt as stop:
        if not points:
            raise without_answer("offers ([offers]) and classes (workload.class_count)") from stop
    return Frontier(
        deployment=posed.candidates.spec.deployment.name,
        axis=axis,
        demand_requests_per_second=posed.problem.requests_per_second,
        points_asked=wanted,
        spec_file=str(asked.spec.file or ""),
        overrides=asked.spec.overrides,
        points=tuple(sorted(points, key=lambda point: (-point.headroom, point.place))),
    )


def _points_at(
    posed: Posed, value: float | Decimal, headrooms: Iterable[float], limit_seconds: float
) -> Iterator[FrontierPoint]:
    """The points at one place of the axis, one a headroom: rates hang on targets, so they are made once for all."""
    budget = value if isinstance(value, Decimal) else None
    factor = 1.0 if isinstance(value, Decimal) else value
    blanks = [
        FrontierPoint(headroom=headroom, target_factor=factor, budget_usd_per_hour=budget)
        for headroom in headrooms
    ]
    try:
        problem = posed.problem if factor == 1.0 else posed.loosened(factor)
    except InfeasibleError as none:
        yield from (replace(blank, reason=none.message) for blank in blanks)
        return
    if budget is not None:
        problem = replace(problem, mode=Mode.MAX_THROUGHPUT, budget_usd_per_hour=budget)
    for blank in blanks:
        found = _solved(blank, replace(problem, headroom=blank.headroom), posed, limit_seconds)
        yield found if budget is None else replace(found, rate_scale=_rate_scale(found, posed))


def _rate_scale(point: FrontierPoint, posed: Posed) -> float | None:
    """What to set `workload.rate_scale` to for a plan of the point, rounded down to four digits."""
    part = (point.requests_per_second or 0.0) / posed.problem.requests_per_second
    scale = Decimal(part * posed.candidates.spec.workload.rate_scale)
    if scale <= 0:
        return None
    return float(scale.quantize(Decimal(1).scaleb(scale.adjusted() - 3), rounding=ROUND_FLOOR))


def _solved(blank: FrontierPoint, problem: Problem, posed: Posed, limit_seconds: float) -> FrontierPoint:
    """What one search says; a point without a fleet says why."""
    try:
        outcome = solve(problem, effort=Effort(limit_seconds=limit_seconds))
    except TimeoutExpiredError as none:
        return replace(blank, reason=none.message)
    if isinstance(outcome, Infeasible):
        unserved = f"nothing serves {', '.join(outcome.unservable)}" if outcome.unservable else ""
        return replace(blank, reason=unserved or "no fleet within the limits")
    kinds = {name: f"{offer.gpu}:{offer.gpu_count}" for name, offer in posed.offers.items()}
    nodes: dict[str, int] = defaultdict(int)
    for name, count in nodes_of(problem, outcome.pools).items():
        nodes[kinds[name]] += count
    role = {column.key: column.role for column in problem.columns}
    doing: dict[str, set[Role]] = defaultdict(set)
    for pool in outcome.pools:
        for offer in pool.rented:
            doing[kinds[offer]].add(role[pool.key])
    apart = any(roles != {Role.WHOLE} for roles in doing.values())
    told = {kind: tuple(sorted(roles)) for kind, roles in doing.items()} if apart else {}
    return _with_fleet(replace(blank, nodes=dict(nodes), roles=told), outcome)


def _with_fleet(point: FrontierPoint, found: Solution) -> FrontierPoint:
    return replace(
        point,
        usd_per_hour=found.counted_usd_per_hour,
        requests_per_second=found.requests_per_second,
        services=tuple(sorted({s.offer for s in found.shares if not s.configuration})),
        gap=found.gap,
        shed_usd_per_hour=usd_of_shed(found.shed),
    )


def _harder(points: Iterable[FrontierPoint], own: FrontierPoint) -> Iterator[FrontierPoint]:
    """Points whose fleets answer `own` as well: no looser a target, no larger a budget, no less headroom."""
    for point in points:
        poorer = (point.budget_usd_per_hour or 0) <= (own.budget_usd_per_hour or 0)
        if poorer and point.target_factor <= own.target_factor and point.headroom >= own.headroom:
            yield point


def _no_worse_than(harder: Iterable[FrontierPoint], own: FrontierPoint) -> FrontierPoint:
    """The point, or a harder one's fleet where that is better: each search may stop a gap short of the best."""
    for point in harder:
        if point.usd_per_hour is not None and _better(point, own):
            own = replace(
                own,
                usd_per_hour=point.usd_per_hour,
                requests_per_second=point.requests_per_second,
                rate_scale=point.rate_scale,
                nodes=point.nodes,
                roles=point.roles,
                shed_usd_per_hour=point.shed_usd_per_hour,
                services=point.services,
                gap=point.gap,
                reason="",
            )
    return own


def _better(point: FrontierPoint, than: FrontierPoint) -> bool:
    if than.usd_per_hour is None or point.usd_per_hour is None:
        return point.usd_per_hour is not None
    if than.budget_usd_per_hour is None:
        return point.usd_per_hour < than.usd_per_hour
    return (point.requests_per_second or 0.0) > (than.requests_per_second or 0.0)
