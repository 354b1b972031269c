"""What the emulated engine counts, and how it tells it: Prometheus text under vLLM's names. Pure; holds no clock.

Names and buckets are those of vLLM's `/metrics` (0.32).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

_TTFT_BUCKETS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0),
    *(2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
_GAP_BUCKETS = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0),
    *(2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
_REQUEST_BUCKETS = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0),
    *(50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)


@dataclass(slots=True)
class Histogram:
    """Counts of values by upper bound."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float, times: int = 1) -> None:
        """The value was seen so many times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What the engine is doing at the moment of a scrape."""

    running: int
    waiting: int
    kv_usage: float
    preemptions: int


@dataclass(slots=True)
class Metrics:
    """Everything counted since the start. Durations are engine seconds."""

    ttft: Histogram = field(default_factory=lambda: Histogram(_TTFT_BUCKETS))
    gap: Histogram = field(default_factory=lambda: Histogram(_GAP_BUCKETS))
    whole: Histogram = field(default_factory=lambda: Histogram(_REQUEST_BUCKETS))
    prompt_tokens: int = 0
    generation_tokens: int = 0
    finished: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("stop", "length", "abort"), 0))

    def text(self, model: str, gauges: Gauges) -> str:
        """The answer of /metrics."""
        return "\n".join(self._lines(f'engine="emulated",model_name="{_escaped(model)}"', gauges)) + "\n"

    def _lines(self, labels: str, gauges: Gauges) -> Iterator[str]:
        yield from _single("gauge", "vllm:num_requests_running", labels, gauges.running)
        yield from _single("gauge", "vllm:num_requests_waiting", labels, gauges.waiting)
        yield from _single("gauge", "vllm:kv_cache_usage_perc", labels, gauges.kv_usage)
        yield from _single("counter", "vllm:num_preemptions_total", labels, gauges.preemptions)
        yield from _single("counter", "vllm:prompt_tokens_total", labels, self.prompt_tokens)
        yield from _single("counter", "vllm:generation_tokens_total", labels, self.generation_tokens)
        yield "# TYPE vllm:request_success_total counter"
        for reason, count in self.finished.items():
            yield f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {count}'
        yield from _histogram("vllm:time_to_first_token_seconds", labels, self.ttft)
        yield from _histogram("vllm:inter_token_latency_seconds", labels, self.gap)
        yield from _histogram("vllm:e2e_request_latency_seconds", labels, self.whole)


def _single(kind: str, name: str, labels: str, value: float) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    yield f"{name}{{{labels}}} {value}"


def _histogram(name: str, labels: str, histogram: Histogram) -> Iterator[str]:
    yield f"# TYPE {name} histogram"
    count = 0
    for bound, here in zip((*histogram.bounds, "+Inf"), histogram.counts, strict=True):
        count += here
        yield f'{name}_bucket{{{labels},le="{bound}"}} {count}'
    yield f"{name}_sum{{{labels}}} {histogram.total}"
    yield f"{name}_count{{{labels}}} {count}"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
