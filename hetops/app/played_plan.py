"""The plan that a simulation plays, read or made, and what is to be said of it. Plays nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hetops.app.candidates import Asked, load_spec
from hetops.app.day import fleet_of
from hetops.app.day_file import PlanFile, checked_file, plan_file
from hetops.domain.percent import percent
from hetops.domain.plan import Plan
from hetops.errors import HetopsError


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedPlan:
    """The plan, where it is from, what is to be said of it, and whether it is that of a period: the spec's trace is of all."""

    plan: Plan
    source: str
    notes: tuple[str, ...]
    of_day: bool


def plan_of_spec(asked: Asked) -> PlayedPlan:
    """The spec's own plan; errors as `make_plan`."""
    plan = fleet_of(asked)
    of_day = load_spec(asked).spec.policy.day is not None
    return PlayedPlan(plan=plan, source="the spec's plan", notes=tuple(_stated(plan)), of_day=of_day)


def plan_of_file(path: Path, asked: Asked) -> PlayedPlan:
    """The plan of a file, checked as `up` checks it.

    Raises:
        PolicyError: its certificate does not check.
        HetopsError: it cannot be read, or lacks what it takes to be played.
    """
    return _playable(path, checked_file(path, asked))


def plan_of_file_unchecked(path: Path, asked: Asked) -> PlayedPlan:
    """As `plan_of_file`, whatever it breaks: what that is first is said of it."""
    return _playable(path, plan_file(path, asked))


def _playable(path: Path, found: PlanFile) -> PlayedPlan:
    plan = found.plan
    if not plan.shares or not plan.destinations:
        raise HetopsError(
            f"{path}: no class has a share of a pool: there is nothing to route",
            hint="plan with a fleet: a larger budget, or a price of turning requests away that is above its cost",
        )
    if nameless := [c.name for c in plan.workload.classes if plan.workload.models and not c.model]:
        raise HetopsError(
            f"{path}: class {nameless[0]} does not say which of several models it asks for",
            hint=f"make it anew: hetops plan -o {path}",
        )
    for pool in plan.pools:
        if pool.step_times is None:
            raise HetopsError(
                f"{path}: pools: {pool.name} carries no step_times",
                hint=f"make it anew: hetops plan -o {path}",
            )
    told = (f"the plan's certificate does not check: it breaks {v.rule}" for v in found.broken[:1])
    notes = (*told, *_stated(plan))
    return PlayedPlan(plan=plan, source=str(path), notes=notes, of_day=found.of_day)


def _stated(plan: Plan) -> Iterator[str]:
    """What the plan turns away; what nobody here knows of services: how they answer under load."""
    for one in plan.shed:
        yield f"{percent(one.share, 1)} of {one.workload_class} is turned away by plan: those requests count as not answered"
    if names := [one.name for one in plan.services]:
        yield f"{', '.join(names)}: every answer takes what the spec states, however much is asked there"
