"""Services in explanations: what each serves, and what the fleet would be without it or with some of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from hetops.domain.offer import Trait
from hetops.domain.percent import percent
from hetops.solver.problem import Problem
from hetops.solver.questions.explanation import Statement, Topic, dollars, part
from hetops.solver.questions.goods import closed
from hetops.solver.questions.why import Case
from hetops.solver.terms import Service, ShareLimit

_SOME = 0.01
"""Share of each of its classes that a service would have to get, in the answer why it gets none."""


def services_used(case: Case) -> Iterator[Statement]:
    """What each service serves for how much, and the best fleet without it; nothing where there are none."""
    for service in case.problem.services:
        shares = [s for s in case.solution.shares if s.key == (service.id, "")]
        if shares:
            paid = sum(s.usd_per_hour for s in shares)
            serves = ", ".join(part(s, case.solution) for s in shares)
            text = f"{service.id} serves {serves} by the token for {dollars(paid)} per hour."
            yield case.told(Topic.FLEET, text, service.id)
            after = case.ask(partial(closed, service=service.id))
            yield case.changed(Topic.OFFER, f"Without {service.id}", after, service.id)


def service_named(problem: Problem, name: str) -> Service | None:
    """The service of that name, in any case; None where there is none."""
    return next((s for s in problem.services if s.id.casefold() == name.casefold()), None)


def why_not_service(case: Case, service: Service) -> tuple[Statement, ...]:
    """What a service has, or what it would cost that it gets a hundredth of each class that it may serve."""
    if any(s.key == (service.id, "") for s in case.solution.shares):
        return tuple(one for one in services_used(case) if one.subject == service.id)
    classes = tuple(service.usd_per_request)
    least = ShareLimit(
        id=f"some on {service.id}", trait=Trait.OFFER, values=(service.id,), classes=classes, at_least=_SOME
    )
    forced = case.ask(partial(replace, share_limits=(*case.problem.share_limits, least)))
    begin = f"{percent(_SOME)} of {', '.join(classes)} on {service.id}"
    return (case.changed(Topic.OFFER, begin, forced, service.id),)
