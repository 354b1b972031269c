"""Edge: reads a file that holds a plan, or a day with one for each period, and says which plan is meant. Makes none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hetops.app.candidates import Asked
from hetops.domain import codec
from hetops.domain.day import Day, now_in
from hetops.domain.plan import Plan
from hetops.errors import DocumentError, PolicyError, UnknownNameError, UsageError
from hetops.files import read_bytes
from hetops.solver.certify import Violation
from hetops.solver.recheck.day import recheck_day
from hetops.solver.recheck.plan import recheck


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """The plan that is meant of a file, every rule that the file breaks, and whether it is that of a period."""

    plan: Plan
    broken: tuple[Violation, ...]
    """The whole day's where it is."""
    of_day: bool


def read_plan(path: Path, asked: Asked) -> Plan:
    """The plan of a file that the user names, or of its day that of the period asked for; checked again.

    Raises:
        HetopsError: it cannot be read, is neither, or the period is not said, or none of the day's.
        PolicyError: its certificate does not check: somebody changed it, or it was never sound.
    """
    return checked_file(path, asked).plan


def checked_file(path: Path, asked: Asked) -> PlanFile:
    """As `read_plan`, with what file it is of."""
    found = plan_file(path, asked)
    if found.broken:
        raise PolicyError(
            f"{path}: the plan's certificate does not check: it breaks {found.broken[0].rule}",
            details=(f"{v.rule}: {v.subject}: {v.message}" for v in found.broken),
            hint=f"make it anew: hetops plan -o {path}",
        )
    return found


def plan_file(path: Path, asked: Asked) -> PlanFile:
    """As `read_plan`, whatever it breaks."""
    found = _plan_or_day(read_bytes(path, what="plan"), str(path))
    broken = recheck_day(found) if isinstance(found, Day) else recheck(found)
    return PlanFile(plan=in_period(found, asked), broken=broken, of_day=isinstance(found, Day))


def _plan_or_day(text: bytes, source: str) -> Plan | Day:
    try:
        if codec.format_of(text) == Day.FORMAT:
            return codec.decode(Day, text, source=source)
        return codec.decode(Plan, text, source=source)
    except DocumentError as fault:
        hint = fault.hint or "`hetops plan -o FILE` writes a plan"
        raise DocumentError(fault.message, details=fault.details, hint=hint) from fault


def in_period(found: Plan | Day, asked: Asked) -> Plan:
    """The plan itself; of a day that of the period which is meant.

    Raises:
        UsageError: which period is not said, or there are none; or nothing is served in it.
        UnknownNameError: the day has no such period.
    """
    if isinstance(found, Plan):
        if asked.period:
            raise UsageError(
                f"--period {asked.period}: the plan of {found.deployment} has no periods",
                hint="leave --period out, or plan a day: [policy.day]",
            )
        return found
    hours = {one.name: one.hours for one in found.periods}
    name = meant(hours, found.begins, asked.period, asked.now)
    plan = found.period(name).plan
    if not plan.shares:
        raise UsageError(
            f"nothing is served in {name}: there is no fleet",
            hint="name another period with --period, or hetops down removes the fleet that runs",
        )
    return plan


def meant(hours: Mapping[str, float], begins: str, period: str, at: datetime) -> str:
    """Which of the periods, by name, is asked for; else the one that a moment lies in. Errors as `in_period`."""
    if period:
        if period not in hours:
            raise UnknownNameError("period", period, hours, where="--period")
        return period
    now = now_in(tuple(hours.values()), begins, at)
    if now is None:
        first = next(iter(hours))
        raise UsageError(
            f"{len(hours)} periods are planned for, each with a fleet of its own: say which",
            details=(f"--period {name}: {long:g} h" for name, long in hours.items()),
            hint=f"--period {first}, or let policy.day.begins say which is now",
        )
    return tuple(hours)[now]
