"""The shapes of OpenAI's answers, each one saying that it is emulated. Pure: values to bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from hetops.simulate import tokens
from hetops.simulate.options import EmulatorOptions
from hetops.simulate.requests import Ask, Kind

OWNER = "hetops-emulator"
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to one request, as parts that can be sent."""

    ask: Ask
    id: str
    model: str
    created: int
    """UNIX seconds"""

    def whole(self) -> bytes:
        """The answer in one piece."""
        text = tokens.text(0, self.ask.output_tokens)
        content: dict[str, Any] = (
            {"message": {"role": "assistant", "content": text}}
            if self.ask.kind is Kind.CHAT
            else {"text": text}
        )
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": self.ask.finish_reason}
        object_name = "chat.completion" if self.ask.kind is Kind.CHAT else "text_completion"
        return msgspec.json.encode(self._envelope(object_name, [choice]) | {"usage": self._usage()})

    def opening(self) -> bytes:
        """What a stream starts with once the first token is there: for a chat the role."""
        return (
            self._chunk({"delta": {"role": "assistant", "content": ""}})
            if self.ask.kind is Kind.CHAT
            else b""
        )

    def piece(self, start: int, end: int) -> bytes:
        """Output tokens `start` to `end`, the last one excluded, as one event."""
        text = tokens.text(start, end)
        return self._chunk({"delta": {"content": text}} if self.ask.kind is Kind.CHAT else {"text": text})

    def closing(self) -> bytes:
        """The end of a stream: the reason, the usage where it was asked for, and [DONE]."""
        content: dict[str, Any] = {"delta": {}} if self.ask.kind is Kind.CHAT else {"text": ""}
        parts = [self._chunk(content | {"finish_reason": self.ask.finish_reason})]
        if self.ask.include_usage:
            parts.append(_event(self._envelope(self._chunk_name, []) | {"usage": self._usage()}))
        return b"".join((*parts, DONE))

    @property
    def _chunk_name(self) -> str:
        return "chat.completion.chunk" if self.ask.kind is Kind.CHAT else "text_completion"

    def _chunk(self, content: dict[str, Any]) -> bytes:
        choice = {"index": 0, "logprobs": None, "finish_reason": None} | content
        return _event(self._envelope(self._chunk_name, [choice]))

    def _envelope(self, object_name: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": object_name,
            "created": self.created,
            "model": f"{self.model} (emulated)",
            "system_fingerprint": OWNER,
            "choices": choices,
        }

    def _usage(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.ask.input_tokens,
            "completion_tokens": self.ask.output_tokens,
            "total_tokens": self.ask.input_tokens + self.ask.output_tokens,
        }


def models(options: EmulatorOptions, created: int) -> bytes:
    """The answer of /v1/models."""
    entry = {
        "id": options.model,
        "object": "model",
        "created": created,
        "owned_by": OWNER,
        "max_model_len": options.longest,
    }
    return msgspec.json.encode({"object": "list", "data": [entry]})


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"
