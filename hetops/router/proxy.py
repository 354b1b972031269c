"""Edge: the router as a whole: what it goes by, what it counts, its connections on both sides.

Wires the deciders (`decide`, `classify`, `paths`) to the connections (`client`, `engines`, `exchange`); decides itself only
how often a busy engine's requests are sent again.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections import defaultdict
from functools import partial

from hetops.domain.observation import Observation, Outcome
from hetops.router import asks, heads
from hetops.router.classify import LearntLengths, Lengths
from hetops.router.client import ClientConnection
from hetops.router.config import Limits, RoutedService, RouterConfig
from hetops.router.decide import Choice, Dispatcher, Unroutable
from hetops.router.engines import Call, Engines, Listener
from hetops.router.exchange import Exchange, Job
from hetops.router.health import Fault
from hetops.router.observe import Observer
from hetops.router.origins import of_each_model
from hetops.router.paths import FORWARDED, no_model, own_answer, screened
from hetops.router.probes import probe, probe_service
from hetops.router.refusals import Refusal, unavailable
from hetops.router.requests import Answering, Request, RequestHead
from hetops.router.status import Moment, RouterStatus, router_status
from hetops.router.tally import Tally
from hetops.router.watch import Orders

TICK_SECONDS = 0.25
"""How often deadlines are looked at and probes sent."""

_PREFIX = "/v1"
"""What the base URL of a service ends with, as a rule: paths go on after it."""

_BUSY_RETRIES_SHARE = 0.1
"""Requests that may be sent again because an engine was busy, as a part of all: more would multiply an overload."""

_BUSY_RETRIES_KEPT = 20.0


class Router:
    """One router. Must be made inside a running event loop."""

    def __init__(self, orders: Orders) -> None:
        self._loop = asyncio.get_running_loop()
        self.config = orders.config
        self._keys = orders.keys
        self._service_keys = orders.service_keys
        self._services = _services(orders.config)
        self._origins = of_each_model(orders.config)
        self._dispatcher = Dispatcher(orders.config)
        self._learnt: defaultdict[str, LearntLengths] = defaultdict(LearntLengths)
        self._tally = Tally()
        self._observer = Observer(orders.config.observations_file)
        self._retired: list[Observer] = []
        self._engines = Engines(lambda: self.limits.connect_seconds)
        self._clients: set[ClientConnection] = set()
        self._exchanges: set[Exchange] = set()
        self._busy_retries = _BUSY_RETRIES_KEPT
        self._draining = False
        self._started_at = time.time()
        self._ids = map(partial("{}-{:x}".format, secrets.token_hex(6)), itertools.count(1))
        self.warnings: tuple[str, ...] = ()

    # What holds now.

    @property
    def limits(self) -> Limits:
        """What clients, requests and engines may cost."""
        return self.config.limits

    @property
    def draining(self) -> bool:
        """Whether the router takes no further requests."""
        return self._draining

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return bool(self._exchanges) or any(c.answering for c in self._clients)

    def client(self) -> ClientConnection:
        """The protocol of a new connection."""
        return ClientConnection(self)

    def obey(self, orders: Orders) -> None:
        """Goes by other orders from now on; requests under way go on as they are."""
        self.config, self._keys = orders.config, orders.keys
        self._service_keys, self._services = orders.service_keys, _services(orders.config)
        self._origins = of_each_model(orders.config)
        self._tally.begin_anew(self._dispatcher.reconfigure(orders.config))
        self._engines.forget(frozenset(e.url for e in self._dispatcher.endpoints()))
        if orders.config.observations_file != self._observer.path:
            self._retired.append(self._observer)
            self._observer = Observer(orders.config.observations_file)
        self.tick()

    def tick(self) -> None:
        """A moment has passed: deadlines, probes, observations."""
        now = time.monotonic()
        for client in tuple(self._clients):
            client.tick(now)
        for endpoint in self._dispatcher.due_probes(now):
            if endpoint in self._services:
                probe_service(self._engines, endpoint, self._key(endpoint), self._probed)
            else:
                probe(self._engines, endpoint, self._probed)
        self._engines.tick(now)
        for observer in (*self._retired, self._observer):
            observer.flush()

    def drain(self) -> None:
        """Takes no further request; connections that are not answering one are closed."""
        self._draining = True
        for client in tuple(self._clients):
            if client.idle:
                client.close()

    async def close(self) -> None:
        """Ends every connection and writes what was observed."""
        for exchange in tuple(self._exchanges):
            exchange.stop()
        await asyncio.sleep(0)
        for client in tuple(self._clients):
            client.cut()
        self._engines.close()
        for observer in (*self._retired, self._observer):
            await observer.close()

    # What client connections ask.

    def admit(self, connection: ClientConnection) -> Refusal | None:
        """Counts a connection in; a refusal where it is one too many."""
        self._clients.add(connection)
        if len(self._clients) > self.limits.connections:
            return unavailable("too many connections", code="too_many_connections")
        return None

    def closed(self, connection: ClientConnection) -> None:
        """A connection is gone."""
        self._clients.discard(connection)

    def screen(self, head: RequestHead) -> Refusal | None:
        """Why a request is refused before its body is read; None where it is not."""
        return screened(head, self._keys)

    def refused(self) -> None:
        """A request was refused unread. It is counted, but no observation: strangers write no files."""
        self._tally.outcomes[Outcome.REFUSED] += 1

    def begin(self, connection: ClientConnection, request: Request) -> Answering | None:
        """Answers a request; None where that is done already."""
        assert request.head
        if request.head.path not in FORWARDED:
            own = own_answer(request.head.path, self.config, self._tally, self._moment())
            connection.reply(own.status, own.body, (own.kind,))
            return None
        at = time.time()
        try:
            job = self._job(request)
        except Refusal as refusal:
            self._observe_refusal(refusal, at)
            connection.refuse(refusal)
            return None
        exchange = Exchange(self, connection, job, at)
        self._exchanges.add(exchange)
        exchange.start()
        return exchange

    # What exchanges ask.

    def now(self) -> float:
        """Seconds on the loop's clock."""
        return time.monotonic()

    def choose(self, job: Job) -> Choice | Unroutable:
        """Where a request goes."""
        self._busy_retries = min(self._busy_retries + _BUSY_RETRIES_SHARE, _BUSY_RETRIES_KEPT)
        self._dispatcher.passed(self.now())
        choice = self._dispatcher.choose(job.workload_class, job.lengths.most_tokens)
        if isinstance(choice, Choice):
            self._tally.spot(job.workload_class, choice.pool).decided += 1
            self._tally.spills[job.workload_class] += choice.spilled
        return choice

    def choose_again(self, job: Job, first: Choice, tried: set[str]) -> Choice | Unroutable:
        """Where it goes next, where a replica could not be reached or broke."""
        self._dispatcher.passed(self.now())
        return self._dispatcher.choose_again(first, job.workload_class, job.lengths.most_tokens, tried)

    def choose_another(self, job: Job, first: Choice, tried: set[str]) -> Choice | Unroutable:
        """Where it goes next, where a replica was busy: within the budget for such retries."""
        if self._busy_retries < 1:
            return Unroutable.NONE_LEFT
        choice = self.choose_again(job, first, tried)
        self._busy_retries -= isinstance(choice, Choice)
        return choice

    def send(self, job: Job, endpoint: str, listener: Listener) -> Call:
        """Sends a request to a replica, or to a service."""
        address = self._engines.address(endpoint)
        request, body = job.request, job.ask.body
        assert request.head
        if service := self._services.get(endpoint):
            target = address.prefix + request.head.path.removeprefix(_PREFIX).encode("latin-1")
            body = asks.renamed(body, service.model)
            head = heads.service_head(target, address.header, self._key(endpoint), len(body))
            return self._engines.call(endpoint, head + body, listener)
        target = address.prefix + request.head.path.encode("latin-1")
        head = heads.request_head(target, address.header, request.head.headers, len(body), job.request_id)
        return self._engines.call(endpoint, head + body, listener)

    def _key(self, endpoint: str) -> str:
        """The key of a service; empty where it wants none."""
        return self._service_keys.get(self._services[endpoint].api_key_variable, "")

    def rest(self, choice: Choice, seconds: float) -> None:
        """A service said that it takes nothing for so long."""
        self._dispatcher.passed(self.now())
        self._dispatcher.rest(choice, seconds)

    def settle(self, choice: Choice, tokens: int) -> None:
        """A service told how many tokens a request took."""
        self._dispatcher.settle(choice, tokens)

    def release(self, endpoint: str) -> None:
        """A request is there no more."""
        self._dispatcher.release(endpoint)

    def answered(self, endpoint: str) -> None:
        """A replica answered."""
        self._dispatcher.answered(endpoint)

    def failed(self, endpoint: str, fault: Fault) -> None:
        """A replica failed."""
        self._dispatcher.failed(endpoint, fault, self.now())

    def learn(self, job: Job, input_tokens: int, output_tokens: int) -> None:
        """Takes note of the lengths that an answer showed."""
        learnt = self._learnt[job.ask.model]
        if input_tokens and job.ask.text_bytes:
            learnt.learn_ratio(job.ask.text_bytes, input_tokens)
        if output_tokens:
            learnt.learn_output(job.lengths, output_tokens)

    def ended(self, exchange: Exchange, observation: Observation) -> None:
        """An exchange is over."""
        self._exchanges.discard(exchange)
        self._tally.ended(observation)
        self._observer.add(observation)

    # What it tells about itself.

    def status(self) -> RouterStatus:
        """What `hetops status` shows."""
        return router_status(self.config, self._tally, self._moment())

    def _moment(self) -> Moment:
        fault = self._observer.fault
        return Moment(
            at=time.time(),
            started_at=self._started_at,
            healthy=self._dispatcher.healthy,
            draining=self._draining,
            connections=len(self._clients),
            observations_dropped=self._observer.dropped,
            endpoints=tuple(self._dispatcher.endpoints()),
            warnings=(*self.warnings, fault) if fault else self.warnings,
        )

    # Private.

    def _job(self, request: Request) -> Job:
        """The request as it is understood.

        Raises:
            Refusal: it is not.
        """
        assert request.head
        ask = asks.read(request.body, request.head.fields)
        origins = self._origins.get(ask.model)
        if origins is None:
            raise no_model(ask.model, self.config.models)
        exact, learnt = ask.input_tokens, self._learnt[ask.model]
        lengths = Lengths(
            input_tokens=learnt.input_tokens(ask.text_bytes) if exact is None else exact,
            output_limit=ask.output_limit,
            output_tokens=ask.output_tokens,
        )
        self._tally.unknown_origins += bool(ask.origin) and not origins.knows(ask.origin)
        origin = origins.of(ask.origin)
        given = origins.named(ask.workload_class, origin)
        if ask.workload_class and not given:
            raise Refusal(
                400,
                f"there is no workload class {ask.workload_class!r}; known are {', '.join(origins.names)}",
                code="unknown_class",
                param=asks.CLASS_HEADER.decode(),
            )
        return Job(
            request=request,
            ask=ask,
            workload_class=given or origins.classify(origin, lengths, learnt),
            lengths=lengths,
            request_id=_given_id(request) or next(self._ids).encode(),
        )

    def _observe_refusal(self, refusal: Refusal, at: float) -> None:
        observation = Observation(
            at=at,
            workload_class="",
            pool="",
            endpoint="",
            outcome=Outcome.REFUSED,
            status=refusal.status,
            input_tokens=0,
            output_tokens=0,
            ttft_seconds=None,
            tpot_seconds=None,
            total_seconds=time.time() - at,
        )
        self._tally.ended(observation)
        self._observer.add(observation)

    def _probed(self, endpoint: str, fault: Fault | None) -> None:
        """A probe has ended. Requests that wait for the first byte of an engine that is dead go elsewhere."""
        if fault is None:
            self._dispatcher.probed(endpoint, self.now())
            return
        self._dispatcher.probe_failed(endpoint, fault, self.now())
        if self._dispatcher.failing(endpoint):
            for exchange in [e for e in self._exchanges if e.endpoint == endpoint]:
                exchange.move()


def _services(config: RouterConfig) -> dict[str, RoutedService]:
    """Services by their endpoints."""
    return {url.rstrip("/"): p.service for p in config.pools if p.service for url in p.endpoints}


def _given_id(request: Request) -> bytes:
    assert request.head
    given = request.head.fields.get(b"x-request-id", b"")
    return given if 0 < len(given) <= 128 else b""
