"""Says why there is no fleet, and what would let one exist: of the rules, of the targets, of the limits. Solves nothing itself."""

from __future__ import annotations

from collections.abc import Iterable

from hetops.app.candidates import Candidates
from hetops.app.overflow import Overflow
from hetops.app.speeds import with_targets, without_floors
from hetops.app.ways import ways_of
from hetops.domain.performance import Binding, PerformanceRow
from hetops.errors import InfeasibleError
from hetops.performance.table import PerformanceTable
from hetops.solver.problem import Problem
from hetops.solver.relax import infeasible_error, relaxations
from hetops.solver.relaxation import Loosen
from hetops.solver.solution import Infeasible


def no_fleet(
    problem: Problem, table: PerformanceTable, outcome: Infeasible, loosen: Loosen
) -> InfeasibleError:
    """The error with the smallest relaxation and, for classes that nothing serves, what comes nearest."""
    error = infeasible_error(problem, outcome, relaxations(problem, loosen=loosen))
    nearest = tuple(_nearest(name, table) for name in outcome.unservable)
    return InfeasibleError(error.message, details=(*nearest, *error.details), hint=error.hint)


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
            hint=f"allow larger GPUs, other precisions ({'model' if c.spec.model else 'models[]'}.precisions) or other engines "
            "(engine.names)",
        )
    names = {row.workload_class for row in table.rows.values()}
    return InfeasibleError(
        "no configuration on any offer serves a single class within the targets",
        details=(_nearest(name, table) for name in sorted(names)),
        hint=_loosest_hint(c),
    )


def _loosest_hint(c: Candidates) -> str:
    """By how much the targets must be loosened until one replica can serve every class."""
    ways = ways_of(c)

    def enough(factor: float) -> bool:
        looser = tuple(with_targets(one, factor) for one in c.workload.classes)
        table = without_floors(c, looser, ways)
        return all(any(r.requests_per_second > 0 for r in _of(table, one.name)) for one in looser)

    high = next((2.0**power for power in range(1, 21) if enough(2.0**power)), None)
    if high is None:
        return "allow GPUs with more memory, or more of them: no looser target helps"
    low = high / 2
    while high / low > 1.02:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if enough(middle) else (middle, high)
    return f"loosen the latency targets by a factor of {high:.4g}, or allow faster GPUs"


def _nearest(workload_class: str, table: PerformanceTable) -> str:
    """Why the configuration that comes nearest to a class's targets does not meet them."""
    rows = [r for r in _of(table, workload_class) if r.binding is not Binding.KV_MEMORY] or _of(
        table, workload_class
    )
    best = min(rows, key=lambda r: (r.ttft_seconds + 100 * r.tpot_seconds, r.configuration))
    return f"{workload_class}: nearest is {best.configuration}: {best.reason}"


def _of(table: PerformanceTable, workload_class: str) -> list[PerformanceRow]:
    return [row for row in table.rows.values() if row.workload_class == workload_class]
