"""Use case: the plan of a spec under restrictions beside the plan without them. Decides what a restriction leaves over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from hetops.app.candidates import Asked, Candidates, candidates
from hetops.app.plan import Posed, planned, pose_of, solved
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
    """A spec's question under restrictions, and the one without them; both the same where there are none."""

    posed: Posed
    free: Posed
    restrictions: tuple[Restriction, ...]


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


def pose_under(asked: Asked, restrictions: tuple[Restriction, ...]) -> Compared:
    """The question with and without the restrictions.

    Raises:
        HetopsError: as `pose`.
        UnknownNameError: a name that no offer or configuration has.
        InfeasibleError: the restrictions leave nothing to choose; says what the fleet without them costs.
    """
    found = candidates(asked)
    free = pose_of(found)
    if not restrictions:
        return Compared(posed=free, free=free, restrictions=())
    left = restricted(found, restrictions)
    try:
        return Compared(posed=pose_of(left), free=free, restrictions=restrictions)
    except InfeasibleError as none:
        raise _with_the_free(none, planned(free, solved(free)), restrictions) from none


def answer_under(compared: Compared, effort: Effort) -> Answered:
    """The cheapest fleet under the restrictions, beside the cheapest without them.

    Raises:
        HetopsError: as `make_plan`.
        InfeasibleError: no fleet keeps the restrictions; says what the one without them costs. Or there is none at all.
    """
    if not compared.restrictions:
        found = solved(compared.posed, effort)
        return Answered(plan=planned(compared.posed, found), ended=found.ended)
    alone = replace(effort, on_interrupt=OnInterrupt.CANCEL)  # half an answer to half the question is none
    free = planned(compared.free, solved(compared.free, alone))
    try:
        found = solved(compared.posed, effort)
    except InfeasibleError as none:
        raise _with_the_free(none, free, compared.restrictions) from none
    plan = planned(compared.posed, found)
    if plan.usd_per_hour < free.usd_per_hour:  # the gap allowed to stop the free search early
        free = planned(compared.free, solved(compared.free, replace(alone, most_gap=PROOF_GAP)))
    words = tuple(one.text for one in compared.restrictions)
    return Answered(
        plan=plan, ended=found.ended, what_if=WhatIf(restrictions=words, plan=plan, instead_of=free)
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
        enumeration=left(found.enumeration),
        without_floors=left(found.without_floors),
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
    named = any(_means(one.key, word, names_by_key[one.key](value)) for word in one.values)
    return named is (one.sense is Sense.ONLY)


def _means(key: str, word: str, names: Iterable[str]) -> bool:
    """Whether a word means one of the names: itself in any case, a pattern, or of a GPU type its family."""
    pattern = word.casefold()
    lowered = [name.casefold() for name in names]
    family = key == "gpu" and any(name.startswith(f"{pattern}-") for name in lowered)
    return family or any(fnmatchcase(name, pattern) for name in lowered)


def _demand_known(one: Restriction, found: Candidates) -> None:
    """A name that nothing has is a slip of the pen; one that is known and not on offer just changes nothing."""
    offers = [*found.gathered.selection.offers, *(r.offer for r in found.gathered.selection.refused)]
    known: dict[str, None] = {}
    if one.key in _OF_OFFER:
        known = dict.fromkeys(name for o in offers for name in _OF_OFFER[one.key](o))
    else:
        known = dict.fromkeys(c.engine for c in found.enumeration.configurations)
    if one.key == "gpu":
        known |= dict.fromkeys(found.gpus)
    if one.key == "provider":
        known |= dict.fromkeys(p.name for p in found.plugins.providers)
    if one.key == "engine":
        known |= dict.fromkeys(e.name for e in found.plugins.engines)
    for word in one.values:
        if not _means(one.key, word, known):
            raise UnknownNameError(one.key, word, known, where=f"--{one.sense}")


def _with_the_free(
    none: InfeasibleError, before: Plan, restrictions: Iterable[Restriction]
) -> InfeasibleError:
    words = " ".join(one.text for one in restrictions)
    told = f"without {words} the cheapest fleet costs {before.usd_per_hour} usd_per_hour"
    return InfeasibleError(none.message, details=(*none.details, told), hint=none.hint)
