"""Classes that hold one another up are kept apart: the plan is sought again with pools for each, and taken if all keep their targets.

Who is held up is decided elsewhere. Where no such fleet is found in time the first one stands, and is warned of.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hetops.app.held_up import HeldUp, among, held_up, reckoned_late
from hetops.app.pose import Posed
from hetops.app.twins import Cut, KeptApart, parted
from hetops.domain.policy import TermCost
from hetops.domain.workload import WorkloadClass
from hetops.errors import TimeoutExpiredError
from hetops.reports import quantities as q
from hetops.solver.highs import OnInterrupt
from hetops.solver.patience import Patience
from hetops.solver.solution import Ended, Solution
from hetops.solver.solve import Effort, solve
from hetops.solver.terms import Role

_ROUNDS = 4
"""Who was moved may be held up where it is now; after so many searches that is how it is."""
_TIMES, _LEAST_SECONDS = 2.0, 1.0
"""All these searches together may take so many times as long as the first, a second at least."""
_MOST_TIMES = 3
"""As if a pool became three: in what is dearer the search lost its way, or somebody should decide."""


def kept_apart(posed: Posed, found: Solution, effort: Effort) -> tuple[Posed, Solution]:
    """The question with pools for those who hold one another up, and its answer; both as they are where nobody does, or where no
    fleet is found that keeps all targets. Whoever stopped the search waits for none, and has lost nothing that was found."""
    try:
        return _kept_apart(posed, found, effort)
    except KeyboardInterrupt:
        if effort.on_interrupt is OnInterrupt.CANCEL:
            raise
        return posed, replace(found, ended=Ended.INTERRUPTED)


def _kept_apart(posed: Posed, found: Solution, effort: Effort) -> tuple[Posed, Solution]:
    """`KeyboardInterrupt` where somebody stopped it before all targets were kept."""
    first = held_up(posed, found) if found.ended is not Ended.INTERRUPTED else ()
    patience, seconds = Patience.of(max(found.solve_seconds * _TIMES, _LEAST_SECONDS)), found.solve_seconds
    asked, late, cuts = posed, first, list[Cut]()
    for _ in range(_ROUNDS):
        if not late:
            break
        new = _cuts(asked, late)
        asked, cuts = _parted(asked, new), [*cuts, *new]
        answer = _answer(asked, replace(effort, limit_seconds=patience.left))
        if answer is None:
            break
        seconds += answer.solve_seconds
        late = held_up(asked, answer)
        if not late and answer.counted_usd_per_hour <= _MOST_TIMES * found.counted_usd_per_hour:
            told = KeptApart(first=found, why=_why(first, cuts), cuts=tuple(cuts))
            return replace(asked, kept_apart=told), replace(answer, solve_seconds=seconds)
        if answer.ended is Ended.INTERRUPTED:
            raise KeyboardInterrupt
    return posed, found


def proven(posed: Posed, found: Solution) -> Solution:
    """What bounds an answer: where classes are kept apart, the search in which they might share anything."""
    return posed.kept_apart.first if posed.kept_apart else found


def cost_apart(posed: Posed, found: Solution) -> Iterator[TermCost]:
    """What it costs that classes are kept apart; nothing where none are."""
    if one := posed.kept_apart:
        now, first = found.counted_usd_per_hour, one.first.counted_usd_per_hour
        yield TermCost(text=one.why, usd_per_hour=now, usd_per_hour_without=first)


def _answer(posed: Posed, effort: Effort) -> Solution | None:
    """None where there is none, or none was found before the time was up."""
    try:
        outcome = solve(posed.problem, effort=effort)
    except TimeoutExpiredError:
        return None
    return outcome if isinstance(outcome, Solution) else None


def _cuts(posed: Posed, late: Iterable[HeldUp]) -> tuple[Cut, ...]:
    """One for each pool where anybody is late."""
    pools: defaultdict[tuple[str, str], list[HeldUp]] = defaultdict(list)
    for one in late:
        pools[one.pool.key].append(one)
    return tuple(_cut(posed, of_pool) for of_pool in pools.values())


def _cut(posed: Posed, late: Sequence[HeldUp]) -> Cut:
    """Classes like those who are late would be, and those like the others would hold them up: they are cut alike, wherever they are now."""
    worst = _worst(late)
    pair = _Pair.of(posed, worst)
    holding = _holding(posed, worst)
    seconds = {name: pair.seconds(worst.target.of, name) for name in pair.rates if name != worst.name}
    least = min(seconds[name] for name in holding)
    nearer = math.sqrt(least * worst.target.seconds)
    others = tuple(n for n, held in seconds.items() if n in holding or held >= nearer)
    hardest = max(holding, key=lambda name: seconds[name])
    names = {one.name for one in late}
    return Cut(
        late=tuple(n for n in pair.rates if n not in others and (n in names or pair.is_late(n, hardest))),
        others=others,
        configurations=frozenset((worst.pool.configuration, *_likewise(posed, worst, others))),
    )


def _worst(late: Iterable[HeldUp]) -> HeldUp:
    return max(late, key=lambda one: one.seconds / one.target.seconds)


def _holding(posed: Posed, worst: HeldUp) -> tuple[str, ...]:
    """As few of the others as keep a class from its target: those first without which alone it would be the least late."""
    configuration, chosen = worst.pool.configuration, list[str]()

    def without_these(names: Iterable[str]) -> float:
        left = {name: rate for name, rate in worst.mix.items() if name not in names}
        return _seconds(posed, configuration, left, worst)

    for name in sorted((n for n in worst.mix if n != worst.name), key=lambda n: without_these((n,))):
        chosen.append(name)
        if without_these(chosen) <= worst.target.seconds:
            break
    return tuple(chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Two classes alone in a replica of the pool: one with the part of its time that who is late has, another with the rest that is used."""

    posed: Posed
    worst: HeldUp
    rates: Mapping[str, float]
    """Requests a second that a replica sustains of each class."""

    @classmethod
    def of(cls, posed: Posed, worst: HeldUp) -> _Pair:
        column = next(c for c in posed.problem.columns if c.key == worst.pool.key)
        able = {name: rate for name, rate in column.requests_per_second.items() if rate > 0}
        rates = {name: rate / column.replicas_per_node for name, rate in able.items()}
        return cls(posed=posed, worst=worst, rates=rates)

    def seconds(self, one: WorkloadClass, other: str) -> float:
        """The latency that the target of who is late is of, for it."""
        return _seconds(self.posed, self.worst.pool.configuration, self._mix(one.name, other), self.worst)

    def is_late(self, name: str, other: str) -> bool:
        """Whether the one would miss a target of its own."""
        (one,) = (c for c in self.posed.candidates.workload.classes if c.name == name)
        return any(reckoned_late(self.posed, self.worst.pool, self._mix(name, other), [one]))

    def _mix(self, one: str, other: str) -> dict[str, float]:
        part = self.worst.mix[self.worst.name] / self.rates[self.worst.name]
        rest = max(self.worst.pool.utilisation - part, 0.0)
        return {one: part * self.rates[one], other: rest * self.rates[other]}


def _likewise(posed: Posed, worst: HeldUp, others: Sequence[str]) -> Iterator[str]:
    """The configurations in which it would be late too, in as full a replica with requests in the same proportions."""
    columns = {c.configuration: c for c in posed.problem.columns if c.role is Role.WHOLE}
    for name, column in columns.items():
        mix = {k: rate for k, rate in worst.mix.items() if column.rate(k) > 0}
        if worst.name not in mix or mix.keys().isdisjoint(others):
            continue
        used = sum(rate * column.replicas_per_node / column.rate(k) for k, rate in mix.items())
        as_full = {k: rate * worst.pool.utilisation / used for k, rate in mix.items()}
        if _seconds(posed, name, as_full, worst) > worst.target.seconds:
            yield name


def _seconds(posed: Posed, configuration: str, mix: Mapping[str, float], of: HeldUp) -> float:
    found = among(posed, configuration, mix, of.target.of)
    return of.target.seen(found.ttft_seconds, found.tpot_seconds)


def _parted(posed: Posed, cuts: Iterable[Cut]) -> Posed:
    for cut in cuts:
        problem, new = parted(posed.problem, cut, posed.twins)
        named = {name: posed.configurations[twin.of] for name, twin in new.items()}
        posed = replace(
            posed,
            problem=problem,
            configurations={**posed.configurations, **named},
            twins={**posed.twins, **new},
        )
    return posed


def _why(first: Sequence[HeldUp], cuts: Sequence[Cut]) -> str:
    """`keeping chat apart from docs (p95 of its first token would come after 0.89 s, beyond its 0.30 s)`."""
    worst = _worst(first)
    late, others = (
        tuple(dict.fromkeys(n for part in of for n in part))
        for of in zip(*((c.late, c.others) for c in cuts), strict=True)
    )
    told = f"{worst.name}: " if len(late) > 1 else ""
    return f"keeping {q.names(late)} apart from {q.names(others)} ({told}{worst.in_words('would')})"
