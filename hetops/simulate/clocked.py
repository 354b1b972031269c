"""Edge: runs the core by the event loop's clock. Decides nothing about timing; only waits until the core's times come."""

from __future__ import annotations

import asyncio
import itertools

from hetops.simulate.core import EngineCore
from hetops.simulate.engine import Event, EventKind, Generation
from hetops.simulate.metrics import Gauges, Metrics
from hetops.simulate.options import EmulatorOptions
from hetops.simulate.requests import Ask


class Ticket:
    """One request in the engine: its events come out of `next`."""

    def __init__(self, generation: Generation, ask: Ask, at: float) -> None:
        self.generation = generation
        self.ask = ask
        self.submitted_at = at
        self.first_at = at
        self.last_at = at
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

    def tell(self, event: Event | None) -> None:
        """An event of the request; None: it was aborted."""
        self._events.put_nowait(event)

    async def next(self) -> Event | None:
        """The next event; None once the request was aborted."""
        return await self._events.get()


class ClockedEngine:
    """The core with a clock that runs `speed` times as fast as the loop's."""

    def __init__(self, options: EmulatorOptions) -> None:
        """Must be made inside a running event loop."""
        self._core = EngineCore(options.step_times, prefill_tokens_per_step=options.prefill_tokens_per_step)
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time()
        self._speed = options.speed
        self._numbers = itertools.count(1)
        self._tickets: dict[int, Ticket] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.metrics = Metrics()

    @property
    def gauges(self) -> Gauges:
        """What the engine is doing now."""
        self._catch_up()
        core = self._core
        return Gauges(
            running=core.running,
            waiting=core.waiting,
            kv_usage=core.kv_usage,
            preemptions=core.preemptions,
        )

    def submit(self, ask: Ask) -> Ticket:
        """The request enters the engine now."""
        generation = Generation(
            id=next(self._numbers),
            input_tokens=ask.input_tokens,
            output_tokens=ask.output_tokens,
            every_token=ask.stream,
        )
        now = self._now()
        ticket = Ticket(generation, ask, now)
        self._core.submit(generation, now)
        self._tickets[generation.id] = ticket
        self.metrics.prompt_tokens += ask.input_tokens
        self._arm()
        return ticket

    def abort(self, ticket: Ticket) -> None:
        """The client went away; nothing happens to a request that is over."""
        if self._tickets.pop(ticket.generation.id, None) is None:
            return
        self._core.abort(ticket.generation.id, self._now())
        self.metrics.finished["abort"] += 1
        ticket.tell(None)
        self._arm()

    def _now(self) -> float:
        return (self._loop.time() - self._zero) * self._speed

    def _arm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        at = self._core.next_event_at()
        if at is not None:
            self._timer = self._loop.call_at(self._zero + at / self._speed, self._catch_up)

    def _catch_up(self) -> None:
        for event in self._core.advance(self._now()):
            if ticket := self._tickets.get(event.request):
                self._measure(ticket, event)
                ticket.tell(event)
        self._arm()

    def _measure(self, ticket: Ticket, event: Event) -> None:
        """Counts what vLLM counts. Where nobody watched the tokens their gaps are known by their mean only."""
        metrics, ask = self.metrics, ticket.ask
        match event.kind:
            case EventKind.FIRST_TOKEN:
                ticket.first_at = event.at
                metrics.ttft.observe(event.at - ticket.submitted_at)
            case EventKind.TOKEN:
                metrics.gap.observe(event.at - ticket.last_at)
            case EventKind.FINISHED:
                del self._tickets[event.request]
                if not ask.stream and event.tokens > 1:
                    metrics.gap.observe((event.at - ticket.first_at) / (event.tokens - 1), event.tokens - 1)
                metrics.whole.observe(event.at - ticket.submitted_at)
                metrics.generation_tokens += event.tokens
                metrics.finished[ask.finish_reason] += 1
        ticket.last_at = event.at
