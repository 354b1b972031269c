"""Decides which replica a request goes to. Pure: events and times in, decisions out; no socket, no clock, no chance.

The plan decides first: each class's requests go to its pools in the planned shares, exactly (`apportion`). What is live
corrects it: a pool without a healthy replica has no turn, and neither has one whose context the request does not fit in,
where another's does. A pool that is full, with requests waiting that the plan's queueing does not explain, gives the request
away to a pool that serves the class and has a place free, emptiest first, then cheapest; the turn counts as had, so that nobody makes up for it later. Within a pool the replica with the
fewest requests takes it. A service is a pool that is never full but has an allowance by the minute: without any left it has
no turn and is given nothing; what pools of our own can take is never given away to it. A class of which the plan turns some
away has such an allowance too: what pools are planned to serve of it in any minute.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from hetops.router import health as states
from hetops.router.allowance import Allowance
from hetops.router.apportion import Apportionment
from hetops.router.config import RoutedPool, RouterConfig
from hetops.router.health import Circuit, Fault, Health, HealthPolicy

_LEAST_WAITING = 4
_WAITING_PART = 4
"""Requests that may wait at a replica before others are given away: a quarter of its places, at least four. The plan's
latencies hold some waiting, and a pool of few places would otherwise give away what the plan gave it."""


class Unroutable(Enum):
    """Why a request goes nowhere."""

    NO_ENDPOINTS = auto()
    """No pool that serves the class has an endpoint yet."""
    NONE_HEALTHY = auto()
    """None of their endpoints is healthy."""
    NONE_LEFT = auto()
    """All that are healthy were tried."""
    NONE_ALLOWED = auto()
    """All that are healthy are services that take no more in this minute."""
    SHED = auto()
    """As many of its class as are planned for were given to pools within the last minute: the plan turns the rest away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Where a request goes. `planned` is the pool whose turn it was."""

    pool: str
    endpoint: str
    planned: str
    service: bool = False
    """Whether it is a service of somebody else's."""
    given: int = 0
    """The request's number in the service's allowance."""

    @property
    def spilled(self) -> bool:
        """Whether another pool than the planned one takes it."""
        return self.pool != self.planned


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """One replica as the dispatcher sees it."""

    url: str
    pool: str
    circuit: Circuit
    in_flight: int
    draining: bool


class _Endpoint:
    """A replica and what is live about it."""

    __slots__ = ("draining", "health", "in_flight", "last_turn", "pool", "url", "usable")

    def __init__(self, url: str) -> None:
        self.url = url
        self.pool = ""
        self.health = Health()
        self.in_flight = 0
        self.last_turn = 0
        self.draining = False
        self.usable = True

    @property
    def well(self) -> bool:
        return self.health.circuit is Circuit.HEALTHY and not self.health.failures

    def become(self, health: Health, *, draining: bool) -> None:
        self.health, self.draining = health, draining
        self.usable = not draining and health.usable


class _Pool:
    """A pool and its replicas."""

    __slots__ = ("allowance", "endpoints", "facts")

    def __init__(
        self, facts: RoutedPool, endpoints: Sequence[_Endpoint], allowance: Allowance | None
    ) -> None:
        self.facts = facts
        self.endpoints = tuple(endpoints)
        self.allowance = allowance

    def fits(self, tokens: int) -> bool:
        return tokens <= self.facts.max_context_tokens

    def allows(self, wanted: _Wanted) -> bool:
        return self.allowance is None or self.allowance.allows(wanted.may_take, wanted.at)

    def full(self, endpoint: _Endpoint) -> bool:
        return self.allowance is None and endpoint.in_flight >= self.most

    def emptiest(self, tried: Collection[str] = ()) -> _Endpoint | None:
        """The replica that takes the next request; None where none is usable."""
        best = None
        for e in self.endpoints:
            if not e.usable or e.url in tried:
                continue
            if best is None or (e.in_flight, e.last_turn) < (best.in_flight, best.last_turn):
                best = e
        return best

    @property
    def most(self) -> int:
        """Requests at a replica that is full: all places taken, and as many waiting as a burst may bring."""
        places = self.facts.max_sequences
        return places + max(_LEAST_WAITING, places // _WAITING_PART)

    @property
    def load(self) -> float:
        """Requests in flight for each that its usable replicas work on at once; 1 and more is full. 0 for a service."""
        if self.allowance is not None:
            return 0.0
        usable = [e for e in self.endpoints if e.usable]
        room = len(usable) * self.facts.max_sequences
        return sum(e.in_flight for e in usable) / room if room else float("inf")


class _Ration(NamedTuple):
    """What pools are given of a class in any minute."""

    requests_per_minute: float | None
    tokens_per_minute: float | None = None


class _Wanted(NamedTuple):
    """A request, as far as pools are told apart by it."""

    workload_class: str
    tokens: int
    """The context that it may need."""
    may_take: int
    """Tokens, as services count them: what it may need, and no less than is usual in its class."""
    at: float


class Dispatcher:
    """The router's mind: what is in flight where, what is healthy, whose turn it is."""

    def __init__(self, config: RouterConfig, policy: HealthPolicy | None = None) -> None:
        self._policy = policy or HealthPolicy()
        self._endpoints: dict[str, _Endpoint] = {}
        self._pools: dict[str, _Pool] = {}
        self._shares: dict[str, dict[str, float]] = {}
        self._turns: dict[str, Apportionment] = {}
        self._usual: dict[str, int] = {}
        self._rations: dict[str, Allowance] = {}
        """Of classes of which the plan turns some away."""
        self._count = 0
        self._at = 0.0
        self.reconfigure(config)

    def passed(self, at: float) -> None:
        """It is so late now: what services were given more than a minute ago counts no more."""
        self._at = at

    def reconfigure(self, config: RouterConfig) -> frozenset[str]:
        """Goes by another configuration from now on. Returns the classes whose shares are others: their count begins anew.

        Endpoints that stay keep their health. Those that go get nothing more, and are forgotten with their last request.
        """
        old, self._endpoints = self._endpoints, {}
        given = {name: pool.allowance for name, pool in self._pools.items()}
        self._pools = {}
        for pool in config.pools:
            urls = [url.rstrip("/") for url in pool.endpoints]
            members = [old.pop(url) if url in old else _Endpoint(url) for url in urls]
            away = {url.rstrip("/") for url in pool.draining}
            for endpoint in members:
                endpoint.pool = pool.name
                endpoint.become(endpoint.health, draining=endpoint.url in away)
                self._endpoints[endpoint.url] = endpoint
            self._pools[pool.name] = _Pool(pool, members, _allowance(pool, given.get(pool.name)))
        for endpoint in old.values():
            endpoint.become(endpoint.health, draining=True)
            if endpoint.in_flight:
                self._endpoints[endpoint.url] = endpoint
        return self._apportion(config)

    def _apportion(self, config: RouterConfig) -> frozenset[str]:
        rations, self._rations = self._rations, {}
        for c in (one for one in config.classes if one.requests_per_minute is not None):
            most = _Ration(c.requests_per_minute)
            self._rations[c.name] = rations[c.name].under(most) if c.name in rations else Allowance(most)
        self._usual = {c.name: round(c.input_tokens + c.output_tokens) for c in config.classes}
        shares = {name: dict(of) for name, of in config.shares.items()}
        changed = frozenset(name for name in shares if shares[name] != self._shares.get(name))
        self._turns = {
            name: Apportionment(of) if name in changed else self._turns[name]
            for name, of in shares.items()
            if of
        }
        self._shares = shares
        return changed

    def choose(self, workload_class: str, tokens: int) -> Choice | Unroutable:
        """Where a request of so many tokens goes. It counts as in flight there until `release`."""
        ration = self._rations.get(workload_class)
        if ration is None:
            return self._chosen(workload_class, tokens)
        if not ration.allows(0, self._at):
            return Unroutable.SHED
        choice = self._chosen(workload_class, tokens)
        if isinstance(choice, Choice):
            ration.give(0, self._at)
        return choice

    def _chosen(self, workload_class: str, tokens: int) -> Choice | Unroutable:
        wanted = self._wanted(workload_class, tokens)
        planned = self._turn(wanted)
        if planned is None:
            return self._elsewhere(wanted, (), planned="")
        pool = self._pools[planned]
        endpoint = pool.emptiest()
        assert endpoint is not None
        if not pool.full(endpoint):
            return self._take(wanted, endpoint, planned)
        roomy = (p for p in self._serving(wanted) if p.load < 1)
        spilled = min(roomy, key=_emptiest, default=pool).emptiest()
        return self._take(wanted, spilled or endpoint, planned)

    def choose_again(
        self, first: Choice, workload_class: str, tokens: int, tried: Collection[str]
    ) -> Choice | Unroutable:
        """Where a request goes whose endpoints so far failed it: the same pool as long as it has others. Costs no turn."""
        wanted = self._wanted(workload_class, tokens)
        pool = self._pools.get(first.pool)
        endpoint = pool.emptiest(tried) if pool and pool.allows(wanted) else None
        if endpoint:
            return self._take(wanted, endpoint, first.planned)
        return self._elsewhere(wanted, tried, planned=first.planned)

    def rest(self, choice: Choice, seconds: float) -> None:
        """A service said that it takes nothing for so long."""
        pool = self._pools.get(choice.pool)
        if pool and pool.allowance:
            pool.allowance.rest(self._at + seconds)

    def settle(self, choice: Choice, tokens: int) -> None:
        """A request that a service was given took so many tokens."""
        pool = self._pools.get(choice.pool)
        if pool and pool.allowance:
            pool.allowance.settle(choice.given, tokens)

    def release(self, endpoint: str) -> None:
        """A request is no longer in flight there."""
        there = self._endpoints[endpoint]
        there.in_flight -= 1
        gone = there.draining and not any(there in p.endpoints for p in self._pools.values())
        if gone and not there.in_flight:
            del self._endpoints[endpoint]

    def answered(self, endpoint: str) -> None:
        """The endpoint answered a request."""
        if there := self._endpoints.get(endpoint):
            there.become(states.answered(there.health), draining=there.draining)

    def failed(self, endpoint: str, fault: Fault, at: float) -> None:
        """A request failed at the endpoint."""
        if there := self._endpoints.get(endpoint):
            health = states.failed(there.health, fault, at, self._policy)
            there.become(health, draining=there.draining)

    def probed(self, endpoint: str, at: float) -> None:
        """A probe was answered."""
        if there := self._endpoints.get(endpoint):
            there.become(states.probed(there.health, at, self._policy), draining=there.draining)

    def probe_failed(self, endpoint: str, fault: Fault, at: float) -> None:
        """A probe failed, or was not answered in time."""
        if there := self._endpoints.get(endpoint):
            health = states.probe_failed(there.health, fault, at, self._policy)
            there.become(health, draining=there.draining)

    def due_probes(self, at: float) -> tuple[str, ...]:
        """Endpoints to probe now; each is told once. A service only until it is known to be well: requests tell the rest."""
        due = [
            e
            for pool in self._pools.values()
            for e in pool.endpoints
            if e.health.probe_at <= at and not (pool.allowance and e.well)
        ]
        for endpoint in due:
            endpoint.health = states.probing(endpoint.health, at, self._policy)
        return tuple(e.url for e in due)

    @property
    def healthy(self) -> bool:
        """Whether at least one endpoint is known to answer and may be given requests."""
        return any(e.usable and e.health.circuit is Circuit.HEALTHY for e in self._endpoints.values())

    def failing(self, endpoint: str) -> bool:
        """Whether the endpoint is out."""
        there = self._endpoints.get(endpoint)
        return there is not None and not there.health.usable

    def endpoints(self) -> Iterator[EndpointState]:
        """Every endpoint, those that are going away too."""
        for e in self._endpoints.values():
            yield EndpointState(
                url=e.url, pool=e.pool, circuit=e.health.circuit, in_flight=e.in_flight, draining=e.draining
            )

    def _wanted(self, workload_class: str, tokens: int) -> _Wanted:
        may_take = max(tokens, self._usual.get(workload_class, 0))
        return _Wanted(workload_class, tokens, may_take, self._at)

    def _turn(self, wanted: _Wanted) -> str | None:
        """The pool whose turn it is; None where no planned pool can take the request now."""
        pools = self._pools

        def able(name: str) -> bool:
            pool = pools[name]
            return pool.fits(wanted.tokens) and any(e.usable for e in pool.endpoints) and pool.allows(wanted)

        return self._turns[wanted.workload_class].next(able)

    def _serving(self, wanted: _Wanted) -> list[_Pool]:
        """Pools that serve the class, planned or not, whose context the request fits in and that have a replica."""
        able = self._able(wanted.workload_class)
        return [p for p in able if p.fits(wanted.tokens) and p.emptiest() and p.allows(wanted)]

    def _able(self, workload_class: str) -> list[_Pool]:
        planned = self._shares.get(workload_class, {})
        return [
            p
            for name, p in self._pools.items()
            if planned.get(name, 0) > 0 or workload_class in p.facts.serves
        ]

    def _elsewhere(self, wanted: _Wanted, tried: Collection[str], *, planned: str) -> Choice | Unroutable:
        """A pool that serves the class though no share says so now.

        A request that fits nowhere by the estimate goes where the context is largest: only an engine can count tokens.
        """
        able = self._able(wanted.workload_class)
        healthy = [p for p in able if p.emptiest(tried)]
        usable = [p for p in healthy if p.allows(wanted)]
        best = min((p for p in usable if p.fits(wanted.tokens)), key=_emptiest, default=None)
        best = best or max(usable, key=lambda p: p.facts.max_context_tokens, default=None)
        endpoint = best.emptiest(tried) if best else None
        if endpoint:
            return self._take(wanted, endpoint, planned)
        if tried:
            return Unroutable.NONE_LEFT
        if healthy:
            return Unroutable.NONE_ALLOWED
        return Unroutable.NONE_HEALTHY if any(p.facts.endpoints for p in able) else Unroutable.NO_ENDPOINTS

    def _take(self, wanted: _Wanted, endpoint: _Endpoint, planned: str) -> Choice:
        self._count += 1
        endpoint.last_turn = self._count
        endpoint.in_flight += 1
        allowance = self._pools[endpoint.pool].allowance
        return Choice(
            pool=endpoint.pool,
            endpoint=endpoint.url,
            planned=planned or endpoint.pool,
            service=allowance is not None,
            given=allowance.give(wanted.may_take, wanted.at) if allowance else 0,
        )


def _allowance(pool: RoutedPool, before: Allowance | None) -> Allowance | None:
    """The allowance of a service; what it was given before a change of its limits counts on."""
    if pool.service is None:
        return None
    return before.under(pool.service) if before else Allowance(pool.service)


def _emptiest(pool: _Pool) -> tuple[bool, bool, float, float, str]:
    """Pools of our own with a place free, then services, then full ones."""
    load = pool.load
    return load >= 1, pool.allowance is not None, load, float(pool.facts.usd_per_hour), pool.facts.name
