"""A solution of an explicit problem as text and as JSON: the fleet, the shares, the cost and the proof."""

from __future__ import annotations

from typing import Any

from hetops.domain import codec
from hetops.reports import quantities as q
from hetops.solver.certify import CHECKS
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Ended, Solution


def as_json(solution: Solution) -> dict[str, Any]:
    """The solution document with its price per month (730 h) and the rules checked."""
    totals = {"usd_per_month": str(solution.usd_per_month), "checks": list(CHECKS)}
    return {**codec.to_builtins(solution), **totals}


def as_text(problem: Problem, solution: Solution) -> str:
    """The solution for a terminal."""
    sections = (
        _head(problem, solution),
        _fleet(solution),
        _classes(problem, solution),
        _proof(solution),
        _warnings(problem, solution),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(problem: Problem, solution: Solution) -> str:
    asked = "at least cost" if solution.mode is Mode.MIN_COST else "as many requests as the limits allow"
    sizes = (
        q.many(len(problem.offers), "offer"),
        q.many(len(problem.configurations), "configuration"),
        q.many(len(problem.columns), "column"),
    )
    classes = q.many(len(problem.classes), "class")
    return f"{q.rate(solution.requests_per_second)} requests of {classes}, {asked}; {', '.join(sizes)}"


def _fleet(solution: Solution) -> str:
    headers = ("offer", "configuration", "nodes", "replicas", "$/hour", "load")
    rows = [
        (
            pool.offer,
            pool.configuration,
            str(pool.nodes),
            str(pool.nodes * pool.replicas_per_node),
            q.usd(pool.usd_per_hour),
            q.share(pool.utilisation),
        )
        for pool in solution.pools
    ]
    return f"{q.table(headers, rows, right=(2, 3, 4, 5))}\nTotal {q.usd_both(solution.usd_per_hour)} (730 h)"


def _classes(problem: Problem, solution: Solution) -> str:
    headers = ("class", "requests", "goes to")
    return q.table(headers, [_class_row(c.name, solution) for c in problem.classes], right=(1,))


def _class_row(name: str, solution: Solution) -> tuple[str, str, str]:
    shares = sorted((s for s in solution.shares if s.workload_class == name), key=lambda s: -s.share)
    to = ", ".join(f"{s.configuration} on {s.offer} {q.share(s.share)}" for s in shares)
    return name, q.rate(sum(s.requests_per_second for s in shares)), to or "no demand"


def _proof(solution: Solution) -> str:
    unit = "usd_per_hour" if solution.mode is Mode.MIN_COST else "requests per second"
    return (
        f"Proof: {solution.objective:.6g} {unit}, bound {solution.bound:.6g}, gap {solution.gap:.3%}"
        f" (exact arithmetic alone proves {solution.certified_bound:.6g})\n"
        f"       {len(CHECKS)} rules checked in exact arithmetic: {', '.join(CHECKS)}\n"
        f"       {solution.solver}, {solution.solve_seconds:.2f} s; problem {solution.problem_digest[:12]}"
    )


def _warnings(problem: Problem, solution: Solution) -> str:
    lines = []
    if solution.assumed_offers:
        offers = ", ".join(solution.assumed_offers)
        lines.append(f"warning: stock unknown, {q.many(problem.assumed_max_nodes, 'node')} assumed: {offers}")
    if not solution.within_gap:
        stopped = solution.ended is Ended.INTERRUPTED
        what = "the search was stopped" if stopped else "the time ran out"
        lines.append(f"warning: {what} at a gap of {solution.gap:.3%}, before the gap asked for was reached")
    return "\n".join(lines)
