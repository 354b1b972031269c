"""The paths that the router knows: which go on to a replica, who may ask for them, and what it answers itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

import orjson

from hetops.domain import codec
from hetops.router import metrics
from hetops.router.auth import Keys, allowed
from hetops.router.config import RouterConfig
from hetops.router.heads import Header
from hetops.router.refusals import Refusal, unauthorised
from hetops.router.requests import RequestHead
from hetops.router.status import Moment, router_status
from hetops.router.tally import Tally

FORWARDED = frozenset({"/v1/chat/completions", "/v1/completions"})
"""What a replica answers."""

_MODELS = "/v1/models"
_OWN = frozenset({_MODELS, "/health", "/metrics", "/hetops/status"})
_OPEN = frozenset({"/health"})
"""Answered without a key: whoever watches over the router has none."""

_JSON: Header = (b"content-type", b"application/json")


class OwnAnswer(NamedTuple):
    """An answer of the router's own."""

    status: int
    body: bytes
    kind: Header = _JSON
    """Its content type."""


def screened(head: RequestHead, keys: Keys | None) -> Refusal | None:
    """Why a request is refused before its body is read; None where it is not. Without keys anyone may ask."""
    path = head.path
    if keys is not None and path not in _OPEN and not allowed(head.fields.get(b"authorization", b""), keys):
        return unauthorised()
    known = path in FORWARDED or path in _OWN or path.startswith(f"{_MODELS}/")
    if not known:
        return Refusal(404, f"no such path: {path}", code="unknown_url")
    methods = (b"POST",) if path in FORWARDED else (b"GET", b"HEAD")
    if head.method not in methods:
        allow = b", ".join(methods)
        return Refusal(
            405,
            f"{path} takes {allow.decode()}, not {head.method.decode('latin-1')}",
            code="method_not_allowed",
            headers=((b"allow", allow),),
        )
    return None


def own_answer(path: str, config: RouterConfig, tally: Tally, moment: Moment) -> OwnAnswer:
    """What the router says itself on a path that is not forwarded."""
    if path == "/health":
        return _health(moment)
    if path == "/metrics":
        text = metrics.metrics(config, tally, moment)
        return OwnAnswer(200, text.encode(), (b"content-type", metrics.CONTENT_TYPE))
    if path == "/hetops/status":
        return OwnAnswer(200, codec.encode(router_status(config, tally, moment)))
    entries = [_model(name, int(moment.started_at)) for name in config.models]
    if path == _MODELS:
        return OwnAnswer(200, orjson.dumps({"object": "list", "data": entries}))
    asked = unquote(path).removeprefix(f"{_MODELS}/")
    for entry in entries:
        if entry["id"] == asked:
            return OwnAnswer(200, orjson.dumps(entry))
    missing = no_model(asked, config.models)
    return OwnAnswer(missing.status, missing.body)


def no_model(name: str, known: Iterable[str]) -> Refusal:
    """A model was asked for that is not served."""
    told = f"the model `{name}` does not exist; there is {', '.join(known)}"
    return Refusal(404, told, code="model_not_found", param="model")


def _health(moment: Moment) -> OwnAnswer:
    endpoints = [e for e in moment.endpoints if not e.draining]
    healthy = sum(e.circuit.value == "healthy" for e in endpoints)
    good = moment.healthy and not moment.draining
    status = "draining" if moment.draining else "ok" if good else "no healthy endpoint"
    body = {"status": status, "healthy_endpoints": healthy, "endpoints": len(endpoints)}
    return OwnAnswer(200 if good else 503, orjson.dumps(body))


def _model(name: str, created: int) -> dict[str, object]:
    return {"id": name, "object": "model", "created": created, "owned_by": "hetops"}
