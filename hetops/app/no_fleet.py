"""Says why there is no fleet, and what would let one exist: of the rules, of the targets, of the limits. Solves nothing itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from hetops.app.candidates import Candidates
from hetops.app.models import together
from hetops.app.overflow import Overflow
from hetops.app.speeds import with_targets, without_floors
from hetops.app.ways import ways_of
from hetops.domain.configuration import Role
from hetops.domain.performance import Binding, PerformanceRow
from hetops.errors import InfeasibleError
from hetops.performance.table import PerformanceTable
from hetops.solver.problem import Problem
from hetops.solver.questions.relax import infeasible_error, relaxations
from hetops.solver.questions.relaxation import Loosen
from hetops.solver.solution import Infeasible


def no_fleet(
    c: Candidates, table: PerformanceTable, problem: Problem, outcome: Infeasible, loosen: Loosen
) -> InfeasibleError:
    """The error with the smallest relaxation and, for classes that nothing serves, what comes nearest."""
    found = relaxations(problem, loosen=loosen)
    error = infeasible_error(problem, outcome, found)
    whole, bare = _whole(c, table), _bare(c, outcome.unservable)
    known = {row.workload_class for row in whole}
    nearest = (_nearest(name, whole) for name in outcome.unservable if name in known)
    nothing_runs = (
        f"no configuration of {one.model.name} runs on any GPU type on offer" for one in bare.models
    )
    refused = (f"{r.subject}: {r.reason}" for r in together(one.told for one in bare.models).refusals[:4])
    hint = error.hint
    if not found and (bare.models or _floor_alone_bars(c, outcome.unservable)):
        hint = _what_to_allow(bare) if bare.models else _lower_the_floor(c)
    return InfeasibleError(
        error.message, details=(*nearest, *nothing_runs, *refused, *error.details), hint=hint
    )


def _bare(c: Candidates, classes: Collection[str]) -> Candidates:
    """With the models alone that have no configuration at all, of those that some of the classes ask for."""
    asking = tuple(one for one in c.workload.classes if one.name in classes)
    bare = (one for one in c.models if one.of_own(asking) and not one.enumeration.configurations)
    return replace(c, models=tuple(bare))


def nothing_to_choose(
    c: Candidates, table: PerformanceTable, services: Iterable[Overflow]
) -> InfeasibleError:
    """Nothing serves at all: the rules left no offer, nothing fits, or nothing is fast enough; nor may any service."""
    error = _no_column(c, table)
    refused = (f"{r.subject}: {r.reason}" for one in services for r in one.refusals)
    return InfeasibleError(error.message, details=(*error.details, *refused), hint=error.hint)


def _no_column(c: Candidates, table: PerformanceTable) -> InfeasibleError:
    """Why no GPU serves."""
    selection = c.gathered.selection
    if not selection.offers:
        told = (f"{r.subject}, {r.count} of them: {r.reason}" for r in selection.refusals[:6])
        return InfeasibleError(
            "no offer may be chosen",
            details=(c.gathered.collected.coverage, *told),
            hint="widen [offers] or [providers]; `hetops offers --refused` tells every reason",
        )
    if not c.enumeration.configurations:
        told = (f"{r.subject}: {r.reason}" for r in c.enumeration.refusals[:6])
        return InfeasibleError(
            f"no configuration of {c.names} runs on any GPU type on offer",
            details=told,
            hint=_what_to_allow(c),
        )
    whole = _whole(c, table)
    names = {row.workload_class for row in whole}
    return InfeasibleError(
        "no configuration on any offer serves a single class within the targets",
        details=(_nearest(name, whole) for name in sorted(names)),
        hint=_lower_the_floor(c) if _floor_alone_bars(c, names) else _loosest_hint(c),
    )


def _what_to_allow(c: Candidates) -> str:
    """So that something runs: a lower quality floor, where something would without one."""
    if any(one.without_floors.configurations for one in c.models):
        return _lower_the_floor(c)
    apart = "" if c.spec.engine.across_nodes else ", or replicas over several nodes ([engine.across_nodes])"
    return f"allow larger GPUs, {_other_precisions(c)}, other engines (engine.names){apart}"


def _lower_the_floor(c: Candidates) -> str:
    field = f"{_table_of_models(c)}.quality_floor"
    return f"lower the quality floor ({field}, or that of a class), or allow {_other_precisions(c)}"


def _other_precisions(c: Candidates) -> str:
    return f"other precisions ({_table_of_models(c)}.precisions)"


def _table_of_models(c: Candidates) -> str:
    return "model" if c.spec.model else "models[]"


def _floor_alone_bars(c: Candidates, classes: Collection[str]) -> bool:
    """Whether any of these classes, which nothing serves, would be served if its requests might lose more."""
    asking = tuple(one for one in c.workload.classes if one.name in classes)
    return bool(c.floors) and any(
        row.requests_per_second > 0 for row in _whole(c, without_floors(c, asking, ways_of(c)))
    )


def _loosest_hint(c: Candidates) -> str:
    """By how much the targets must be loosened until one replica can serve every class."""
    ways = ways_of(c)

    def enough(factor: float) -> bool:
        looser = tuple(with_targets(one, factor) for one in c.workload.classes)
        fast = {
            row.workload_class
            for row in _whole(c, without_floors(c, looser, ways))
            if row.requests_per_second > 0
        }
        return all(one.name in fast for one in looser)

    high = next((2.0**power for power in range(1, 21) if enough(2.0**power)), None)
    if high is None:
        return "allow GPUs with more memory, or more of them: no looser target helps"
    low = high / 2
    while high / low > 1.02:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if enough(middle) else (middle, high)
    return f"loosen the latency targets by a factor of {high:.4g}, or allow faster GPUs"


def _whole(c: Candidates, table: PerformanceTable) -> tuple[PerformanceRow, ...]:
    """The rows of replicas that serve whole requests."""
    parts = {one.id for one in c.enumeration.configurations if one.role is not Role.MIXED}
    return tuple(row for row in table.rows.values() if row.configuration not in parts)


def _nearest(workload_class: str, whole: Iterable[PerformanceRow]) -> str:
    """Why the configuration that comes nearest to a class's targets does not meet them."""
    of_class = [row for row in whole if row.workload_class == workload_class]
    rows = [row for row in of_class if row.binding is not Binding.KV_MEMORY] or of_class
    best = min(rows, key=lambda r: (r.ttft_seconds + 100 * r.tpot_seconds, r.configuration))
    return f"{workload_class}: nearest is {best.configuration}: {best.reason}"
