"""Edge: one request on its way: to a replica, its answer back to the client, and what was measured on the way.

As long as the client has got no byte, a replica that does not take the request is replaced by another one; after that an
answer that breaks off is ended as broken. Where the request goes is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hetops.domain.observation import Observation, Outcome
from hetops.router import heads
from hetops.router.asks import Ask
from hetops.router.classify import Lengths
from hetops.router.client import ClientConnection
from hetops.router.config import Limits
from hetops.router.decide import Choice, Unroutable
from hetops.router.engines import AnswerHead, Call, Listener
from hetops.router.events import StreamMeter, Usage, WholeMeter
from hetops.router.heads import Framing
from hetops.router.health import Fault
from hetops.router.probes import KEY_REFUSED
from hetops.router.refusals import Refusal, error_event, unavailable
from hetops.router.requests import Request

_PUSHED_BACK = frozenset({429, 503})
"""An engine that is busy, or not ready: another one may take the request."""

_OURS_TO_MEND = KEY_REFUSED | {301, 302, 303, 307, 308, 404}
"""What a service says to our key, to its URL, or to the name by which we ask for the model."""

_REST_SECONDS, _LONGEST_REST_SECONDS = 5.0, 60.0

_WITHOUT_BODY = frozenset({204, 304})
_MOST_RETRIES = 3
_ERRORS, _SERVER_ERRORS = 400, 500
_CLIENT_GONE = 499
"""The status in observations of requests whose client went away before the answer (nginx's)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request as it was understood."""

    request: Request
    ask: Ask
    workload_class: str
    lengths: Lengths
    request_id: bytes


class Desk(Protocol):
    """What an exchange asks of the router."""

    @property
    def limits(self) -> Limits:
        """What holds now."""

    def now(self) -> float:
        """Seconds on the loop's clock."""

    def choose(self, job: Job) -> Choice | Unroutable:
        """Where the request goes."""

    def choose_again(self, job: Job, first: Choice, tried: set[str]) -> Choice | Unroutable:
        """Where it goes next, where a replica could not be reached or broke."""

    def choose_another(self, job: Job, first: Choice, tried: set[str]) -> Choice | Unroutable:
        """Where it goes next, where a replica was busy: within the budget for such retries."""

    def send(self, job: Job, endpoint: str, listener: Listener) -> Call:
        """Sends it to a replica."""

    def release(self, endpoint: str) -> None:
        """It is there no more."""

    def answered(self, endpoint: str) -> None:
        """The replica answered."""

    def failed(self, endpoint: str, fault: Fault) -> None:
        """The replica failed."""

    def ended(self, exchange: Exchange, observation: Observation) -> None:
        """The exchange is over."""

    def rest(self, choice: Choice, seconds: float) -> None:
        """A service said that it takes nothing for so long."""

    def settle(self, choice: Choice, tokens: int) -> None:
        """A service told, or showed, how many tokens a request took."""

    def learn(self, job: Job, input_tokens: int, output_tokens: int) -> None:
        """The engine told, or showed, the lengths of a whole answer; 0 where it did not."""


class Exchange:
    """One request and its answer. Whatever happens, it ends once: released, observed, and the client's turn passed on."""

    def __init__(self, desk: Desk, client: ClientConnection, job: Job, at: float) -> None:
        """`at` is the UNIX time of the request's arrival."""
        self._desk, self._client, self._job, self._at = desk, client, job, at
        self._began = self._heard = desk.now()
        self._choice: Choice | None = None
        self._call: Call | None = None
        self._tried: set[str] = set()
        self._retries = 0
        self._head: AnswerHead | None = None
        self._pending = b""
        """The head of the answer, as long as nothing of it was sent."""
        self._sent = False
        self._paused = False
        self._over = False
        self._framing = Framing.LENGTH
        self._stream: StreamMeter | None = None
        self._whole: WholeMeter | None = None

    @property
    def endpoint(self) -> str:
        """Where the request is; empty where it is nowhere."""
        return self._choice.endpoint if self._choice and self._call else ""

    def start(self) -> None:
        """Sends the request on its way."""
        choice = self._desk.choose(self._job)
        if isinstance(choice, Unroutable):
            self._refuse(_no_replica(choice))
        else:
            self._attempt(choice)

    # What the engine's side calls.

    def head(self, head: AnswerHead) -> None:
        """The replica answers. An answer that pushes back is passed on only where no other replica will do."""
        self._heard = self._desk.now()
        assert self._choice
        if head.status in _PUSHED_BACK and self._retry(self._after_push_back(self._choice, head)):
            return
        assert self._call
        if self._choice.service and head.status in _OURS_TO_MEND:
            self._call.cancel()
            self.broken(Fault.BROKEN)
            return
        if head.status >= _SERVER_ERRORS and head.status not in _PUSHED_BACK:
            self._desk.failed(self._choice.endpoint, Fault.BROKEN)
        elif head.status < _SERVER_ERRORS:
            self._desk.answered(self._choice.endpoint)
        self._head = head
        self._pending = self._answer_head(head)

    def body(self, data: bytes) -> None:
        """A part of the answer."""
        self._heard = now = self._desk.now()
        if self._stream:
            data = self._stream.feed(data, now)
        elif self._whole:
            self._whole.feed(data)
        if data:
            self._write(heads.chunk(data) if self._framing is Framing.CHUNKED else data)

    def complete(self) -> None:
        """The answer is whole."""
        rest = self._stream.rest() if self._stream else b""
        if self._framing is Framing.CHUNKED:
            self._write(heads.chunk(rest) + heads.LAST_CHUNK)
        elif rest or self._pending:
            self._write(rest)
        assert self._head
        broken = self._stream is not None and self._stream.failed
        refused = _ERRORS <= self._head.status < _SERVER_ERRORS
        good = Outcome.REFUSED if refused else Outcome.OK
        bad = broken or self._head.status >= _SERVER_ERRORS
        self._end(Outcome.ENGINE_ERROR if bad else good, self._head.status)
        if self._framing is Framing.CLOSE:
            self._client.close_after_writes()
        else:
            self._client.finished()

    def broken(self, fault: Fault) -> None:
        """No answer, or not to its end."""
        assert self._choice
        self._desk.failed(self._choice.endpoint, fault)
        if self._sent:
            self._break_off("the engine's answer broke off", Outcome.ENGINE_ERROR)
        elif not self._retry(self._desk.choose_again):
            self._refuse(Refusal(502, "the engine gave no answer", code="engine_error"), Outcome.ENGINE_ERROR)

    def stop(self) -> None:
        """The router ends before the answer does."""
        if self._over:
            return
        if self._call:
            self._call.cancel()
        if self._sent:
            self._break_off("the router was stopped", Outcome.ABORTED)
        else:
            self._refuse(unavailable("the router was stopped", code="stopping"), Outcome.ABORTED)

    def move(self) -> None:
        """The replica is taken for dead: to another one, if nothing was sent and there is one."""
        if not self._sent and not self._over:
            self._retry(self._desk.choose_again)

    # What the client's side calls.

    def abort(self) -> None:
        """The client is gone: the engine need not go on."""
        if self._over:
            return
        if self._call:
            self._call.cancel()
        status = self._head.status if self._sent and self._head else _CLIENT_GONE
        # Many clients close at [DONE], before the end of the body: they have got everything.
        whole = self._stream is not None and self._stream.done and not self._stream.failed
        self._end(Outcome.OK if whole else Outcome.ABORTED, status)

    def pause(self) -> None:
        """The client is slow."""
        self._paused = True
        if self._call:
            self._call.pause()

    def resume(self) -> None:
        """The client takes more."""
        self._paused, self._heard = False, self._desk.now()
        if self._call:
            self._call.resume()

    def tick(self, now: float) -> None:
        """A replica that fell silent in the middle of an answer is given up."""
        silence = self._desk.limits.silence_seconds
        if self._head is None or self._paused or self._over or now - self._heard <= silence:
            return
        assert self._call
        self._call.cancel()
        self.broken(Fault.BROKEN)

    # Private.

    def _attempt(self, choice: Choice) -> None:
        self._choice = choice
        self._tried.add(choice.endpoint)
        self._call = self._desk.send(self._job, choice.endpoint, self)
        if self._paused:
            self._call.pause()

    def _retry(self, choose: _Choose) -> bool:
        """Whether another replica takes the request."""
        assert self._choice
        if self._retries >= _MOST_RETRIES:
            return False
        choice = choose(self._job, self._choice, self._tried)
        if isinstance(choice, Unroutable):
            return False
        if self._call:
            self._call.cancel()
        self._desk.release(self._choice.endpoint)
        self._retries += 1
        self._head, self._pending = None, b""
        self._attempt(choice)
        return True

    def _after_push_back(self, choice: Choice, head: AnswerHead) -> _Choose:
        """Another replica within the budget for that; a service is left alone for a while, which adds to no load."""
        if not choice.service:
            return self._desk.choose_another
        self._desk.rest(choice, _retry_after(head))
        return self._desk.choose_again

    def _answer_head(self, head: AnswerHead) -> bytes:
        request, ask = self._job.request, self._job.ask
        assert self._choice
        headers = heads.end_to_end(head.headers)
        if self._choice.service:
            headers = heads.of_service(headers)
        kind = next((value for name, value in headers if name == b"content-type"), b"")
        if ask.stream and kind.lower().startswith(b"text/event-stream"):
            self._stream = StreamMeter(Usage.SHOWN if ask.wants_usage else Usage.HIDDEN)
        else:
            self._whole = WholeMeter()
        old = request.head is not None and request.head.version == "1.0"
        if head.status in _WITHOUT_BODY or (head.length is not None and not self._stream):
            self._framing = Framing.LENGTH
        else:
            self._framing = Framing.CLOSE if old else Framing.CHUNKED
        closing = self._client.connection_value(request)
        if self._framing is Framing.CLOSE:
            closing = b"close"
        own = (
            (b"x-hetops-class", self._job.workload_class.encode()),
            (b"x-hetops-pool", self._choice.pool.encode()),
        )
        return heads.answer_head(
            head.status, (*headers, *own), self._framing, length=head.length, closing=closing
        )

    def _write(self, data: bytes) -> None:
        pending, self._pending = self._pending, b""
        self._sent = True
        self._client.write(pending + data)

    def _refuse(self, refusal: Refusal, outcome: Outcome = Outcome.REFUSED) -> None:
        self._end(outcome, refusal.status)
        self._client.refuse(refusal)

    def _break_off(self, message: str, outcome: Outcome) -> None:
        """The answer has no end: a stream says so in an event, and the connection goes without a proper end."""
        stream, chunked = self._stream, self._framing is Framing.CHUNKED
        assert self._head
        self._end(outcome, self._head.status)
        if stream:
            event = error_event(message, code="engine_error")
            self._client.write(heads.chunk(event) if chunked else event)
            self._client.close_after_writes()
        else:
            self._client.cut()

    def _end(self, outcome: Outcome, status: int) -> None:
        if self._over:
            return
        self._over = True
        if self._choice:
            self._desk.release(self._choice.endpoint)
        told, output_tokens = self._tokens()
        if outcome is Outcome.OK:
            self._desk.learn(self._job, told, output_tokens)
            if self._choice and self._choice.service:
                self._desk.settle(self._choice, (told or self._job.lengths.input_tokens) + output_tokens)
        self._desk.ended(self, self._observation(outcome, status, told, output_tokens))

    def _tokens(self) -> tuple[int, int]:
        """Input tokens by the engine's word, else 0, and output tokens."""
        if self._stream:
            return self._stream.input_tokens, self._stream.output_tokens
        return self._whole.tokens() if self._whole else (0, 0)

    def _observation(self, outcome: Outcome, status: int, told: int, output_tokens: int) -> Observation:
        stream, choice = self._stream, self._choice
        first_at = stream.first_at if stream else None
        return Observation(
            at=self._at,
            workload_class=self._job.workload_class,
            pool=choice.pool if choice else "",
            endpoint=choice.endpoint if choice else "",
            outcome=outcome,
            status=status,
            input_tokens=told or self._job.lengths.input_tokens,
            output_tokens=output_tokens,
            ttft_seconds=None if first_at is None else first_at - self._began,
            tpot_seconds=stream.tpot_seconds if stream else None,
            total_seconds=self._desk.now() - self._began,
            retries=self._retries,
        )


class _Choose(Protocol):
    def __call__(self, job: Job, first: Choice, tried: set[str]) -> Choice | Unroutable: ...


def _retry_after(head: AnswerHead) -> float:
    """Seconds that a service asks to be left alone for, within bounds; a few where it names none, or a date."""
    told = next((value for name, value in head.headers if name == b"retry-after"), b"")
    return min(max(float(told), 1.0), _LONGEST_REST_SECONDS) if told.isdigit() else _REST_SECONDS


def _no_replica(why: Unroutable) -> Refusal:
    if why is Unroutable.SHED:
        message = "no more requests of this kind are served in this minute"
        return Refusal(429, message, code="rate_limit_exceeded", headers=((b"retry-after", b"5"),))
    if why is Unroutable.NONE_ALLOWED:
        message = "what is left to serve the request takes no more in this minute"
        return Refusal(429, message, code="rate_limit_exceeded", headers=((b"retry-after", b"5"),))
    if why is Unroutable.NO_ENDPOINTS:
        return unavailable("no engine is ready yet", code="no_endpoint")
    return unavailable("no engine is healthy at the moment", code="no_healthy_endpoint")
