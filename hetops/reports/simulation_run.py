"""One run of a simulation, and what it cost. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hetops.domain.units import SECONDS_PER_HOUR
from hetops.domain.workload import WorkloadClass
from hetops.reports.simulation import Ended
from hetops.simulate.arrivals import Arrivals
from hetops.simulate.fleet import VirtualFleet, VirtualService
from hetops.simulate.origins import Away
from hetops.simulate.outcome import Bools, Served
from hetops.simulate.record import Record


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Played:
    """One run: what came, and what became of it."""

    seed: int
    ended: Ended
    fleet: VirtualFleet
    classes: tuple[WorkloadClass, ...]
    arrivals: Arrivals
    record: Record
    served: Served
    spilled: int
    anyway_usd_per_hour: float = 0.0
    """Of nodes that are paid for and that no pool uses, and what pools cost besides their nodes."""
    away: Away | None = None
    """The ways between classes and pools, where the plan has a network."""

    @property
    def seconds(self) -> float:
        """How long requests came, or until it was stopped."""
        return self.arrivals.seconds if self.ended is Ended.WHOLE else self.record.now

    def asking_for(self, model: str) -> Bools:
        """Which requests ask for a model, by their classes."""
        own = np.array([c.asks_for(model) for c in self.classes])
        return np.asarray(own[self.served.label], dtype=np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a run cost, and what for."""

    usd: float
    by_pool: tuple[float, ...]
    seconds: float
    tokens: int
    good_tokens: int

    @classmethod
    def of(cls, run: Played) -> Bill:
        """Nodes are paid for until the last request is over, but for the time in which they are gone; services and egress by answers."""
        ended = np.array(run.record.ended_at)
        seconds = float(max(ended[run.served.over], default=run.record.now))
        by_pool = tuple(_paid(run, index, seconds) for index in range(len(run.fleet.pools)))
        tokens = run.arrivals.tokens
        return cls(
            usd=sum(by_pool)
            + run.anyway_usd_per_hour / SECONDS_PER_HOUR * seconds
            + egress(run, run.served.answered),
            by_pool=by_pool,
            seconds=seconds,
            tokens=int(tokens[run.served.answered].sum()),
            good_tokens=int(tokens[run.served.kept].sum()),
        )

    def of_a_million(self, tokens: int) -> float | None:
        """Price of a million of such tokens; None where there are none."""
        return self.usd / tokens * 1e6 if tokens else None


def _paid(run: Played, index: int, seconds: float) -> float:
    """What the pool or service of that index was paid in that time."""
    one = run.fleet.pools[index]
    if isinstance(one, VirtualService):
        answered = run.served.answered & (np.array(run.record.pools) == index)
        tokens_in, tokens_out = run.arrivals.input_tokens[answered], run.arrivals.output_tokens[answered]
        return float(tokens_in.sum() * one.usd_per_input_token + tokens_out.sum() * one.usd_per_output_token)
    there = max(0.0, seconds - run.record.gone_seconds[index] / one.replicas)
    return one.usd_per_hour / SECONDS_PER_HOUR * there


def egress(run: Played, of: Bools) -> float:
    """What the whole answers to some of the requests cost on their way to where they were asked for."""
    if run.away is None:
        return 0.0
    answered, pools = run.served.answered & of, np.array(run.record.pools)
    each = run.away.usd_per_token[run.served.label[answered], pools[answered]]
    return float((each * run.arrivals.output_tokens[answered]).sum())
