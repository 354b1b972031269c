"""The fields of hetops.toml. Each class is a table; its docstrings become the schema's descriptions. What is asked for stands in
`workload`, how careful the plan is in `policy`. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from hetops.domain.model import Precision
from hetops.domain.offer import Market
from hetops.domain.service import key_fault, url_fault
from hetops.domain.units import HOURS_PER_MONTH
from hetops.spec.policy import PolicySpec
from hetops.spec.table import Cost, Money, Name, Positive, Recovery, Share, Table
from hetops.spec.workload import TargetsSpec, WorkloadSpec
from hetops.state.home import RESERVED

_NO_BUDGET_USD = Decimal("1e9")
_OF_EVERY_PROVIDER = ("enabled", "usd_per_hour")
"""Keys of `[providers.NAME]` that are ours; the rest is the provider's own."""


class DeploymentSpec(Table, frozen=True, kw_only=True):
    """The deployment: its name is part of every resource's name."""

    name: Name
    """At most 32 of a-z, 0-9 and `-`, the first a letter."""

    def __post_init__(self) -> None:
        if self.name in RESERVED:
            raise ValueError(f"{self.name!r} names a folder of hetops' own: choose another name")


class ModelSpec(Table, frozen=True, kw_only=True):
    """A model to serve, by its name in the catalogue. `[model]` is the only one; several have a `[[models]]` table each."""

    name: str
    """As `hetops init --model` takes it; with `config` any name."""
    config: str = ""
    """Path, relative to this file, of the `config.json` of a model that the catalogue does not know, or of its folder."""
    precisions: tuple[Precision, ...] = ()
    """Precisions that may be chosen, `fp16` and `bf16` being one; empty leaves the choice to hetops' quality rules."""
    quality_floor: Recovery | None = None
    """Share of the 16-bit score that a precision must keep in a class's task, where that is known: 0.98."""
    mean_quality: Recovery | None = None
    """Share of it that the requests of each class keep on average: some may go where less is kept, if others make up for it."""
    kv_precision: Precision | None = None
    """Of the KV cache, apart from the weights: `fp8` holds twice as many tokens; empty is 16 bit."""
    max_context_tokens: Annotated[int, Meta(ge=16)] | None = None
    """Longest input and output together; empty takes what the workload needs."""


class BudgetSpec(Table, frozen=True, kw_only=True):
    """The most that the fleet may cost. A month has 730 hours."""

    usd_per_hour: Money | None = None
    """For the whole fleet."""
    usd_per_month: Money | None = None
    """For the whole fleet; where both are given the tighter counts."""
    mean_usd_per_hour: Money | None = None
    """On average over the periods of `[policy.day]`, starts included; the others hold in each of them."""

    def __post_init__(self) -> None:
        for limit in (self.usd_per_hour, self.usd_per_month, self.mean_usd_per_hour):
            if limit is not None and not limit > 0:
                raise ValueError(
                    "a budget must be above zero: with nothing to spend no fleet serves a request"
                )
            if limit is not None and not limit < _NO_BUDGET_USD:
                raise ValueError("a budget of a thousand million USD and more limits nothing: leave it out")

    @property
    def limit_usd_per_hour(self) -> Decimal | None:
        """The tighter of both limits, per hour."""
        monthly = None if self.usd_per_month is None else self.usd_per_month / HOURS_PER_MONTH
        return min((limit for limit in (self.usd_per_hour, monthly) if limit is not None), default=None)


class OffersSpec(Table, frozen=True, kw_only=True):
    """Which offers may be chosen; an empty list allows all."""

    gpus: tuple[str, ...] = ()
    """GPU types by their names in the catalogue or by family, with a number of them in a node if need be: `L4`, `H100:8`."""
    regions: tuple[str, ...] = ()
    """Patterns: `us-*`, `eu-west-1`."""
    markets: tuple[Market, ...] = (Market.ON_DEMAND,)
    """The terms that may be rented on."""
    max_usd_per_gpu_hour: Money | None = None
    """Offers dearer than this are left out."""
    exclude: tuple[str, ...] = ()
    """SKUs or offer ids that must not be chosen."""


class SpeculativeSpec(Table, frozen=True, kw_only=True):
    """Speculative decoding that engines may use where it helps. The figures are what a user measured, not defaults."""

    draft_tokens: Annotated[int, Meta(ge=1, le=64)]
    """Guessed in each step."""
    acceptance: Share
    """Chance that the model agrees with a guess, given that it agreed with those before."""
    draft_share: Share = 0.0
    """What a draft takes of a step of the model: its parameters over the model's; 0 for n-grams."""


class DisaggregationSpec(Table, frozen=True, kw_only=True):
    """Replicas that prefill alone and others that decode alone, where that costs less: for planning only as yet."""

    gb_per_second: Annotated[float, Meta(gt=0, le=1e4)]
    """What a replica sends, or takes, of KV caches within its zone: the network of a node over its replicas. Nobody tells it."""


class AcrossNodesSpec(Table, frozen=True, kw_only=True):
    """Replicas whose pipeline stages are on several nodes, of like or unlike GPUs, where that costs less: for planning only as yet."""

    gb_per_second: Annotated[float, Meta(gt=0, le=1e4)]
    """What a stage sends to the next within its zone: the network of a node over the stages on it. Nobody tells it."""


class OverflowSpec(Table, frozen=True, kw_only=True):
    """A service that serves the model for a price by the token: for what is beyond the fleet, or cheaper there."""

    name: Name
    """What plans, the router and observations call it."""
    url: str
    """Its base URL, as OpenAI's clients take it: `https://api.example.com/v1`."""
    api_key_variable: str = ""
    """Name of the environment variable that holds its key where the router runs; empty where it wants none."""
    model: str = ""
    """The name that it knows the model by; empty takes the model's own. Of several models it serves that of its `classes`."""
    usd_per_million_input_tokens: Cost
    """Price of prompts."""
    usd_per_million_output_tokens: Cost
    """Price of answers."""
    requests_per_minute: Annotated[float, Meta(ge=1, le=1e9)] | None = None
    """The most that it takes. One of both limits is needed: unknown is never unlimited."""
    tokens_per_minute: Annotated[float, Meta(ge=1, le=1e12)] | None = None
    """The most that it takes, input and output together."""
    ttft_seconds: Positive
    """Time to first token that it keeps, at the percentile of the targets: what you measured, or its operator promises."""
    tpot_seconds: Positive
    """Time per output token that it keeps, likewise."""
    max_context_tokens: Annotated[int, Meta(ge=1)] | None = None
    """Longest input and output together that it takes; empty takes the model's own."""
    classes: tuple[str, ...] = ()
    """Classes that may go there; empty means every class whose targets it keeps."""

    def __post_init__(self) -> None:
        fault = url_fault(self.url) or key_fault(self.url, self.api_key_variable)
        if fault:
            raise ValueError(fault)
        if not (self.usd_per_million_input_tokens > 0 or self.usd_per_million_output_tokens > 0):
            raise ValueError("a price of zero means 'not sold', never 'free': give what tokens cost")
        if min(self.usd_per_million_input_tokens, self.usd_per_million_output_tokens) < 0:
            raise ValueError("prices must be at least 0")
        if self.requests_per_minute is None and self.tokens_per_minute is None:
            raise ValueError(
                "unknown is never unlimited: give requests_per_minute, tokens_per_minute or both"
            )


class OriginSpec(Table, frozen=True, kw_only=True):
    """Where requests come from: a region of users, an office, another cloud."""

    name: Name
    """What classes, plans and the router's header call it: at most 32 of a-z, 0-9 and `-`."""
    share: Recovery | None = None
    """Part of the requests of every class that has no origin of its own; of all origins together 1."""


class NetworkSpec(Table, frozen=True, kw_only=True):
    """The ways between origins and places that serve. Of the tables that fit a way the last that gives a figure counts."""

    origins: tuple[str, ...] = ()
    """Names in `[[origins]]`; empty means every origin."""
    places: tuple[str, ...] = ()
    """Names or patterns: a provider, a region, a zone, `aws/us-*`, or an overflow service; empty means every place."""
    round_trip_seconds: Annotated[float, Meta(ge=0, le=10)] | None = None
    """There and back over an open connection, by the way that requests take; taken off the TTFT target."""
    usd_per_gb: Cost | None = None
    """Egress: what the provider bills for 10^9 bytes that leave it for the origin. Services bill none."""

    def __post_init__(self) -> None:
        if self.round_trip_seconds is None and self.usd_per_gb is None:
            raise ValueError("it says nothing: give round_trip_seconds, usd_per_gb or both")
        if self.usd_per_gb is not None and not 0 <= self.usd_per_gb < _NO_BUDGET_USD:
            raise ValueError("usd_per_gb must be at least 0, and a price")


class EngineSpec(Table, frozen=True, kw_only=True):
    """Serving engines: which may be chosen, and the settings of each."""

    names: tuple[str, ...] = ()
    """`vllm`, `sglang`, or what a plugin brings; empty allows all but `llamacpp-cuda`, which wants to be named."""
    speculative: SpeculativeSpec | None = None
    """Empty decodes token by token."""
    disaggregation: DisaggregationSpec | None = None
    """Empty keeps prefill and decode of a request in one replica."""
    across_nodes: AcrossNodesSpec | None = None
    """Empty keeps every replica within a node."""
    estimator: str = ""
    """A plugin's estimator for what nobody measured, such as `aiconfigurator`; empty is hetops' own closed form."""
    settings: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    """`[engine.settings.NAME]`: handed to that engine as they are."""


class RouterSpec(Table, frozen=True, kw_only=True):
    """Where the router listens, and whose requests it takes."""

    host: str = "127.0.0.1"
    """Beyond this machine only with keys."""
    port: Annotated[int, Meta(ge=1, le=65535)] = 8080
    """Taken by nobody else when `up` begins."""
    api_keys_file: str = ""
    """A file of one key a line, mode 0600; empty lets `up` make one."""
    origin: str = ""
    """Where requests come from that name no origin; empty spreads them over `[[origins]]` as planned."""


class ReservedSpec(Table, frozen=True, kw_only=True):
    """Nodes that are paid for already: they cost the same whether the plan uses them or not."""

    offer: str
    """The offer that they are of, by its id or SKU as `hetops offers` tells them."""
    nodes: Annotated[int, Meta(ge=1)]
    """How many."""
    usd_per_hour: Money | None = None
    """What each costs anyway; empty takes the offer's price."""

    def __post_init__(self) -> None:
        if self.usd_per_hour is not None and not self.usd_per_hour > 0:
            raise ValueError("usd_per_hour must be above zero")


class StateSpec(Table, frozen=True, kw_only=True):
    """Where Pulumi keeps its state."""

    backend: str = ""
    """Any Pulumi backend URL; empty is a file backend in .hetops beside this file."""


class PluginsSpec(Table, frozen=True, kw_only=True):
    """Which plugins may be loaded."""

    allow: tuple[str, ...] | None = None
    """Names as `hetops plugins` tells them; empty allows all."""


class Spec(Table, frozen=True, kw_only=True):
    """hetops.toml."""

    FILE_NAME: ClassVar[str] = "hetops.toml"

    deployment: DeploymentSpec
    model: ModelSpec | None = None
    models: tuple[ModelSpec, ...] = ()
    """In place of `[model]`: several, planned together; each class says which it asks for."""
    workload: WorkloadSpec
    targets: TargetsSpec = TargetsSpec()
    budget: BudgetSpec = BudgetSpec()
    providers: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    """`[providers.NAME]`: the provider may be asked; its settings are its own, `enabled` and `usd_per_hour` are common."""
    offers: OffersSpec = OffersSpec()
    reserved: tuple[ReservedSpec, ...] = ()
    overflow: tuple[OverflowSpec, ...] = ()
    origins: tuple[OriginSpec, ...] = ()
    network: tuple[NetworkSpec, ...] = ()
    engine: EngineSpec = EngineSpec()
    router: RouterSpec = RouterSpec()
    policy: PolicySpec = PolicySpec()
    state: StateSpec = StateSpec()
    plugins: PluginsSpec = PluginsSpec()

    def __post_init__(self) -> None:
        if (self.model is None) is not bool(self.models):
            raise ValueError("give either [model], or [[models]] for several")
        stated = [(self.targets.ttft_seconds, self.targets.tpot_seconds)]
        stated += [(o.ttft_seconds, o.tpot_seconds) for o in self.targets.overrides]
        stated += [(c.ttft_seconds, c.tpot_seconds) for c in self.workload.classes]
        if all(ttft is None and tpot is None for ttft, tpot in stated):
            raise ValueError("no latency target: set targets.ttft_seconds, targets.tpot_seconds or both")
        names = [one.name for one in self.overflow]
        if len(set(names)) != len(names):
            raise ValueError("two overflow services have one name")
        if not self.enabled_providers:
            raise ValueError("no provider: add a table such as [providers.local]")

    @property
    def served(self) -> tuple[ModelSpec, ...]:
        """The models to serve, at least one."""
        return self.models if self.model is None else (self.model,)

    @property
    def enabled_providers(self) -> Mapping[str, Mapping[str, Any]]:
        """The providers that may be asked, with their tables."""
        return {name: table for name, table in self.providers.items() if table.get("enabled", True)}

    @property
    def provider_settings(self) -> Mapping[str, Mapping[str, Any]]:
        """The providers that may be asked, with what is their own of their tables."""
        return {
            name: {key: value for key, value in table.items() if key not in _OF_EVERY_PROVIDER}
            for name, table in self.enabled_providers.items()
        }


class LoadedSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A spec with where it came from."""

    spec: Spec
    path: Path
    digest: str
    """SHA-256 of the effective content, overrides and references applied."""
    overrides: tuple[str, ...] = ()
    """`key.path=value`, each in place of what the file says."""

    @property
    def folder(self) -> Path:
        """What relative paths in the spec are relative to."""
        return self.path.parent
