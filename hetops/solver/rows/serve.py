"""Rows that see the demand served: in full, on nodes that have the time for it, in its stretch or its deadline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hetops.solver.frame import Block, Frame
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.matrix import Row
from hetops.solver.terms import Role

Found = list[tuple[int, float]]
Terms = Sequence[tuple[int, float]]


def demand_rows(frame: Frame) -> Iterator[Row]:
    """Each class is served in full but for what is shed, or `scale` times in full; where decode has its own place, prefill counts."""
    of = _begun(frame)
    for n, layer in enumerate(frame.layers):
        if layer.scenario is not None:
            continue
        for w, demand in enumerate(frame.classes):
            if frame.rates[n][w] > 0 and not frame.may_wait(w):
                terms = [*of.get((n, w), []), *frame.shed(n, w)]
                yield _served(frame, _at(frame, layer.stretch, demand.name), terms)


def _begun(frame: Frame) -> dict[tuple[int, int], Found]:
    """By layer and class, the shares that its requests begin with: whole, or in prefill."""
    first = frame.first[Block.SHARE]
    decodes = [frame.role(place) is Role.DECODE for place in range(len(frame.places))]
    of: dict[tuple[int, int], Found] = {}
    for k, (n, place, w) in enumerate(frame.pairs):
        if not decodes[place]:
            of.setdefault((n, w), []).append((first + k, 1.0))
    return of


def shed_rows(frame: Frame) -> Iterator[Row]:
    """Of what arrives in a stretch no more is turned away than may be."""
    for (_, w), k in frame.sheds.items():
        demand = frame.classes[w]
        if demand.max_shed_share < 1 or frame.minimise == Limit(kind=LimitKind.SHED, subject=demand.name):
            limit = Limit(kind=LimitKind.SHED, subject=demand.name)
            yield Row(subject=limit, terms=[(frame.first[Block.SHED] + k, 1.0)], upper=demand.max_shed_share)


def _served(frame: Frame, subject: object, terms: Terms) -> Row:
    if frame.scale_index is not None:
        return Row(subject=subject, terms=[*terms, (frame.scale_index, -1.0)], lower=0.0, upper=0.0)
    return Row(subject=subject, terms=terms, lower=1.0, upper=1.0)


def _at(frame: Frame, stretch: int, name: object) -> object:
    """A subject in a stretch; where there is but one, the subject."""
    return name if len(frame.stretches) == 1 else (stretch, name)


def loss_rows(frame: Frame) -> Iterator[Row]:
    """Without what is lost the rest serves the kept share of what is served of each class, at the same targets.

    With shares of its own. What is missing is the same part of every class; where some is shed, or waits, it may be less. Work
    that waits does so as before: what is served of it in a stretch is what the rest serves the kept share of.
    """
    scenarios = frame.problem.scenarios
    if not scenarios:
        return
    of = _begun(frame)
    stretches, first = len(frame.stretches), frame.first[Block.MISSING]
    missing = {
        (s.name, t): first + i * stretches + t for i, s in enumerate(scenarios) for t in range(stretches)
    }
    for n, layer in enumerate(frame.layers):
        if layer.scenario is None:
            continue
        left = missing[layer.scenario.name, layer.stretch]
        for w in range(len(frame.classes)):
            own, before = of.get((n, w), []), of.get((layer.stretch, w), [])
            if frame.rates[n][w] > 0:
                yield _left(frame, (n, w), own, before, left)
    for scenario in scenarios:
        limit, most = Limit(kind=LimitKind.LOSS, subject=scenario.loss), float(1 - scenario.kept_share)
        for t in range(stretches):
            yield bounded_share(frame, limit, [(missing[scenario.name, t], 1.0)], most)


def _left(frame: Frame, at: tuple[int, int], own: Found, before: Found, missing: int) -> Row:
    """After a loss, a layer's, `own` shares of a class serve the kept share of what was served `before`, or all but `missing`."""
    (n, w), layer = at, frame.layers[at[0]]
    scenario, subject = layer.scenario, ("lost", *at)
    kept = float(scenario.kept_share) if scenario else 1.0
    if frame.may_wait(w):
        asked = scenario and frame.minimise == Limit(kind=LimitKind.LOSS, subject=scenario.loss)
        came = frame.stretches[layer.stretch].rates[frame.classes[w].name] * frame.demand_unit
        given_up = [(missing, came / frame.rates[n][w])] if asked else []
        served = [(k, -1.0 if asked else -kept) for k, _ in before]
        return Row(subject=subject, terms=[*own, *served, *given_up], lower=0.0)
    if shed := frame.shed(n, w):
        return Row(
            subject=subject,
            terms=[*own, (missing, 1.0), *((i, value * kept) for i, value in shed)],
            lower=1.0,
        )
    return _served(frame, subject, [*own, (missing, 1.0)])


def bounded_share(frame: Frame, limit: Limit, terms: Terms, most: float, shed: Terms = ()) -> Row:
    """At most that share of the demand but for what is shed of it, or of `scale` times the demand."""
    if frame.scale_index is None:
        return Row(subject=limit, terms=[*terms, *((i, part * most) for i, part in shed)], upper=most)
    return Row(subject=limit, terms=[*terms, (frame.scale_index, -most)], upper=0.0)


def capacity_rows(frame: Frame) -> Iterator[Row]:
    """The loads on a column's nodes leave the headroom free, and what interruptions take."""
    loads: list[list[Found]] = [[[] for _ in frame.columns] for _ in frame.layers]
    first = frame.first[Block.SHARE]
    for k, ((n, place, _), load) in enumerate(zip(frame.pairs, frame.loads, strict=True)):
        if place < len(frame.columns):
            loads[n][place].append((first + k, load))
    for n, layer in enumerate(frame.layers):
        for j, terms in enumerate(loads[n]):
            if terms or len(frame.layers) == 1:
                nodes = (frame.nodes(layer.stretch, j), -frame.usable[j])
                subject = frame.columns[j].key if len(frame.layers) == 1 else ("capacity", n, j)
                yield Row(subject=subject, terms=[*terms, nodes], upper=0.0)


def whole_class_rows(frame: Frame) -> Iterator[Row]:
    """A part of a class needs that part of a node, even where one node could serve the class several times over.

    Implied for whole nodes, not for the relaxation, which would rent a sliver of a large node: cut the time to
    optimality by a factor of 3 to 4 on random instances of 700 columns (benchmarks/solver.py).
    """
    if frame.scale_index is not None:
        return
    keys, usable, first = [c.key for c in frame.columns], frame.usable, frame.first[Block.SHARE]
    waits = [frame.may_wait(w) for w in range(len(frame.classes))]
    for k, ((n, j, w), load) in enumerate(zip(frame.pairs, frame.loads, strict=True)):
        if j < len(keys) and not waits[w] and load < usable[j]:
            nodes = (frame.nodes(frame.layers[n].stretch, j), -1.0)
            yield Row(subject=(*keys[j], n, w), terms=[(first + k, 1.0), nodes], upper=0.0)


def service_rows(frame: Frame) -> Iterator[Row]:
    """A service takes no more requests than it says."""
    for n in range(len(frame.layers)):
        for i, service in enumerate(frame.problem.services):
            if service.max_requests_per_second is not None:
                terms = [(k, rate) for k, _, rate in _requests(frame, n, len(frame.columns) + i)]
                limit = Limit(kind=LimitKind.SERVICE_REQUESTS, subject=service.id)
                yield Row(subject=limit, terms=terms, upper=service.max_requests_per_second)


def service_token_rows(frame: Frame) -> Iterator[Row]:
    """A service takes no more tokens than it says."""
    for n in range(len(frame.layers)):
        for i, service in enumerate(frame.problem.services):
            most = service.max_tokens_per_second
            if most is not None:
                limit = Limit(kind=LimitKind.SERVICE_TOKENS, subject=service.id)
                # Thousands of tokens a second are a large number beside shares.
                unit = most if most and frame.minimise != limit else 1.0
                terms = [
                    (k, rate * service.tokens_per_request.get(name, 0.0) / unit)
                    for k, name, rate in _requests(frame, n, len(frame.columns) + i)
                ]
                yield Row(subject=limit, terms=terms, upper=most / unit)


def _requests(frame: Frame, layer: int, at: int) -> Iterator[tuple[int, str, float]]:
    """Requests per second that each share of a class brings to a place."""
    for k, (n, place, w) in enumerate(frame.pairs):
        if n == layer and place == at:
            yield frame.share(k), frame.classes[w].name, frame.rates[n][w]


def deferral_rows(frame: Frame) -> Iterator[Row]:
    """What arrives of batch work is served within its deadline; what is served in a stretch has arrived for it."""
    first = frame.first[Block.DEFERRED]
    arrived: dict[tuple[int, int], Found] = {}
    brought: dict[tuple[int, int], Found] = {}
    for f, (w, t, s) in enumerate(frame.waits):
        stretch = frame.stretches[t]
        requests = stretch.rates[frame.classes[w].name] * frame.demand_unit * float(stretch.part)
        arrived.setdefault((w, t), []).append((first + f, 1.0))
        brought.setdefault((w, s), []).append((first + f, -requests / frame.rates[t][w]))
    for (w, t), terms in arrived.items():
        yield _served(frame, ("arrived", w, t), [*terms, *frame.shed(t, w)])
    for k, (n, place, w) in enumerate(frame.pairs):
        if frame.layers[n].scenario is None and frame.may_wait(w) and frame.role(place) is not Role.DECODE:
            part = float(frame.stretches[frame.layers[n].stretch].part)
            brought.setdefault((w, frame.layers[n].stretch), []).append((frame.share(k), part))
    for (w, s), terms in brought.items():
        yield Row(subject=("served", w, s), terms=terms, lower=0.0, upper=0.0)


def handover_rows(frame: Frame) -> Iterator[Row]:
    """All that prefill serves goes over links, or within its network, to decode, and decode serves nothing else."""
    if not frame.problem.hands_over:
        return
    networks = {offer.id: offer.network for offer in frame.problem.offers}
    ends: dict[tuple[Role | str, int, str, str, int], Found] = {}
    for k, (n, place, w) in enumerate(frame.pairs):
        if place < len(frame.columns) and frame.role(place) is not Role.WHOLE:
            column = frame.columns[place]
            within = networks[column.offer]
            at = (
                ("", n, within, column.kv_format, w)
                if within
                else (column.role, n, column.offer, column.kv_format, w)
            )
            takes = bool(within) and column.role is Role.DECODE
            ends.setdefault(at, []).append((frame.share(k), -1.0 if takes else 1.0))
    for h, one in enumerate(frame.handovers):
        link = frame.problem.links[one.link]
        for role, offer in ((Role.PREFILL, link.source), (Role.DECODE, link.target)):
            at = (role, one.layer, offer, one.kv_format, one.workload_class)
            ends.setdefault(at, []).append((frame.first[Block.HANDED] + h, -1.0))
    for subject, terms in ends.items():
        yield Row(subject=subject, terms=terms, lower=0.0, upper=0.0)


def link_rows(frame: Frame) -> Iterator[Row]:
    """KV caches do not go faster over a link than it carries."""
    over: dict[tuple[int, int], Found] = {}
    for h, one in enumerate(frame.handovers):
        size = (
            frame.classes[one.workload_class].kv_gb_per_request * frame.rates[one.layer][one.workload_class]
        )
        over.setdefault((one.layer, one.link), []).append((frame.first[Block.HANDED] + h, size))
    for (_, k), terms in over.items():
        link = frame.problem.links[k]
        if link.gb_per_second is not None:
            limit = Limit(kind=LimitKind.LINK, subject=" to ".join(link.key))
            yield Row(subject=limit, terms=terms, upper=link.gb_per_second)
