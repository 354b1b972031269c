"""Requests through a fleet that exists as numbers, sent by the router's own deciders in virtual time. Wires; decides nothing.

What `simulate` and the comparisons of fleets share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hetops.app.virtual_router import Trial, VirtualRouter
from hetops.domain.workload import WorkloadClass
from hetops.router.config import RoutedClass, RoutedPool, RouterConfig
from hetops.simulate.arrivals import Arrivals
from hetops.simulate.fleet import VirtualFleet, VirtualPool, VirtualService
from hetops.simulate.outcome import ClassOutcome, Served, class_outcomes, served
from hetops.simulate.record import Record
from hetops.simulate.replay import Replay, Scenario


@dataclass(slots=True, kw_only=True, eq=False)
class Playing:
    """A trial under way or over. `progress` plays it; whenever that stops, the rest says what happened until then."""

    trial: Trial
    replay: Replay
    router: VirtualRouter

    def progress(self) -> Iterator[float]:
        """Plays, telling now and then the virtual time that it has come to."""
        yield from self.replay.run()

    @property
    def record(self) -> Record:
        """What happened so far."""
        return self.replay.record

    @property
    def served(self) -> Served:
        """What happened so far, request by request."""
        trial = self.trial
        trips = trial.away.seconds if trial.away else None
        return served(trial.scenario.arrivals, self.record, trial.classes, self.router.labels, trips)


def playing(trial: Trial) -> Playing:
    """A trial that has not begun."""
    router = VirtualRouter(trial)
    return Playing(trial=trial, replay=Replay(trial.scenario, router), router=router)


def evaluate(
    pools: Sequence[VirtualPool],
    classes: Sequence[WorkloadClass],
    shares: Mapping[str, Mapping[str, float]],
    arrivals: Arrivals,
    labels: Sequence[int],
) -> tuple[ClassOutcome, ...]:
    """How a fleet serves requests of known classes, each class's sent to its pools in these shares: latencies and attainment.

    `shares` is by class, then pool, and adds up to 1 for each class; `labels` is each request's class by its index in
    `classes`. The same input gives the same output.

    Raises:
        ValueError: shares or names that do not go together.
    """
    fleet = VirtualFleet(pools)
    trial = Trial(
        scenario=Scenario(fleet=fleet, arrivals=arrivals),
        config=_config(pools, endpoints(fleet), classes, shares),
        classes=tuple(classes),
        labels=tuple(labels),
    )
    play = playing(trial)
    for _ in play.progress():
        pass
    return class_outcomes(play.served, trial.classes, arrivals.seconds)


def endpoints(fleet: VirtualFleet) -> dict[str, tuple[str, ...]]:
    """A name for each replica, where a router wants a URL: by pool. A service has its own."""
    return {
        pool.name: tuple(f"http://replica-{n}" for n in fleet.replicas_of(index))
        for index, pool in enumerate(fleet.pools)
        if not isinstance(pool, VirtualService)
    }


def _config(
    pools: Sequence[VirtualPool],
    urls: Mapping[str, tuple[str, ...]],
    classes: Sequence[WorkloadClass],
    shares: Mapping[str, Mapping[str, float]],
) -> RouterConfig:
    return RouterConfig(
        deployment="trial",
        models=("model",),
        classes=tuple(
            RoutedClass(
                name=c.name,
                input_tokens=c.input_tokens.mean,
                output_tokens=c.output_tokens.mean,
                requests_per_second=c.requests_per_second,
            )
            for c in classes
        ),
        pools=tuple(
            RoutedPool(
                name=p.name,
                configuration=p.name,
                gpu=p.gpu,
                endpoints=urls[p.name],
                max_sequences=p.step_times.max_sequences,
                max_context_tokens=p.longest,
                serves=tuple(c for c, of in shares.items() if of.get(p.name, 0) > 0),
            )
            for p in pools
        ),
        shares=shares,
    )
