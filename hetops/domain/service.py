"""Service: what serves the model for a price by the token, without nodes of ours. Holds no key, asks nobody."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from hetops.domain.offer import Market, Trait

_MILLION = 1_000_000
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """An API with token prices: where it answers, what it costs, how much it takes, how fast it is said to be.

    Raises:
        ValueError: no URL, no name of a variable, a price of nothing, no limit, or a figure that is none.
    """

    name: str
    url: str
    """Its base URL, as OpenAI's clients take it: paths such as `/chat/completions` follow."""
    api_key_variable: str = ""
    """The environment variable that holds its key where the router runs; empty where it wants none."""
    model: str
    """The name that it knows the model by."""
    usd_per_million_input_tokens: Decimal
    usd_per_million_output_tokens: Decimal
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Input and output together."""
    ttft_seconds: float
    """Expected, at the percentiles of the targets."""
    tpot_seconds: float
    max_context_tokens: int
    """Longest input and output together."""

    def __post_init__(self) -> None:
        fault = next(_faults(self), "")
        if fault:
            raise ValueError(f"service {self.name}: {fault}")

    def usd_for(self, input_tokens: float, output_tokens: float) -> Decimal:
        """Price of so many tokens."""
        priced = (
            (input_tokens, self.usd_per_million_input_tokens),
            (output_tokens, self.usd_per_million_output_tokens),
        )
        return sum((Decimal(repr(float(tokens))) * usd for tokens, usd in priced), Decimal(0)) / _MILLION

    def value(self, trait: Trait) -> str:
        """What it has of a trait; empty where it has none of it: it lies in no zone, on no GPU type."""
        values = {Trait.OFFER: self.name, Trait.PROVIDER: self.name, Trait.MARKET: str(Market.TOKEN)}
        return values.get(trait, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedService:
    """A service in a plan: the classes that it may serve, and what the plan's shares of it cost."""

    service: Service
    serves: tuple[str, ...]
    """Classes that it serves within their targets."""
    usd_per_hour: Decimal = Decimal(0)
    """At the planned rates; 0 where it only stands by."""
    usd_per_hour_at_limits: Decimal
    """What it costs while it takes all that its limits allow, in requests like those of its dearest class."""

    @property
    def name(self) -> str:
        """What shares call it."""
        return self.service.name


def url_fault(url: str) -> str:
    """Why a text is no base URL that requests can be sent to; empty where it is one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as fault:
        return f"{url!r} is no URL: {fault}"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "a base URL goes without user, query or fragment"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return f"{url!r} is no http or https base URL"
    return ""


def key_fault(url: str, variable: str) -> str:
    """Why a key in an environment variable cannot be sent to a base URL; empty where it can. Repeats no value."""
    if not variable:
        return ""
    if not _VARIABLE.fullmatch(variable):
        return "api_key_variable is the name of an environment variable, in capitals, never the key itself"
    if urlsplit(url).scheme != "https" and not _loopback(urlsplit(url)):
        return "a key is sent over https alone, or to this machine"
    return ""


def _faults(service: Service) -> Iterator[str]:
    yield from filter(None, (url_fault(service.url), key_fault(service.url, service.api_key_variable)))
    prices = (service.usd_per_million_input_tokens, service.usd_per_million_output_tokens)
    if not all(usd.is_finite() and usd >= 0 for usd in prices) or not any(prices):
        yield "prices must be at least 0, and one of them above it"
    limits = {n: getattr(service, n) for n in ("requests_per_minute", "tokens_per_minute")}
    stated = {name: most for name, most in limits.items() if most is not None}
    if not stated:
        yield "unknown is never unlimited: it needs requests_per_minute, tokens_per_minute or both"
    figures = {"ttft_seconds": service.ttft_seconds, "tpot_seconds": service.tpot_seconds, **stated}
    for name, value in figures.items():
        if not 0 < value < math.inf:
            yield f"{name} must be a number above 0"
    if service.max_context_tokens < 1:
        yield "max_context_tokens must be at least 1"


def _loopback(url: SplitResult) -> bool:
    if url.hostname == "localhost":
        return True
    try:
        return ip_address(url.hostname or "").is_loopback
    except ValueError:
        return False
