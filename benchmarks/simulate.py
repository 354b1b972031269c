"""What a simulation costs: requests a minute on one core, and memory. Prints, tests nothing.

    python benchmarks/simulate.py [TRACE ...]

Each trace is played whole, at 0.5 to 1.3 times its rate, through a fleet of two pools made for its own rate, whose step times
are those of an 8B model on an L40S and an H100: as recorded, with a zone lost and a tenfold burst, and with prompts on the H100s alone and
answers on the L40S alone. CPU is the process's.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from hetops.app.virtual_fleet import endpoints, playing
from hetops.app.virtual_router import Trial, handed
from hetops.domain.configuration import Role
from hetops.domain.performance import StepTimes
from hetops.domain.workload import LatencyTarget, WorkloadClass
from hetops.performance.roles import role_times
from hetops.router.config import RoutedClass, RoutedPool, RouterConfig
from hetops.simulate import arrivals as coming
from hetops.simulate.arrivals import Arrivals
from hetops.simulate.faults import Burst, Lose
from hetops.simulate.fleet import VirtualFleet, VirtualPool
from hetops.simulate.replay import Scenario
from hetops.simulate.timeline import changes
from hetops.workloads.classes import cluster
from hetops.workloads.reader import read_trace
from hetops.workloads.trace import Trace, scale

TRACES = Path(__file__).parents[1] / "examples" / "traces"
TARGET = LatencyTarget(ttft_seconds=2.0, tpot_seconds=0.08)
BUSY_TOKENS_PER_SECOND = 12_000
"""Input and output, of one L40S with its places full, about."""


def step_times(memory_seconds: float, compute_tokens_per_second: float, kv_capacity_tokens: int) -> StepTimes:
    """An 8B model in FP8 on one GPU."""
    return StepTimes(
        weights_seconds=memory_seconds,
        compute_seconds_per_sequence=1 / compute_tokens_per_second,
        kv_seconds_per_token=memory_seconds / 65_000,
        overhead_seconds=0.002,
        prefill_seconds_per_token=1 / compute_tokens_per_second,
        prefill_seconds_per_token_squared=1e-10,
        kv_capacity_tokens=kv_capacity_tokens,
        max_sequences=256,
        prefill_interference=0.29,
    )


L40S = step_times(0.0105, 15_000, 260_000)
H100 = step_times(0.0027, 45_000, 480_000)


def fleet(tokens_per_second: float) -> VirtualFleet:
    """Nodes enough for so many tokens a second, half the work on each GPU type."""
    nodes = max(1, round(tokens_per_second / 2 / BUSY_TOKENS_PER_SECOND))
    fast = max(1, round(nodes / 3))
    pools = (("l40s", L40S, nodes, "a"), ("h100", H100, fast, "b"))
    return VirtualFleet(
        [
            VirtualPool(name=name, step_times=times, max_context_tokens=200_000, nodes=count, zone=zone)
            for name, times, count, zone in pools
        ]
    )


def trial(trace: Trace, arrivals: Arrivals, *faults: Lose | Burst) -> Trial:
    """Arrivals of a trace through the fleet made for it as it was recorded, with the shares spread evenly."""
    tokens = float(trace.input_tokens.sum() + trace.output_tokens.sum())
    made = fleet(tokens / trace.seconds)
    classes = cluster(trace, count=4, periods=1, target=TARGET).classes
    for fault in faults:
        if isinstance(fault, Burst):
            arrivals = coming.burst(arrivals, fault, np.random.default_rng(0))
    return Trial(
        scenario=Scenario(
            fleet=made,
            arrivals=arrivals,
            changes=changes(made, faults, arrivals.seconds, np.random.default_rng(0)),
        ),
        config=config(made, classes),
        classes=classes,
    )


def apart(trace: Trace, arrivals: Arrivals) -> Trial:
    """The same with prefill and decode apart: a KV cache of 128 KiB a token goes over a link of 10 GB/s."""
    whole = trial(trace, arrivals)
    slow, fast = (
        replace(one, step_times=role_times(one.step_times, role), role=role)
        for one, role in zip(whole.scenario.fleet.pools, (Role.DECODE, Role.PREFILL), strict=True)
        if isinstance(one, VirtualPool)
    )
    made = VirtualFleet([slow, replace(fast, kv_seconds_per_token=131_072 / 10e9)])
    slow_routed, fast_routed = whole.config.pools
    onward = tuple(replace(c, name=handed(c.name, fast.name)) for c in whole.config.classes)
    return replace(
        whole,
        scenario=Scenario(fleet=made, arrivals=arrivals),
        config=replace(
            whole.config,
            pools=(fast_routed,),
            shares={c.name: {fast.name: 1.0} for c in whole.config.classes},
        ),
        onward=replace(
            whole.config,
            classes=onward,
            pools=(slow_routed,),
            shares={c.name: {slow.name: 1.0} for c in onward},
        ),
    )


def config(made: VirtualFleet, classes: tuple[WorkloadClass, ...]) -> RouterConfig:
    """Every class on both pools."""
    urls = endpoints(made)
    return RouterConfig(
        deployment="benchmark",
        models=("m",),
        classes=tuple(
            RoutedClass(name=c.name, input_tokens=c.input_tokens.p50, output_tokens=c.output_tokens.p50)
            for c in classes
        ),
        pools=tuple(
            RoutedPool(
                name=p.name,
                configuration=p.name,
                gpu=p.name,
                endpoints=urls[p.name],
                max_sequences=256,
                max_context_tokens=p.longest,
            )
            for p in made.pools
        ),
        shares={c.name: {"l40s": 0.5, "h100": 0.5} for c in classes},
    )


def trials(path: Path) -> Iterator[tuple[str, Trial]]:
    """What is played of a trace."""
    recorded = read_trace(path)
    for speed in (0.5, 1.0, 1.3):
        trace = scale(recorded, rate=speed)
        yield f"as recorded, speed {speed:g}", trial(recorded, arrivals_of(trace))
    faults = (Lose(zone="a", at_seconds=300.0, for_seconds=300.0), Burst(at_seconds=1200.0, factor=10.0))
    yield "a zone lost, a tenfold burst", trial(recorded, arrivals_of(recorded), *faults)
    yield "prefill and decode apart", apart(recorded, arrivals_of(recorded))


def arrivals_of(trace: Trace) -> Arrivals:
    """The trace as what comes."""
    return Arrivals(
        at_seconds=trace.at_seconds,
        input_tokens=trace.input_tokens.astype(np.int64),
        output_tokens=trace.output_tokens.astype(np.int64),
        seconds=trace.seconds,
    )


def main() -> None:
    """Prints one line a trial."""
    paths = [Path(name) for name in sys.argv[1:]] or sorted(TRACES.glob("*.csv"))
    print(
        f"{'trace':28} {'played':30} {'requests':>9} {'in flight':>9} {'CPU s':>6} {'requests a minute':>17} {'MB':>5}"
    )
    for path in paths:
        for what, one in trials(path):
            play = playing(one)
            began = time.process_time()
            for _ in play.progress():
                pass
            seconds = time.process_time() - began
            count = len(one.scenario.arrivals)
            in_flight = sum(play.record.in_flight_seconds) / play.record.now / one.scenario.fleet.replicas
            megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{path.stem:28} {what:30} {count:9,} {in_flight:9.1f} {seconds:6.2f}"
                f" {count / seconds * 60:17,.0f} {megabytes:5.0f}"
            )


if __name__ == "__main__":
    main()
