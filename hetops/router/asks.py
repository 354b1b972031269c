"""Reads an OpenAI request as far as routing needs it. Pure: bytes in, values out; judges no sampling parameter.

What engines check better (types of fields, contexts, tools) is left to them: their refusals are passed on as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from hetops.router.refusals import Refusal

CLASS_HEADER = b"x-hetops-class"
"""The request's workload class, where its author knows better."""

ORIGIN_HEADER = b"x-hetops-origin"
"""Where the request comes from, as the user's edge knows it."""

INPUT_HEADER = b"x-hetops-input-tokens"
"""The exact number of input tokens."""

OUTPUT_HEADER = b"x-hetops-output-tokens"
"""The number of output tokens that its author expects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request for text. `text_bytes` counts its prompt; `input_tokens` is None where only an estimate is possible."""

    model: str
    stream: bool
    wants_usage: bool
    """Whether the client asked for the usage event of a stream."""
    text_bytes: int
    input_tokens: int | None
    output_limit: int | None
    output_tokens: int | None
    workload_class: str
    """As the header names it, else empty."""
    origin: str
    """Likewise."""
    body: bytes
    """What is forwarded: the request, and for a stream the wish for its usage."""


def read(body: bytes, headers: Mapping[bytes, bytes]) -> Ask:
    """The request in a body.

    Raises:
        Refusal: 400 for what is no JSON object or names no model, or for a header of ours that makes no sense.
    """
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise Refusal(400, f"the request body is not JSON: {fault}", code="invalid_json") from fault
    if not isinstance(asked, dict):
        raise Refusal(400, "the request body must be a JSON object", code="invalid_json")
    model = asked.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "you must provide a model parameter", code="missing_model", param="model")
    text_bytes, tokens = _prompt(asked)
    stream = asked.get("stream") is True
    options = asked.get("stream_options")
    wants_usage = isinstance(options, dict) and options.get("include_usage") is True
    given = _count(headers, INPUT_HEADER)
    return Ask(
        model=model,
        stream=stream,
        wants_usage=wants_usage,
        text_bytes=text_bytes,
        input_tokens=tokens if given is None else given,
        output_limit=_limit(asked),
        output_tokens=_count(headers, OUTPUT_HEADER),
        workload_class=headers.get(CLASS_HEADER, b"").decode("latin-1"),
        origin=headers.get(ORIGIN_HEADER, b"").decode("latin-1").strip().lower(),
        body=_with_usage(body, asked) if stream and not wants_usage else body,
    )


def renamed(body: bytes, model: str) -> bytes:
    """The same request for the model by another name."""
    return orjson.dumps({**orjson.loads(body), "model": model})


def _with_usage(body: bytes, asked: dict[str, Any]) -> bytes:
    """The same request that also asks for the usage event. The bytes stay as they are wherever they can."""
    options = asked.get("stream_options")
    if options is None and "stream_options" not in asked:
        return body.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
    if options is not None and not isinstance(options, dict):
        return body  # the engine will say what it thinks of it
    return orjson.dumps({**asked, "stream_options": {**(options or {}), "include_usage": True}})


def _limit(asked: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        limit = asked.get(name)
        if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
            return limit
    return None


def _count(headers: Mapping[bytes, bytes], name: bytes) -> int | None:
    given = headers.get(name)
    if given is None:
        return None
    if not given.isdigit() or len(given) > 9 or int(given) < 1:
        shown = given.decode("latin-1")
        raise Refusal(
            400, f"{name.decode()} must be a number above zero, not {shown!r}", code="invalid_header"
        )
    return int(given)


def _prompt(asked: Mapping[str, Any]) -> tuple[int, int | None]:
    """Bytes of the prompt's text, and its tokens where it comes as tokens."""
    messages = asked.get("messages")
    if isinstance(messages, list):
        return sum(_message_bytes(m) for m in messages), None
    prompt = asked.get("prompt")
    if isinstance(prompt, list) and prompt and all(isinstance(t, int) for t in prompt):
        return 0, len(prompt)
    if isinstance(prompt, list):
        tokens = sum(len(p) for p in prompt if isinstance(p, list))
        return sum(_bytes(p) for p in prompt), tokens or None
    return _bytes(prompt), None


def _message_bytes(message: object) -> int:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        return sum(_bytes(part.get("text")) for part in content if isinstance(part, dict))
    return _bytes(content)


def _bytes(text: object) -> int:
    if not isinstance(text, str):
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
