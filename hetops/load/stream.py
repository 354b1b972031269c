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
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chunk(msgspec.Struct):
    choices: list[dict[str, Any]] = msgspec.field(default_factory=list)
    usage: _Usage | None = None
    error: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)


@dataclass(slots=True, kw_only=True)
class Answer:
    """A streamed answer as far as it has come."""

    first_at: float | None = None
    last_at: float | None = None
    pieces: int = 0
    """Events with text in them: tokens, where the engine does not count them."""
    input_tokens: int = 0
    output_tokens: int = 0
    whole: bool = False
    """It has ended as it should."""
    error: str = ""
    odd: bytes = b""
    """The beginning of what came first that is no event of such a stream."""
    broken: bytes = b""
    """Of what came first that is no event of any: no JSON, or no line of a stream at all."""
    _rest: bytes = field(default=b"")

    @property
    def tokens(self) -> int:
        """Output tokens: what the engine says, else the events."""
        return self.output_tokens or self.pieces

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
            self.whole = True
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
            self.error = str(chunk.error)
        if chunk.usage is not None:
            self.input_tokens = max(0, chunk.usage.prompt_tokens)
            self.output_tokens = max(0, chunk.usage.completion_tokens)
        if any(_has_text(choice) for choice in chunk.choices):
            self.first_at = at if self.first_at is None else self.first_at
            self.last_at = at
            self.pieces += 1

    def _note_broken(self, data: bytes) -> None:
        self.broken = self.broken or data[:_SHOWN_BYTES]
        self.odd = self.odd or self.broken


def _has_text(choice: dict[str, Any]) -> bool:
    """Whether there is text in it, where these APIs put it; anything else there is none."""
    delta = choice.get("delta")
    told = delta if isinstance(delta, dict) else {}
    places = (told.get("content"), told.get("reasoning_content"), told.get("reasoning"), choice.get("text"))
    return any(isinstance(place, str) and place for place in places)
