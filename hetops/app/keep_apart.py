"""Classes that hold one another up are kept apart: the plan is sought again with pools for each, and taken if all keep their targets.

Who is held up is decided elsewhere. Where no such fleet is found in time the first one stands, and is warned of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from hetops.app.held_up import HeldUp, among, held_up
from hetops.app.pose import Posed
from hetops.app.twins import Cut, KeptApart, parted
from hetops.domain.policy import TermCost
from hetops.errors import TimeoutExpiredError
from hetops.solver.patience import Patience
from hetops.solver.solution import Ended, Solution
from hetops.solver.solve import Effort, solve
from hetops.solver.terms import Role

_ROUNDS = 4
"""Who was moved may be held up where it is now; after so many searches that is how it is."""
_TIMES, _LEAST_SECONDS = 2.0, 1.0
"""All these searches together may take so many times as long as the first, a second at least."""
_MOST_NAMES = 3


def kept_apart(posed: Posed, found: Solution, effort: Effort) -> tuple[Posed, Solution]:
    """The question with pools for those who hold one another up, and its answer; both as they are where nobody does, or where no
    fleet is found that keeps all targets. Whoever stopped the search waits for none."""
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
        if not late:
            told = KeptApart(first=found, why=_why(first, cuts), cuts=tuple(cuts))
            return replace(asked, kept_apart=told), replace(answer, solve_seconds=seconds)
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
    """None where there is none, or none was found in time."""
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
    worst = _worst(late)
    others = _holding(posed, worst)
    return Cut(
        late=tuple(dict.fromkeys(one.name for one in late if one.name not in others)),
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
    return f"keeping {_listed(late)} apart from {_listed(others)} ({told}{worst.in_words('would')})"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    listed = ", ".join(names[:_MOST_NAMES])
    return f"{listed} and {more} more" if more > 0 else listed
