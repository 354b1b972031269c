"""What an answer of OpenAI's streaming API says, event by event. Pure: bytes in, what they mean out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

_DATA = b"data:"
_DONE = b"[DONE]"
_OTHER = (b":", b"event:", b"id:", b"retry:")
"""Lines of an event stream that say nothing of the answer."""
_LONGEST_BYTES = 4 << 20
"""Of a line: an event is a token or a few."""
_SHOWN_BYTES = 60
_FINEST_SECONDS = 1e-4
"""Between two tokens: reading those that lie in one buffer takes less, and no engine that is known gives them so fast."""


class _Usage(msgspec.Struct):
    prompt_tokens: Any = None
    completion_tokens: Any = None


class _Chunk(msgspec.Struct):
    choices: list[dict[str, Any]] | None = None
    usage: _Usage | None = None
    error: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)


@dataclass(slots=True, kw_only=True)
class Answer:
    """A streamed answer as far as it has come."""

    most_tokens: int = 0
    """As many were asked for."""
    first_at: float | None = None
    """Its first text."""
    last_at: float | None = None
    """Its last event of a choice: tokens that end an answer may have no text, and the reason why it ended comes with the last."""
    pieces: int = 0
    """Events with text in them: tokens, where the engine neither counts them nor says that it gave all."""
    input_tokens: int = 0
    output_tokens: int = 0
    reason: str = ""
    """Why it ended, in the words of the API: `stop`, or `length` where it has all tokens that were asked for."""
    done: bool = False
    """The stream said that nothing follows."""
    error: str = ""
    odd: bytes = b""
    """The beginning of what came first that is no event of such a stream."""
    broken: bytes = b""
    """Of what came first that is no event of any: no JSON, or no line of a stream at all."""
    heard: bool = False
    """Some of its body came."""
    _rest: bytes = field(default=b"")

    @property
    def whole(self) -> bool:
        """It has ended as it should; some servers end a stream without a word."""
        return self.done or bool(self.reason)

    @property
    def tokens(self) -> int:
        """Output tokens: what the engine counts, else all that were asked for where it says so, else the events with text."""
        return self.output_tokens or max(self.pieces, self.most_tokens if self.reason == "length" else 0)

    @property
    def began_at(self) -> float | None:
        """When its first token came: its first text, or its end where its tokens have none."""
        return self.first_at if self.first_at is not None or not self.tokens else self.last_at

    @property
    def nonsense(self) -> str:
        """What to say of an answer that is no event stream, or one with something else among its tokens; empty where it is one."""
        if self.first_at is not None:
            return f"among its tokens is what is no event: {self.broken!r}" if self.broken else ""
        odd = self.odd or self._rest.strip()[:_SHOWN_BYTES]
        return f"no event stream, it begins {odd!r}" if odd else ""

    @property
    def tpot_seconds(self) -> float | None:
        """From the first token to the last, per token; None for fewer than two, and where they came together."""
        if self.first_at is None or self.last_at is None or self.tokens < 2:
            return None
        gap = (self.last_at - self.first_at) / (self.tokens - 1)
        return gap if gap >= _FINEST_SECONDS else None

    def feed(self, data: bytes, at: float) -> None:
        """More bytes of the body, received at a moment; events that are JSON but none of ours are passed over."""
        self.heard = True
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(_DATA):
                self._event(line.removeprefix(_DATA).strip(), at)
            elif line.strip() and not line.startswith(_OTHER):
                self._note_broken(line)
        if len(self._rest) > _LONGEST_BYTES:
            self.odd = self.odd or self._rest[:_SHOWN_BYTES]
            self.error = f"a line of more than {_LONGEST_BYTES >> 20} MiB"

    def _event(self, data: bytes, at: float) -> None:
        if data == _DONE:
            self.done = True
            return
        try:
            chunk = _CHUNK.decode(data)
        except msgspec.ValidationError:
            self.odd = self.odd or data[:_SHOWN_BYTES]
            return
        except msgspec.DecodeError:
            self._note_broken(data)
            return
        if chunk.error is not None:
            self.error = _said(chunk.error)
        if chunk.usage is not None:
            self.input_tokens = _count(chunk.usage.prompt_tokens)
            self.output_tokens = _count(chunk.usage.completion_tokens)
        if chunk.choices:
            self._choices(chunk.choices, at)

    def _choices(self, choices: list[dict[str, Any]], at: float) -> None:
        self.last_at = at
        if any(_has_text(choice) for choice in choices):
            self.first_at = at if self.first_at is None else self.first_at
            self.pieces += 1
        reasons = (choice.get("finish_reason") for choice in choices)
        self.reason = next((reason for reason in reasons if isinstance(reason, str)), self.reason)

    def _note_broken(self, data: bytes) -> None:
        self.broken = self.broken or data[:_SHOWN_BYTES]
        self.odd = self.odd or self.broken


def _count(told: Any) -> int:
    """Of tokens; 0 where there is none: some engines send the field before they know it."""
    return int(told) if isinstance(told, int | float) and told > 0 else 0


def _said(error: Any) -> str:
    """What it says of itself, else all of it."""
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) and message else str(error)


def _has_text(choice: dict[str, Any]) -> bool:
    """Whether there is text in it, where these APIs put it; anything else there is none."""
    delta = choice.get("delta")
    told = delta if isinstance(delta, dict) else {}
    places = (told.get("content"), told.get("reasoning_content"), told.get("reasoning"), choice.get("text"))
    return any(isinstance(place, str) and place for place in places)
