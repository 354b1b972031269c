"""Reads an OpenAI request as so many tokens in and so many out, or refuses it the way vLLM does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from hetops.simulate import tokens
from hetops.simulate.options import EmulatorOptions

INPUT_TOKENS_HEADER = "x-hetops-input-tokens"
"""An exact count of input tokens, instead of the count by bytes."""


class ApiError(Exception):
    """An answer in OpenAI's error shape."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = msgspec.json.encode(
            {
                "error": {
                    "message": message,
                    "type": _TYPES.get(status, "api_error"),
                    "param": param,
                    "code": code,
                }
            }
        )


_TYPES = {
    400: "invalid_request_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


class Kind(StrEnum):
    """The two ways to ask for text."""

    CHAT = "chat"
    COMPLETION = "completion"


class FinishReason(StrEnum):
    """Why an answer ends."""

    LENGTH = "length"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one request wants."""

    kind: Kind
    input_tokens: int
    output_tokens: int
    finish_reason: FinishReason
    stream: bool
    include_usage: bool


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Body(msgspec.Struct):
    """The fields that matter here; all others are taken and ignored, as sampling changes no timing."""

    model: str
    messages: list[Mapping[str, Any]] | None = None
    prompt: str | list[int | str] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None
    n: int | None = None
    ignore_eos: bool = False


def read(kind: Kind, body: bytes, headers: Mapping[str, str], options: EmulatorOptions) -> Ask:
    """The request in a body.

    Raises:
        ApiError: 400 for what cannot be understood, for several answers and for too many tokens; 404 for a model that
            is not served here.
    """
    try:
        asked = msgspec.json.decode(body, type=_Body)
    except msgspec.MsgspecError as fault:
        raise ApiError(400, f"the request body cannot be understood: {fault}") from fault
    if asked.model != options.model:
        raise ApiError(
            404, f"the model `{asked.model}` does not exist", code="model_not_found", param="model"
        )
    if asked.n not in (None, 1):
        raise ApiError(400, "the emulated engine gives one answer a request", param="n")
    input_tokens = _given_count(headers) or _input_tokens(kind, asked)
    output_tokens, finish_reason = _output_tokens(asked, input_tokens, options)
    return Ask(
        kind=kind,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        finish_reason=finish_reason,
        stream=asked.stream,
        include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
    )


def _given_count(headers: Mapping[str, str]) -> int | None:
    given = headers.get(INPUT_TOKENS_HEADER)
    if given is None:
        return None
    if not given.isdecimal() or int(given) < 1:
        raise ApiError(400, f"{INPUT_TOKENS_HEADER} must be a number above zero, not {given!r}")
    return int(given)


def _input_tokens(kind: Kind, asked: _Body) -> int:
    if kind is Kind.CHAT:
        if not asked.messages:
            raise ApiError(400, "messages must hold at least one message", param="messages")
        return max(1, tokens.count("".join(_content(m.get("content")) for m in asked.messages)))
    prompt = asked.prompt
    if isinstance(prompt, str):
        return max(1, tokens.count(prompt))
    if not prompt:
        raise ApiError(400, "prompt must be a text or a list of token ids", param="prompt")
    if all(isinstance(token, int) for token in prompt):
        return len(prompt)
    if len(prompt) > 1:
        raise ApiError(400, "the emulated engine takes one prompt a request", param="prompt")
    return max(1, tokens.count(str(prompt[0])))


def _content(content: object) -> str:
    """The text of a message; parts that are no text count nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


def _output_tokens(asked: _Body, input_tokens: int, options: EmulatorOptions) -> tuple[int, FinishReason]:
    """How long the answer is: as long as allowed where a limit is given, else the default length."""
    limit = asked.max_completion_tokens if asked.max_completion_tokens is not None else asked.max_tokens
    if limit is not None and limit < 1:
        raise ApiError(400, f"max_tokens must be at least 1, not {limit}", param="max_tokens")
    room = options.longest - input_tokens
    if room < (limit or 1):
        wanted = f" and {limit} of output" if limit else ""
        raise ApiError(
            400,
            f"this model's maximum context length is {options.longest} tokens; the request has {input_tokens} tokens of "
            f"input{wanted}",
            code="context_length_exceeded",
            param="messages" if asked.messages else "prompt",
        )
    if limit is not None:
        return limit, FinishReason.LENGTH
    if asked.ignore_eos:
        return room, FinishReason.LENGTH
    return min(options.default_output_tokens, room), FinishReason.STOP
