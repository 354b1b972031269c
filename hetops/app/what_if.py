"""Use case: the plan of a spec under restrictions beside the plan without them. Decides what a restriction leaves over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from hetops.app.candidates import Asked, Candidates, candidates
from hetops.app.naming import means
from hetops.app.plan import planned, solved
from hetops.app.pose import Posed, pose_of
from hetops.configurations.enumerate import Enumeration
from hetops.domain.configuration import Configuration
from hetops.domain.offer import Offer
from hetops.domain.plan import Plan
from hetops.errors import InfeasibleError, UnknownNameError, UsageError, nearest
from hetops.reports.what_if import WhatIf
from hetops.solver.highs import OnInterrupt
from hetops.solver.solution import Ended
from hetops.solver.solve import PROOF_GAP, Effort


class Sense(StrEnum):
    """Whether what is named is left out, or all else is."""

    WITHOUT = "without"
    ONLY = "only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """`--only gpu=L40S,H100`: the key, and the values that it may have, or may not."""

    sense: Sense
    key: str
    values: tuple[str, ...]

    @property
    def text(self) -> str:
        """As it is written on a command line."""
        return f"--{self.sense} {self.key}={','.join(self.values)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A question that was changed, and the one to hold it against; both the same where nothing was changed."""

    posed: Posed
    free: Posed
    changes: tuple[str, ...]
    """What was changed, as it is written on a command line: restrictions, and fields of the spec."""
    only_restricts: bool = True
    """Whether every fleet that answers the one question answers the other too: then it costs no less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The plan that was asked for, and how its search ended; beside the free plan where there were restrictions."""

    plan: Plan
    ended: Ended
    what_if: WhatIf | None = None


_OF_OFFER: Mapping[str, Callable[[Offer], tuple[str, ...]]] = {
    "provider": lambda offer: (offer.provider,),
    "gpu": lambda offer: (offer.gpu,),
    "offer": lambda offer: (offer.id, offer.sku),
    "region": lambda offer: tuple(filter(None, (offer.region, offer.zone))),
}
_OF_CONFIGURATION: Mapping[str, Callable[[Configuration], tuple[str, ...]]] = {
    "engine": lambda configuration: (configuration.engine,),
}
KEYS = (*_OF_OFFER, *_OF_CONFIGURATION)
"""What can be restricted."""


def restrictions(without: Iterable[str], only: Iterable[str]) -> tuple[Restriction, ...]:
    """The restrictions that two lists of `KEY=NAME,NAME` mean; errors as `restriction`."""
    return (
        *(restriction(Sense.WITHOUT, text) for text in without),
        *(restriction(Sense.ONLY, text) for text in only),
    )


def restriction(sense: Sense, text: str) -> Restriction:
    """The restriction that `KEY=VALUE,VALUE` means.

    Raises:
        UsageError: another shape, or a key that is none.
    """
    key, _, values = text.partition("=")
    named = tuple(dict.fromkeys(value.strip() for value in values.split(",") if value.strip()))
    if key not in KEYS or not named:
        near = nearest(key, KEYS, most=1)
        hint = f"did you mean --{sense} {near[0]}=NAME?" if near else f"keys are {', '.join(KEYS)}"
        raise UsageError(f"--{sense} wants KEY=NAME[,NAME], {text!r} was given", hint=hint)
    return Restriction(sense=sense, key=key, values=named)


def pose_under(
    asked: Asked, restrictions: tuple[Restriction, ...], *, beside: Asked | None = None
) -> Compared:
    """The question with and without the restrictions, or beside another: the spec with other fields.

    Raises:
        HetopsError: as `pose`.
        UnknownNameError: a name that no offer or configuration has.
        InfeasibleError: the restrictions leave nothing to choose; says what the fleet without them costs.
    """
    found = candidates(asked)
    other = asked if beside is None else beside
    changed = tuple(text for text in asked.overrides if text not in other.overrides)
    changes = (*(f"--set {text}" for text in changed), *(one.text for one in restrictions))
    free = pose_of(candidates(other) if changed else found)
    if not changes:
        return Compared(posed=free, free=free, changes=())
    left = restricted(found, restrictions)
    try:
        _demand_some(left, found, restrictions)
        return Compared(posed=pose_of(left), free=free, changes=changes, only_restricts=not changed)
    except InfeasibleError as none:
        free, found_free = solved(free)
        usd = found_free.usd_per_hour if free.problem.periods else planned(free, found_free).usd_per_hour
        raise with_the_free(none, usd, changes) from none


def answer_under(compared: Compared, effort: Effort) -> Answered:
    """The cheapest fleet for the changed question, beside the cheapest for the other.

    Raises:
        HetopsError: as `make_plan`.
        InfeasibleError: no fleet answers what was changed; says what the other costs. Or there is none at all.
    """
    if not compared.changes:
        posed, found = solved(compared.posed, effort)
        return Answered(plan=planned(posed, found), ended=found.ended)
    alone = replace(effort, on_interrupt=OnInterrupt.CANCEL)  # half an answer to half the question is none
    free = planned(*solved(compared.free, alone))
    try:
        posed, found = solved(compared.posed, effort)
    except InfeasibleError as none:
        raise with_the_free(none, free.usd_per_hour, compared.changes) from none
    plan = planned(posed, found)
    if (
        compared.only_restricts and plan.counted_usd_per_hour < free.counted_usd_per_hour
    ):  # the gap allowed to stop the free search early
        free = planned(*solved(compared.free, replace(alone, most_gap=PROOF_GAP)))
    return Answered(
        plan=plan,
        ended=found.ended,
        what_if=WhatIf(restrictions=compared.changes, plan=plan, instead_of=free),
    )


def restricted(found: Candidates, restrictions: Iterable[Restriction]) -> Candidates:
    """The candidates that the restrictions leave. Of one key, what any `--only` names may stay.

    Raises:
        UnknownNameError: a name that nothing has.
    """
    merged = _merged(restrictions)
    for one in merged:
        _demand_known(one, found)
    selection = found.gathered.selection
    offers = tuple(o for o in selection.offers if all(_keeps(r, _OF_OFFER, o) for r in merged))

    def left(of: Enumeration) -> Enumeration:
        kept = (c for c in of.configurations if all(_keeps(r, _OF_CONFIGURATION, c) for r in merged))
        return replace(of, configurations=tuple(kept))

    return replace(
        found,
        gathered=replace(found.gathered, selection=replace(selection, offers=offers)),
        models=tuple(one.narrowed(left) for one in found.models),
    )


def _demand_some(left: Candidates, found: Candidates, restrictions: Iterable[Restriction]) -> None:
    """What the restrictions alone took away is told as that, and not as what the spec refuses."""
    told = " ".join(one.text for one in restrictions)
    offers = {o.provider for o in found.gathered.selection.offers}
    engines = {c.engine for c in found.enumeration.configurations}
    if offers and not left.gathered.selection.offers:
        raise InfeasibleError(
            f"{told} leaves no offer", hint=f"offers without it are of {', '.join(sorted(offers))}"
        )
    if engines and not left.enumeration.configurations:
        raise InfeasibleError(
            f"{told} leaves no engine", hint=f"the spec's engines are {', '.join(sorted(engines))}"
        )


def _merged(restrictions: Iterable[Restriction]) -> tuple[Restriction, ...]:
    values: dict[tuple[Sense, str], tuple[str, ...]] = {}
    for one in restrictions:
        values[one.sense, one.key] = (*values.get((one.sense, one.key), ()), *one.values)
    return tuple(Restriction(sense=sense, key=key, values=named) for (sense, key), named in values.items())


def _keeps(
    one: Restriction, names_by_key: Mapping[str, Callable[..., tuple[str, ...]]], value: object
) -> bool:
    """Whether the restriction, where it speaks of such values at all, lets this one stay."""
    if one.key not in names_by_key:
        return True
    named = any(means(one.key, word, names_by_key[one.key](value)) for word in one.values)
    return named is (one.sense is Sense.ONLY)


def _demand_known(one: Restriction, found: Candidates) -> None:
    """A name that nothing has is a slip of the pen; one that is known and not on offer just changes nothing."""
    offers = [*found.gathered.selection.offers, *(r.offer for r in found.gathered.selection.refused)]
    known: dict[str, None] = {}
    if one.key in _OF_OFFER:
        known = dict.fromkeys(name for o in offers for name in _OF_OFFER[one.key](o))
    else:
        known = dict.fromkeys(c.engine for c in found.enumeration.configurations)
    if one.key == "gpu":
        known |= dict.fromkeys(one.name for one in found.catalog.gpu_types)
    if one.key == "provider":
        known |= dict.fromkeys(p.name for p in found.plugins.providers)
    if one.key == "engine":
        known |= dict.fromkeys(e.name for e in found.plugins.engines)
    for word in one.values:
        if not means(one.key, word, known):
            raise UnknownNameError(one.key, word, known, where=f"--{one.sense}")


def with_the_free(none: InfeasibleError, usd_per_hour: Decimal, changes: Iterable[str]) -> InfeasibleError:
    """The news that there is no fleet, with what the cheapest costs without the changes."""
    told = f"without {' '.join(changes)} the cheapest fleet costs {usd_per_hour} usd_per_hour"
    return InfeasibleError(none.message, details=(*none.details, told), hint=none.hint)
