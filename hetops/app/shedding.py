"""What a plan turns away of its classes, because serving it would cost more than that is worth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from hetops.app.requests import overrides_of
from hetops.domain.percent import percent
from hetops.domain.plan import Shed
from hetops.domain.units import SECONDS_PER_MINUTE
from hetops.domain.workload import Workload, WorkloadClass
from hetops.errors import InfeasibleError
from hetops.solver.problem import Problem
from hetops.solver.solution import Solution, SolvedShed
from hetops.spec.fields import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class MayBeShed:
    """What may be turned away of a class, and what each request of that counts for; None serves all of it."""

    usd_per_request: Decimal | None = None
    max_share: float = 1.0


def may_be_shed(spec: Spec, one: WorkloadClass) -> MayBeShed:
    """As the class says for itself, else the last of `[[targets.overrides]]` that fits, field by field."""
    for own in spec.workload.classes:
        if own.name == one.stated_name and own.shed_usd_per_request is not None:
            return MayBeShed(usd_per_request=own.shed_usd_per_request, max_share=own.max_shed_share)
    of_range = overrides_of(spec, one)
    prices = (o.shed_usd_per_request for o in of_range)
    usd = next((price for price in prices if price is not None), None)
    shares = (o.max_shed_share for o in of_range if usd is not None)
    return MayBeShed(usd_per_request=usd, max_share=next((s for s in shares if s is not None), 1.0))


def served_of(workload: Workload, solution: Solution) -> Workload:
    """The workload without what is turned away of it."""
    shed = {one.workload_class: one.share for one in solution.shed}
    classes = (
        replace(c, requests_per_second=c.requests_per_second * (1 - shed.get(c.name, 0.0)))
        for c in workload.classes
    )
    return replace(workload, classes=tuple(classes))


def shed_of(problem: Problem, shed: Iterable[SolvedShed]) -> tuple[Shed, ...]:
    """What is turned away of the problem's classes, with what each may be and costs."""
    demands = {c.name: c for c in problem.classes}
    return tuple(
        Shed(
            workload_class=one.workload_class,
            share=one.share,
            requests_per_second=one.requests_per_second,
            usd_per_request=demands[one.workload_class].shed_usd_per_request or Decimal(0),
            usd_per_hour=one.usd_per_hour,
            max_share=demands[one.workload_class].max_shed_share,
        )
        for one in shed
    )


def shed_in_words(shed: Iterable[SolvedShed | Shed]) -> Iterator[str]:
    """What becomes of it."""
    for one in shed:
        rate = one.requests_per_second / one.share * (1 - one.share) * SECONDS_PER_MINUTE
        yield (
            f"{percent(one.share, 1)} of {one.workload_class} is turned away: the router gives {rate:.4g} requests of it to pools"
            f" in any minute and answers all others 429 with Retry-After"
        )


def demand_served(solution: Solution) -> None:
    """No fleet is an answer that nobody can bring up.

    Raises:
        InfeasibleError: every request is turned away.
    """
    if not solution.shares:
        raise InfeasibleError(
            "at these prices it is cheapest to turn every request away",
            hint="raise shed_usd_per_request of a class, or say how much of it may be: max_shed_share",
        )
