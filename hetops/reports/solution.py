"""A solution of an explicit problem as text and as JSON: the fleet, the shares, the cost and the proof."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from hetops.domain import codec
from hetops.domain.percent import percent
from hetops.reports import pruning
from hetops.reports import quantities as q
from hetops.solver.certify import CHECKS, CHECKS_OF_TERMS
from hetops.solver.problem import Mode, Problem
from hetops.solver.proof import proves_nothing
from hetops.solver.solution import Ended, Solution, SolvedPool, SolvedShare
from hetops.solver.terms import Role


def as_json(problem: Problem, solution: Solution) -> dict[str, Any]:
    """The solution document with its price per month (730 h) and the rules checked."""
    totals = {"usd_per_month": str(solution.usd_per_month), "checks": list(_checks(problem))}
    return {**codec.to_builtins(solution), **totals}


def as_text(problem: Problem, solution: Solution) -> str:
    """The solution for a terminal."""
    sections = (
        _head(problem, solution),
        _fleet(problem, solution),
        _classes(problem, solution),
        _periods(problem, solution),
        _proof(problem, solution),
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
    head = f"{q.rate(solution.requests_per_second)} requests of {classes}, {asked}; {', '.join(sizes)}"
    return "\n".join((head, *pruning.lines((solution.pruning,) if solution.pruning else ())))


def _fleet(problem: Problem, solution: Solution) -> str:
    parts, whole = _parts(problem), {rental.offer for rental in solution.rentals}
    headers = ("offer", "configuration", "nodes", "replicas", "$/hour", "load")
    rows = [
        (
            _offers(pool),
            pool.configuration,
            q.nodes(_count(pool), parts[pool.key]),
            str(pool.nodes * pool.replicas_per_node),
            "-" if pool.offer in whole and not pool.usd_per_hour else q.usd(pool.usd_per_hour),
            q.share(pool.utilisation),
        )
        for pool in solution.pools
    ]
    total = f"Total {q.usd_both(solution.usd_per_hour)} (730 h)"
    return "\n".join((q.table(headers, rows, right=(2, 3, 4, 5)), *_beside_nodes(solution), total))


def _parts(problem: Problem) -> dict[tuple[str, str], int]:
    """Into how many parts each column's nodes fall."""
    return {column.key: column.parts_per_node for column in problem.columns}


def _count(pool: SolvedPool) -> str:
    several = pool.least_nodes not in (None, pool.nodes)
    return f"{pool.least_nodes}-{pool.nodes}" if several else f"{pool.nodes}"


def _offers(pool: SolvedPool) -> str:
    """The pool's offer, and what goes with each of its nodes: `h100 + 2 l40s`."""
    also = (f" + {n // pool.nodes} {offer}" for offer, n in pool.also.items())
    return pool.offer + "".join(also)


def _beside_nodes(solution: Solution) -> Iterator[str]:
    """What is paid for as a whole, by the request, for links and for changes."""
    for rental in solution.rentals:
        yield f"{rental.offer}: {q.many(rental.nodes, 'node')} paid for as a whole, {q.usd(rental.usd_per_hour)} /h"
    for share in solution.shares:
        if share.usd_per_hour:
            yield f"{share.workload_class} on {_place(share)}: requests for {q.usd(share.usd_per_hour)} /h"
    for (source, target), usd in _paid_links(solution).items():
        yield f"KV caches from {source} to {target}: {q.usd(usd)} /h"
    for one in solution.shed:
        what = f"{q.share(one.share)} of {one.workload_class} turned away, {q.rate(one.requests_per_second)}"
        yield f"{what}: counts for {q.usd(one.usd_per_hour)} /h, which nobody is paid"
    if solution.changes_usd_per_hour:
        yield f"Starts and changes: {q.usd(solution.changes_usd_per_hour)} /h"
    if solution.pools_usd_per_hour:
        what = f"{q.many(len(solution.pools), 'pool')} besides their nodes"
        yield f"{what}: {q.usd(solution.pools_usd_per_hour)} /h"


def _paid_links(solution: Solution) -> dict[tuple[str, str], Decimal]:
    """What goes over each link from prefill to decode costs, where it costs something."""
    usd: dict[tuple[str, str], Decimal] = {}
    for one in solution.handovers:
        usd[one.source, one.target] = usd.get((one.source, one.target), Decimal(0)) + one.usd_per_hour
    return {link: paid for link, paid in usd.items() if paid}


def _place(share: SolvedShare) -> str:
    """A pool, or a service."""
    return f"{share.configuration} on {share.offer}" if share.configuration else share.offer


def _periods(problem: Problem, solution: Solution) -> str:
    parts = _parts(problem)
    headers = ["period", "requests", "$/hour", "nodes", "turned away"][: 5 if solution.shed else 4]
    rows = [
        [
            period.name,
            q.rate(period.requests_per_second),
            q.usd(period.usd_per_hour),
            ", ".join(
                f"{q.nodes(pool.nodes, parts[pool.key])} {pool.configuration} on {_offers(pool)}"
                for pool in period.pools
            )
            or "none",
            ", ".join(f"{q.share(one.share)} of {one.workload_class}" for one in period.shed),
        ][: len(headers)]
        for period in solution.periods
    ]
    return q.table(headers, rows, right=(1, 2)) if rows else ""


def _classes(problem: Problem, solution: Solution) -> str:
    headers = ("class", "requests", "goes to")
    shares: dict[str, list[SolvedShare]] = {c.name: [] for c in problem.classes}
    for share in solution.shares:
        shares[share.workload_class].append(share)
    shed = {one.workload_class for one in solution.shed}
    decoding = {column.key for column in problem.columns if column.role is Role.DECODE}
    rows = []
    for name, of in shares.items():
        first = [s for s in of if s.key not in decoding]
        asked = math.fsum(s.requests_per_second for s in first)
        to = ", then ".join(filter(None, map(_largest_first, (first, [s for s in of if s.key in decoding]))))
        rows.append((name, q.rate(asked), to or ("nowhere" if name in shed else "no demand")))
    return q.table(headers, rows, right=(1,))


def _largest_first(shares: Iterable[SolvedShare]) -> str:
    return ", ".join(f"{_place(s)} {q.share(s.share)}" for s in sorted(shares, key=lambda s: -s.share))


def _proof(problem: Problem, solution: Solution) -> str:
    checks = _checks(problem)
    unit = "usd_per_hour" if solution.mode is Mode.MIN_COST else "requests per second"
    merged = (
        f"; searched as {q.many(solution.searched_classes, 'class')}" if solution.searched_classes else ""
    )
    return (
        f"Proof: {solution.objective:.6g} {unit}, {_bounds(problem, solution)}\n"
        f"       {len(checks)} rules checked in exact arithmetic: {', '.join(checks)}\n"
        f"       {solution.solver}, {solution.solve_seconds:.2f} s{merged}; problem {solution.problem_digest[:12]}"
    )


def _bounds(problem: Problem, solution: Solution) -> str:
    if proves_nothing(problem, solution.bound):
        return "and nothing is proven of how many more there could be"
    alone = (
        "nothing" if proves_nothing(problem, solution.certified_bound) else f"{solution.certified_bound:.6g}"
    )
    gap = percent(solution.gap, 3)
    return f"bound {solution.bound:.6g}, gap {gap} (exact arithmetic alone proves {alone})"


def _checks(problem: Problem) -> tuple[str, ...]:
    """The rules that a solution of the problem is held against."""
    return CHECKS if problem.plain else (*CHECKS, *CHECKS_OF_TERMS)


def _warnings(problem: Problem, solution: Solution) -> str:
    lines = []
    if solution.assumed_offers:
        offers = ", ".join(solution.assumed_offers)
        lines.append(f"warning: stock unknown, {q.many(problem.assumed_max_nodes, 'node')} assumed: {offers}")
    if not solution.within_gap:
        stopped = solution.ended is Ended.INTERRUPTED
        what = "the search was stopped" if stopped else "the time ran out"
        if solution.searched_classes and solution.ended is Ended.GAP:
            what = "classes were merged and the search ended"
        where = (
            "before anything was proven"
            if proves_nothing(problem, solution.bound)
            else f"at a gap of {percent(solution.gap, 3)}, before the gap asked for was reached"
        )
        lines.append(f"warning: {what} {where}")
    return "\n".join(lines)
