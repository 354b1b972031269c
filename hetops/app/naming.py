"""What names and patterns in a spec mean: which values of a trait. A name that nothing has is a slip of the pen, told with its line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from hetops.app.offers import Gathered
from hetops.domain.offer import Offer, Trait
from hetops.domain.service import Service
from hetops.domain.workload import WorkloadClass
from hetops.errors import UnknownNameError
from hetops.spec.fields import LoadedSpec
from hetops.spec.load import place

Place = Offer | Service
"""What can serve: told apart by traits."""


def means(kind: str, word: str, names: Iterable[str]) -> bool:
    """Whether a word means one of the names: itself in any case, a pattern, or of a GPU type its family."""
    pattern = word.casefold()
    lowered = [name.casefold() for name in names]
    family = kind == Trait.GPU and any(name.startswith(f"{pattern}-") for name in lowered)
    return family or any(fnmatchcase(name, pattern) for name in lowered)


def values_of(trait: Trait, words: Iterable[str], places: Iterable[Place]) -> tuple[str, ...]:
    """The values of the trait that the words mean among the places, sorted; none where no place has one."""
    words = tuple(words)
    found = {o.value(trait) for o in places if any(means(trait, w, _called(trait, o)) for w in words)}
    return tuple(sorted(found))


def demand_known(
    loaded: LoadedSpec,
    gathered: Gathered,
    classes: Iterable[WorkloadClass],
    known: Mapping[str, Iterable[str]],
) -> None:
    """Every name in the policy is that of something: an offer seen, chosen or not, a class, or `known` of its trait.

    Raises:
        UnknownNameError: one is not; tells file, line, field and the nearest names.
    """
    offers = (*gathered.selection.offers, *(r.offer for r in gathered.selection.refused))
    policy, names_of_classes = loaded.spec.policy, names_of(classes)
    for table, trait, words, index in (
        *(("survive", one.losing, one.names, i) for i, one in enumerate(policy.survive)),
        *(("shares", one.of, one.names, i) for i, one in enumerate(policy.shares)),
    ):
        every = {name for o in offers for name in _called(trait, o)} | set(known.get(trait, ()))
        for at, word in enumerate(words):
            if not means(trait, word, every):
                where = place(loaded, "policy", table, index, "names", at)
                raise UnknownNameError(trait, word, sorted(every), where=where)
    for what, name, everything, path in _others(loaded, names_of_classes, known[Trait.PROVIDER]):
        if name not in everything:
            raise UnknownNameError(what, name, everything, where=place(loaded, "policy", *path))


def _others(
    loaded: LoadedSpec, classes: Iterable[str], providers: Iterable[str]
) -> Iterator[tuple[str, str, list[str], tuple[str | int, ...]]]:
    """Names that are no patterns: what is named, the name, what there is, and where the name stands."""
    policy = loaded.spec.policy
    for i, share in enumerate(policy.shares):
        for at, name in enumerate(share.classes):
            yield "class", name, list(classes), ("shares", i, "classes", at)
    for i, one in enumerate(policy.interruptions):
        for at, name in enumerate(one.providers):
            yield "provider", name, list(providers), ("interruptions", i, "providers", at)


def names_of(classes: Iterable[WorkloadClass]) -> list[str]:
    """What classes may be called: by their own names, and by those that they have at every origin."""
    known = tuple(classes)
    return list(dict.fromkeys((*(c.stated_name for c in known), *(c.name for c in known))))


def _called(trait: Trait, offer: Place) -> tuple[str, ...]:
    """What a place's value of a trait may be called; nothing where it has none."""
    if isinstance(offer, Service):
        return tuple(filter(None, (offer.value(trait),)))
    if trait is Trait.OFFER:
        return offer.id, offer.sku
    if trait is Trait.ZONE:
        return tuple(filter(None, (offer.place, offer.zone, offer.region)))
    return (offer.value(trait),)


def places_called(offer: Offer) -> tuple[str, ...]:
    """What the place of an offer may be called: its provider, region or zone, or both."""
    regions = (f"{offer.provider}/{offer.region}", offer.region)
    return tuple(dict.fromkeys(filter(None, (offer.provider, *_called(Trait.ZONE, offer), *regions))))
