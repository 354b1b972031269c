"""What `up` and `down` did, as documents and as text. Pure."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from hetops.domain import codec
from hetops.domain.added import ADDED
from hetops.domain.units import usd_per_month
from hetops.reports import quantities as q


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The first request for a model through the router, sent by `up` itself."""

    pool: str
    seconds: float
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """A deployment that is up."""

    FORMAT: ClassVar[str] = "hetops.up"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    deployment: str
    at: datetime
    changed: bool
    summary: str
    endpoint: str
    """Base URL of the router; OpenAI's paths stand below `/v1`."""
    api_keys_file: str
    """Holds the keys, one a line; no key stands in this document."""
    model: str
    nodes: Mapping[str, int]
    """Nodes by pool."""
    usd_per_hour: Decimal
    emulated: bool
    """Whether any of its engines is emulated: its answers are no model's."""
    probe: Probe
    notes: tuple[str, ...] = ()
    probes: Mapping[str, Probe] = field(default_factory=dict, metadata=ADDED)
    """Of each model, where it serves several; `probe` is that of the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What a `down` would remove."""

    deployment: str
    nodes: tuple[tuple[str, str], ...]
    """(pool, name) of each node that the state knows."""
    strays: tuple[str, ...] = ()
    """Names of nodes that run and that no state knows."""
    usd_per_hour: Decimal | None = None
    """What the nodes cost; None where no plan tells their price."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every node, strays among them."""
        return (*(name for _, name in self.nodes), *self.strays)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A deployment that is down."""

    FORMAT: ClassVar[str] = "hetops.down"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    deployment: str
    at: datetime
    changed: bool
    """Whether there was anything to remove."""
    nodes: tuple[str, ...] = ()
    """Names of the nodes that were removed, strays among them."""
    usd_per_hour_saved: Decimal = Decimal(0)


def raised_as_json(raised: Raised) -> dict[str, Any]:
    """The document, with the cost of a month of 730 hours and a command to try it with."""
    extra = {"usd_per_month": str(usd_per_month(raised.usd_per_hour)), "curl": curl(raised)}
    return {**codec.to_builtins(raised), **extra}


def raised_as_text(raised: Raised) -> str:
    """Where it answers, where the key lies, and a line to try it with."""
    nodes = ", ".join(f"{pool} {count}" for pool, count in raised.nodes.items())
    lines = (
        f"{raised.deployment} is up: {raised.model}" + (" (emulated)" if raised.emulated else ""),
        f"  endpoint  {raised.endpoint}/v1",
        f"  API key   {raised.api_keys_file}",
        f"  nodes     {nodes or 'none'}",
        f"  cost      {q.usd_both(raised.usd_per_hour)}",
        *(f"  probe     {line}" for line in _probed(raised)),
        *(f"  note      {note}" for note in raised.notes),
        "",
        curl(raised),
    )
    return "\n".join(lines) + "\n"


def _probed(raised: Raised) -> Iterator[str]:
    for model, one in (raised.probes or {"": raised.probe}).items():
        told = f"{q.many(one.output_tokens, 'token')} from {one.pool or '-'} in {q.seconds(one.seconds)}"
        yield f"{model}: {told}" if model else told


def curl(raised: Raised) -> str:
    """A shell line that asks the deployment something; the key is read from its file, so that it stands nowhere else."""
    model = next(iter(raised.probes), raised.model)
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 32}
    key = f'-H "Authorization: Bearer $(head -n 1 {shlex.quote(raised.api_keys_file)})" '
    return (
        f"curl {raised.endpoint}/v1/chat/completions {key if raised.api_keys_file else ''}"
        f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}"
    )


def removal_as_text(removal: Removal) -> str:
    """What goes and what that saves."""
    counts = Counter(pool for pool, _ in removal.nodes)
    saved = "" if removal.usd_per_hour is None else f" · saves {q.usd_both(removal.usd_per_hour)}"
    lines = (
        f"{removal.deployment}: {q.many(len(removal.names), 'node')} to remove{saved}",
        *(f"  -  {pool or '-'}: {q.many(count, 'node')}" for pool, count in counts.items()),
        *(f"  -  {name}: no state knows it" for name in removal.strays),
    )
    return "\n".join(lines) + "\n"


def removed_as_json(removed: Removed) -> dict[str, Any]:
    """The document, with what a month of 730 hours would have cost."""
    saved = str(usd_per_month(removed.usd_per_hour_saved))
    return {**codec.to_builtins(removed), "usd_per_month_saved": saved}


def removed_as_text(removed: Removed) -> str:
    """What went, and what it saves."""
    if not removed.changed:
        return f"{removed.deployment}: nothing is up\n"
    gone = q.many(len(removed.nodes), "node")
    return f"{removed.deployment} is down: {gone} removed, saves {q.usd_both(removed.usd_per_hour_saved)}\n"
