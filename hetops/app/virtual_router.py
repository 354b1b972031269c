"""The router's own deciders as those of a simulation: they see what they would see of a proxy. Wires; decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hetops.domain.workload import WorkloadClass
from hetops.router.classify import LearntLengths, Lengths
from hetops.router.config import RouterConfig
from hetops.router.decide import Choice, Dispatcher
from hetops.router.health import Fault
from hetops.router.origins import of_each_model
from hetops.simulate.fleet import VirtualFleet
from hetops.simulate.origins import Away
from hetops.simulate.replay import Scenario


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """A fleet, how the router sees it, and the requests that it gets."""

    scenario: Scenario
    config: RouterConfig
    onward: RouterConfig | None = None
    """Where what is prefilled goes on: its classes are those of `config` by the pool that prefilled them, as `handed` names them."""
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


def handed(workload_class: str, source: str) -> str:
    """What requests of a class are called that a pool has prefilled."""
    return f"{workload_class} from {source}"


class _Desk:
    """A dispatcher, and its replicas by number."""

    def __init__(self, config: RouterConfig, fleet: VirtualFleet) -> None:
        self.dispatcher = Dispatcher(config)
        self._config = config
        index = {place.name: number for number, place in enumerate(fleet.pools)}
        self.urls = {
            number: url.rstrip("/")
            for pool in config.pools
            for number, url in zip(fleet.replicas_of(index[pool.name]), pool.endpoints, strict=True)
        }
        self.numbers = {url: number for number, url in self.urls.items()}

    def leaving(self, replicas: frozenset[int]) -> None:
        """These get no new requests from now on, and all others do."""
        away = {self.urls[n] for n in replicas if n in self.urls}
        pools = tuple(
            replace(p, draining=tuple(u for u in p.endpoints if u.rstrip("/") in away))
            for p in self._config.pools
        )
        self._config = replace(self._config, pools=pools)
        self.dispatcher.reconfigure(self._config)


class VirtualRouter:
    """A simulation's `Router`. What is prefilled is given to those that decode it by a dispatcher of its own."""

    def __init__(self, trial: Trial) -> None:
        """Nothing was sent yet."""
        fleet = trial.scenario.fleet
        desk = _Desk(trial.config, fleet)
        onward = _Desk(trial.onward, fleet) if trial.onward else None
        self._desks = tuple(filter(None, (desk, onward)))
        self._dispatcher, self._then = desk.dispatcher, onward.dispatcher if onward else None
        self._numbers = {url: number for of in self._desks for url, number in of.numbers.items()}
        self._urls = {number: url for url, number in self._numbers.items()}
        self._of = {number: of.dispatcher for of in self._desks for number in of.urls}
        """The dispatcher of each replica."""
        self._origins = of_each_model(trial.config)
        self._from = trial.origins
        self._asks_for = trial.models
        self._one_model = trial.config.models[0]
        self._learnt = {model: LearntLengths() for model in trial.config.models}
        self._given = trial.labels
        self._names = tuple(c.name for c in trial.classes)
        self._index = {name: index for index, name in enumerate(self._names)}
        self._prefixes = tuple(c.prefix_share for c in trial.classes)
        arrivals = trial.scenario.arrivals
        self._inputs: list[int] = arrivals.input_tokens.tolist()
        self._outputs: list[int] = arrivals.output_tokens.tolist()
        self._choices: dict[int, Choice] = {}
        self._choices_then: dict[int, Choice] = {}
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

    def onward(self, request: int, tried: Sequence[int], at: float) -> int | None:
        """By the shares that the plan says are handed over; past those that failed the request."""
        assert self._then is not None
        self._then.passed(at)
        name = handed(self._names[self.labels[request]], self._choices[request].pool)
        tokens, before = self._inputs[request] + self._outputs[request], self._choices_then.get(request)
        if before is None:
            choice = self._then.choose(name, tokens)
        else:
            choice = self._then.choose_again(before, name, tokens, [self._urls[n] for n in tried])
        if not isinstance(choice, Choice):
            return None
        self.spilled += choice.spilled
        self._choices_then[request] = choice
        return self._numbers[choice.endpoint]

    def handed(self, request: int, replica: int) -> None:
        """As a proxy where what it asked for first is answered."""
        del request
        url = self._urls[replica]
        self._dispatcher.answered(url)
        self._dispatcher.release(url)

    def cached(self, request: int) -> int:
        """What the plan says of the request's class."""
        return int(self._prefixes[self.labels[request]] * self._inputs[request])

    def released(self, request: int, replica: int) -> None:
        """As the proxy where an exchange ends."""
        del request
        self._of[replica].release(self._urls[replica])

    def answered(self, request: int, replica: int) -> None:
        """As the proxy where an answer is whole."""
        dispatcher, url = self._of[replica], self._urls[replica]
        dispatcher.answered(url)
        if self._given is None:
            self._learnt[self._model(request)].learn_output(self._lengths(request), self._outputs[request])
        dispatcher.release(url)
        choice = self._choices.pop(request)
        if choice.service:
            dispatcher.settle(choice, self._inputs[request] + self._outputs[request])

    def broke(self, replica: int, at: float) -> None:
        """As the proxy where an answer breaks off."""
        self._of[replica].failed(self._urls[replica], Fault.BROKEN, at)

    def unreachable(self, replica: int, at: float) -> None:
        """As the proxy where no connection comes about."""
        self._of[replica].failed(self._urls[replica], Fault.UNREACHABLE, at)

    def leaving(self, replicas: frozenset[int]) -> None:
        """As the router's watcher where its configuration says which endpoints drain."""
        for desk in self._desks:
            desk.leaving(replicas)

    def due_probes(self, at: float) -> Sequence[int]:
        """As the proxy's tick."""
        return [self._numbers[url] for desk in self._desks for url in desk.dispatcher.due_probes(at)]

    def probed(self, replica: int, at: float) -> None:
        """As the proxy's tick."""
        self._of[replica].probed(self._urls[replica], at)

    def probe_failed(self, replica: int, at: float) -> None:
        """As the proxy's tick."""
        self._of[replica].probe_failed(self._urls[replica], Fault.UNREACHABLE, at)

    def _model(self, request: int) -> str:
        return self._asks_for[request] if self._asks_for else self._one_model

    def _lengths(self, request: int) -> Lengths:
        return Lengths(input_tokens=self._inputs[request], output_limit=self._outputs[request])

    def _taken(self, request: int, choice: Choice) -> int:
        self._choices[request] = choice
        return self._numbers[choice.endpoint]
