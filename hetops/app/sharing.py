"""What of a node a replica takes, where a spec lets pools share nodes, or models share GPUs. Wires; which parts fill a node together is `domain/parts.py`'s."""

from __future__ import annotations

from dataclasses import dataclass

from hetops.app.candidates import Candidates
from hetops.domain.configuration import Configuration
from hetops.domain.offer import Offer
from hetops.plugin.provider import Capability


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Into how many equal parts a node falls, and how many replicas have room on one of them; none where it cannot hold any."""

    parts: int = 1
    replicas: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How replicas may lie on nodes."""

    nodes: bool
    """Whether pools may share nodes."""
    cutting: frozenset[str]
    """Providers whose GPUs may be cut."""
    alone: frozenset[str]
    """Providers whose nodes run one engine each."""

    def room(self, offer: Offer, one: Configuration) -> Room:
        """The room that a configuration has on nodes of an offer."""
        if one.rented_gpu != offer.gpu or (one.mig and offer.provider not in self.cutting):
            return Room()
        if one.mig:
            return Room(parts=offer.gpu_count * one.mig.parts, replicas=1)
        if offer.provider in self.alone:
            return Room(replicas=min(offer.gpu_count // one.gpu_count, 1))
        parts = _parts(offer, one) if self.nodes else 1
        return Room(parts=parts, replicas=offer.gpu_count // parts // one.gpu_count)


def sharing(c: Candidates) -> Sharing:
    """How the replicas of a spec's models may lie on nodes: those of one model in unlike configurations too."""
    policy = c.spec.policy
    shared = policy.share_gpus or policy.share_nodes
    able = {p.name for p in c.plugins.providers if Capability.ONE_ENGINE in p.capabilities}
    return Sharing(nodes=shared, cutting=c.cutting, alone=frozenset(able))


def _parts(offer: Offer, one: Configuration) -> int:
    """Into how many equal parts a node falls of which each has room for a replica; a power of two, so that parts of any size
    fill a node without waste."""
    parts = 1
    while offer.gpu_count % (2 * parts) == 0 and offer.gpu_count >= 2 * parts * one.gpu_count:
        parts *= 2
    return parts
