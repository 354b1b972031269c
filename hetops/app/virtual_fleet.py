"""Requests through a fleet that exists as numbers, sent by the router's own deciders in virtual time. Wires; decides nothing.

What `simulate` and the comparisons of fleets share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hetops.domain.workload import WorkloadClass
from hetops.router.classify import LearntLengths, Lengths
from hetops.router.config import RoutedClass, RoutedPool, RouterConfig
from hetops.router.decide import Choice, Dispatcher
from hetops.router.health import Fault
from hetops.router.origins import of_each_model
from hetops.simulate.arrivals import Arrivals
from hetops.simulate.fleet import VirtualFleet, VirtualPool, VirtualService
from hetops.simulate.origins import Away
from hetops.simulate.outcome import ClassOutcome, Served, class_outcomes, served
from hetops.simulate.record import Record
from hetops.simulate.replay import Replay, Scenario


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """A fleet, how the router sees it, and the requests that it gets."""

    scenario: Scenario
    config: RouterConfig
    classes: tuple[WorkloadClass, ...]
    """Those of the config, in its order, with their targets."""
    labels: tuple[int, ...] | None = None
    """The class of each request by its index; None lets the router find out, as it does in production."""
    origins: tuple[str, ...] = ()
    """Where each request comes from, as its header would say; empty where nobody says."""
    models: tuple[str, ...] = ()
    """The model that each request asks for; empty where there is only one."""
    away: Away | None = None
    """The ways between classes and pools; None where they have no length."""


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


class VirtualRouter:
    """The router's deciders as a simulation's `Router`: they see what they would see of a proxy."""

    def __init__(self, trial: Trial) -> None:
        """Nothing was sent yet."""
        self._dispatcher = Dispatcher(trial.config)
        self._config = trial.config
        self._origins = of_each_model(trial.config)
        self._from = trial.origins
        self._asks_for = trial.models
        self._learnt = {model: LearntLengths() for model in trial.config.models}
        self._given = trial.labels
        self._names = tuple(c.name for c in trial.classes)
        self._index = {name: index for index, name in enumerate(self._names)}
        self._prefixes = tuple(c.prefix_share for c in trial.classes)
        self._urls = tuple(url.rstrip("/") for pool in trial.config.pools for url in pool.endpoints)
        self._numbers = {url: number for number, url in enumerate(self._urls)}
        arrivals = trial.scenario.arrivals
        self._inputs: list[int] = arrivals.input_tokens.tolist()
        self._outputs: list[int] = arrivals.output_tokens.tolist()
        self._choices: dict[int, Choice] = {}
        self.labels = [0] * len(arrivals)
        """The class of each request that has come, by its index."""
        self.spilled = 0
        """Requests that went to another pool than the one whose turn it was."""

    def first(self, request: int, at: float) -> int | None:
        """As the proxy: the request's class, then its replica."""
        self._dispatcher.passed(at)
        lengths = self._lengths(request)
        if self._given is None:
            model = self._model(request)
            origins = self._origins[model]
            origin = origins.of(self._from[request] if self._from else "")
            label = self._index[origins.classify(origin, lengths, self._learnt[model])]
        else:
            label = self._given[request]
        self.labels[request] = label
        choice = self._dispatcher.choose(self._names[label], lengths.most_tokens)
        if not isinstance(choice, Choice):
            return None
        self.spilled += choice.spilled
        return self._taken(request, choice)

    def again(self, request: int, tried: Sequence[int], at: float) -> int | None:
        """As the proxy where a replica failed a request."""
        self._dispatcher.passed(at)
        name, tokens = self._names[self.labels[request]], self._inputs[request] + self._outputs[request]
        urls = [self._urls[n] for n in tried]
        choice = self._dispatcher.choose_again(self._choices[request], name, tokens, urls)
        return self._taken(request, choice) if isinstance(choice, Choice) else None

    def cached(self, request: int) -> int:
        """What the plan says of the request's class."""
        return int(self._prefixes[self.labels[request]] * self._inputs[request])

    def released(self, request: int, replica: int) -> None:
        """As the proxy where an exchange ends."""
        del request
        self._dispatcher.release(self._urls[replica])

    def answered(self, request: int, replica: int) -> None:
        """As the proxy where an answer is whole."""
        url = self._urls[replica]
        self._dispatcher.answered(url)
        if self._given is None:
            self._learnt[self._model(request)].learn_output(self._lengths(request), self._outputs[request])
        self._dispatcher.release(url)
        choice = self._choices.pop(request)
        if choice.service:
            self._dispatcher.settle(choice, self._inputs[request] + self._outputs[request])

    def broke(self, replica: int, at: float) -> None:
        """As the proxy where an answer breaks off."""
        self._dispatcher.failed(self._urls[replica], Fault.BROKEN, at)

    def unreachable(self, replica: int, at: float) -> None:
        """As the proxy where no connection comes about."""
        self._dispatcher.failed(self._urls[replica], Fault.UNREACHABLE, at)

    def leaving(self, replicas: frozenset[int]) -> None:
        """As the router's watcher where its configuration says which endpoints drain."""
        away = {self._urls[n] for n in replicas}
        pools = tuple(
            replace(p, draining=tuple(u for u in p.endpoints if u in away)) for p in self._config.pools
        )
        self._config = replace(self._config, pools=pools)
        self._dispatcher.reconfigure(self._config)

    def due_probes(self, at: float) -> Sequence[int]:
        """As the proxy's tick."""
        return [self._numbers[url] for url in self._dispatcher.due_probes(at)]

    def probed(self, replica: int, at: float) -> None:
        """As the proxy's tick."""
        self._dispatcher.probed(self._urls[replica], at)

    def probe_failed(self, replica: int, at: float) -> None:
        """As the proxy's tick."""
        self._dispatcher.probe_failed(self._urls[replica], Fault.UNREACHABLE, at)

    def _model(self, request: int) -> str:
        return self._asks_for[request] if self._asks_for else self._config.models[0]

    def _lengths(self, request: int) -> Lengths:
        return Lengths(input_tokens=self._inputs[request], output_limit=self._outputs[request])

    def _taken(self, request: int, choice: Choice) -> int:
        self._choices[request] = choice
        return self._numbers[choice.endpoint]
