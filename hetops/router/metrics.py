"""What a router counts, as Prometheus text. Pure: counts in, text out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hetops.router.config import RouterConfig
from hetops.router.health import Circuit
from hetops.router.status import Moment
from hetops.router.tally import Histogram, Spot, Tally

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def metrics(config: RouterConfig, tally: Tally, moment: Moment) -> str:
    """The answer of /metrics."""
    return "\n".join(_lines(config, tally, moment)) + "\n"


def _lines(config: RouterConfig, tally: Tally, moment: Moment) -> Iterator[str]:
    yield from _head("hetops_requests_total", "counter", "Requests that ended, by how.")
    for (name, pool), spot in tally.spots.items():
        for outcome, count in spot.outcomes.items():
            labels = {"class": name, "pool": pool, "outcome": outcome.value}
            yield _sample("hetops_requests_total", labels, count)
    yield from _head("hetops_outcomes_total", "counter", "All requests, those refused unread too.")
    for outcome, count in tally.outcomes.items():
        yield _sample("hetops_outcomes_total", {"outcome": outcome.value}, count)
    yield from _shares(config, tally)
    yield from _tokens(tally.spots)
    yield from _spreads(tally.spots)
    yield from _endpoints(moment)
    yield from _head(
        "hetops_spilled_total", "counter", "Requests that another pool took because theirs was full."
    )
    for name, count in tally.spills.items():
        yield _sample("hetops_spilled_total", {"class": name}, count)
    for name, kind, help_, value in (
        ("hetops_retries_total", "counter", "Requests sent again to another replica.", tally.retries),
        (
            "hetops_unknown_origins_total",
            "counter",
            "Requests that named an origin which no class has.",
            tally.unknown_origins,
        ),
        ("hetops_connections", "gauge", "Connections of clients.", moment.connections),
        (
            "hetops_observations_dropped_total",
            "counter",
            "Observations that could not be written.",
            moment.observations_dropped,
        ),
        ("hetops_warnings", "gauge", "Files that could not be read again.", len(moment.warnings)),
    ):
        yield from _head(name, kind, help_)
        yield _sample(name, {}, value)


def _shares(config: RouterConfig, tally: Tally) -> Iterator[str]:
    pairs = [(c.name, p.name) for c in config.classes for p in config.pools]
    yield from _head(
        "hetops_planned_share", "gauge", "Part of the class's requests that the plan sends to the pool."
    )
    for name, pool in pairs:
        labels = {"class": name, "pool": pool}
        yield _sample("hetops_planned_share", labels, config.shares[name].get(pool, 0.0))
    yield from _head("hetops_realised_share", "gauge", "Part of them that went there.")
    for name, pool in pairs:
        yield _sample(
            "hetops_realised_share", {"class": name, "pool": pool}, tally.realised_share(name, pool)
        )


def _tokens(spots: Mapping[tuple[str, str], Spot]) -> Iterator[str]:
    for name, help_ in (("input_tokens", "Tokens of prompts."), ("output_tokens", "Tokens of answers.")):
        yield from _head(f"hetops_{name}_total", "counter", help_)
        for (of, pool), spot in spots.items():
            yield _sample(f"hetops_{name}_total", {"class": of, "pool": pool}, getattr(spot, name))


def _spreads(spots: Mapping[tuple[str, str], Spot]) -> Iterator[str]:
    yield from _head("hetops_ttft_seconds", "histogram", "Time to the first token of a stream.")
    for (name, pool), spot in spots.items():
        yield from _histogram("hetops_ttft_seconds", {"class": name, "pool": pool}, spot.ttft)
    yield from _head("hetops_tpot_seconds", "histogram", "Mean time between the tokens of a stream.")
    for (name, pool), spot in spots.items():
        yield from _histogram("hetops_tpot_seconds", {"class": name, "pool": pool}, spot.tpot)


def _endpoints(moment: Moment) -> Iterator[str]:
    yield from _head("hetops_in_flight", "gauge", "Requests that a replica is working on.")
    for e in moment.endpoints:
        yield _sample("hetops_in_flight", {"pool": e.pool, "endpoint": e.url}, e.in_flight)
    yield from _head("hetops_endpoint_healthy", "gauge", "1 where a replica answers.")
    for e in moment.endpoints:
        healthy = int(e.circuit is Circuit.HEALTHY)
        yield _sample("hetops_endpoint_healthy", {"pool": e.pool, "endpoint": e.url}, healthy)


def _histogram(name: str, labels: Mapping[str, str], histogram: Histogram) -> Iterator[str]:
    count = 0
    for bound, here in zip((*histogram.bounds, "+Inf"), histogram.counts, strict=True):
        count += here
        yield _sample(f"{name}_bucket", {**labels, "le": str(bound)}, count)
    yield _sample(f"{name}_sum", labels, histogram.total)
    yield _sample(f"{name}_count", labels, count)


def _head(name: str, kind: str, help_: str) -> tuple[str, str]:
    return f"# HELP {name} {help_}", f"# TYPE {name} {kind}"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
