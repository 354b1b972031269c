"""Which columns can be of use to a search, and how many of their nodes. Enforces no limit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hetops.solver.caps import Allowed
from hetops.solver.frame import Takes
from hetops.solver.limit import Limit
from hetops.solver.problem import Column, Demand, Problem, running
from hetops.solver.prune import able, undominated
from hetops.solver.waiting import peak_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Useful:
    """The columns that a search needs, and those that it is spared on the way to them."""

    classes: tuple[Demand, ...]
    """Those with demand, by name."""
    able: tuple[Column, ...]
    """All columns, with those rates alone that serve anything to speak of."""
    rivals: tuple[Column, ...]
    """Those of `able` that no other beats."""
    columns: tuple[Column, ...]
    """Those of `rivals` that limits leave room for, or that run."""
    takes: Mapping[tuple[str, str], Takes]
    """By key of a rival, what a node of it takes of offers: of its own first."""
    caps: Mapping[tuple[str, str], tuple[int, ...]]
    """By key of a rival and stretch, its nodes that any limit, or any use, leaves room for."""
    usable: Mapping[tuple[str, str], float]
    """By key of a rival, the share of its nodes that may be planned with."""


def useful(problem: Problem, minimise: Limit | None, must_rent: Collection[str] = ()) -> Useful:
    """The useful columns of `problem`; what `minimise` limits is no reason to leave one out, nor one with offers in `must_rent`."""
    stretches, offers = problem.stretches, {offer.id: offer for offer in problem.offers}
    asked = (c for c in problem.classes if any(s.rates[c.name] > 0 for s in stretches))
    classes = tuple(sorted(asked, key=lambda c: c.name))
    peaks = [{c.name: peak_rate(problem, stretches, t, c) for c in classes} for t in range(len(stretches))]
    most = {c.name: max(peak[c.name] for peak in peaks) for c in classes}
    all_able = able(problem, most)
    rivals = undominated(problem, all_able, classes, must_rent)
    usable = {key: float(share) for key, share in problem.usable(rivals).items()}
    takes = {c.key: tuple((offers[o], nodes) for o, nodes in c.takes.items()) for c in rivals}
    allowed, run = Allowed.of(problem, minimise), running(problem)
    caps = {c.key: allowed.caps(c, takes[c.key], usable[c.key], peaks) for c in rivals}
    return Useful(
        classes=classes,
        able=all_able,
        rivals=rivals,
        columns=tuple(c for c in rivals if any(caps[c.key]) or c.key in run),
        takes=takes,
        caps=caps,
        usable=usable,
    )
