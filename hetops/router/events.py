"""Reads what passes in an answer: first and last token, their number, the usage. Pure: bytes and times in, bytes out.

Events are passed on whole, as they came. Only those that may say something are read: all up to the first token, then the
ones with a finish reason or a usage. An engine that is asked for a usage event which the client did not want has it here
taken out again; that engines then write `"usage":null` into the other events as well is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any

import orjson

_LARGEST_EVENT_BYTES = 1 << 20
"""An event that is longer is passed on unread."""

_LARGEST_WHOLE_BYTES = 4 << 20
"""An answer in one piece that is longer is passed on without being read for its usage."""

_TELLING = re.compile(rb'"(?:finish_reason|usage)":\s*["{]|\[DONE\]|"error":')
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


class Usage(Enum):
    """Whether the client is to see a stream's usage event."""

    SHOWN = auto()
    HIDDEN = auto()


class StreamMeter:
    """One answer that comes as server-sent events."""

    __slots__ = ("_hide", "_tail", "done", "failed", "first_at", "last_at", "seen_tokens", "usage")

    def __init__(self, usage: Usage) -> None:
        self._hide = usage is Usage.HIDDEN
        self._tail = b""
        self.first_at: float | None = None
        """When the first content token came."""
        self.last_at: float | None = None
        self.usage: dict[str, Any] | None = None
        self.seen_tokens = 0
        """Events with content."""
        self.failed = False
        """Whether the engine reported an error in the stream."""
        self.done = False

    def feed(self, data: bytes, at: float) -> bytes:
        """The bytes to pass on of what has come; an event that is not whole yet is kept back."""
        if self._tail:
            data = self._tail + data
        end = _last_end(data)
        whole, self._tail = data[:end], data[end:]
        if len(self._tail) > _LARGEST_EVENT_BYTES:
            whole, self._tail = data, b""
        if not whole:
            return b""
        if self.first_at is not None and not _TELLING.search(whole):
            if tokens := whole.count(b"\ndata:") + whole.startswith(b"data:"):
                self.seen_tokens += tokens
                self.last_at = at
            return whole
        return b"".join(event for event in _events(whole) if self._passes(event, at))

    def rest(self) -> bytes:
        """What was kept back when the stream ended."""
        rest, self._tail = self._tail, b""
        return rest

    @property
    def output_tokens(self) -> int:
        """By the engine's word, else one an event."""
        return _tokens(self.usage, "completion_tokens") or self.seen_tokens

    @property
    def input_tokens(self) -> int:
        """By the engine's word; 0 where it gave none."""
        return _tokens(self.usage, "prompt_tokens")

    @property
    def tpot_seconds(self) -> float | None:
        """Mean time between tokens after the first; None where there are none."""
        if self.first_at is None or self.last_at is None or self.output_tokens < 2:
            return None
        return (self.last_at - self.first_at) / (self.output_tokens - 1)

    def _passes(self, event: bytes, at: float) -> bool:
        """Takes note of an event; False for the usage event that the client did not ask for."""
        payload = _payload(event)
        if payload == b"[DONE]":
            self.done = True
            return True
        value = _object(payload)
        if value.get("error"):
            self.failed = True
        usage, choices = value.get("usage"), value.get("choices")
        if isinstance(usage, dict):
            self.usage = usage
        if isinstance(choices, list) and any(map(_has_content, choices)):
            self.first_at = at if self.first_at is None else self.first_at
            self.last_at = at
            self.seen_tokens += 1
        return not (self._hide and choices == [] and isinstance(usage, dict))


class WholeMeter:
    """One answer that comes in one piece: kept, up to a size, until it can be read."""

    __slots__ = ("_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """A part of the body has come."""
        self._size += len(data)
        if self._size > _LARGEST_WHOLE_BYTES:
            self._parts.clear()
        else:
            self._parts.append(data)

    def tokens(self) -> tuple[int, int]:
        """Input and output tokens by the engine's word; 0 where it gave none."""
        usage = _object(b"".join(self._parts)).get("usage")
        usage = usage if isinstance(usage, dict) else None
        return _tokens(usage, "prompt_tokens"), _tokens(usage, "completion_tokens")


def _last_end(data: bytes) -> int:
    """Where the last whole event ends; 0 where none does."""
    return max((at + len(end) for end in _ENDS if (at := data.rfind(end)) >= 0), default=0)


def _events(whole: bytes) -> Iterator[bytes]:
    """Each event with the empty line that ends it."""
    start = 0
    for end in _EVENT_END.finditer(whole):
        yield whole[start : end.end()]
        start = end.end()
    if start < len(whole):
        yield whole[start:]


def _payload(event: bytes) -> bytes:
    """What an event says; empty for a comment."""
    if event.startswith(b"data:") and event.count(b"\n") <= 2:
        return event[5:].strip()
    lines = event.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))


def _object(payload: bytes) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _has_content(choice: object) -> bool:
    if not isinstance(choice, dict):
        return False
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return any(
            delta.get(k) for k in ("content", "reasoning_content", "reasoning", "tool_calls", "refusal")
        )
    return bool(choice.get("text"))


def _tokens(usage: dict[str, Any] | None, name: str) -> int:
    count = usage.get(name) if usage else None
    return count if isinstance(count, int) and count > 0 else 0
