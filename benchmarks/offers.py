"""Prints what asking for offers costs, against doubles of the five clouds in processes of their own on this machine:

    python benchmarks/offers.py

cold and from the cache, in time and memory; beside a cloud that accepts and never answers; and how many offers a core reads
out of answers, checks and filters in a second. AWS: 20 regions with every GPU instance type of the EC2 capture (65, of
which 60 hold whole GPUs), three zones each, price list rows of the size of real ones. Nothing is asserted: wall-clock time
is of a machine that also runs the doubles; the processor's time is hetops' own.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

HETOPS = Path(sys.executable).with_name("hetops")
CLOUDS = ("aws", "gcp", "lambda", "runpod", "hyperbolic")
DEADLINE_SECONDS = 3.0
ROUNDS = 3


def main() -> None:
    """Prints one line for each way of asking."""
    print(f"bare interpreter: {_line(_timed([sys.executable, '-c', 'pass'], dict(os.environ)))}")
    with _doubles() as environment, tempfile.TemporaryDirectory() as folder:
        told = {"PATH": os.environ["PATH"], **environment, "HETOPS_STATE": f"{folder}/state", "HOME": folder}
        _print_offers("cold, five clouds (goal 5 s, 300 MB)", told, "--refresh")
        for _ in range(ROUNDS):
            _print_offers("from the cache (goal 0.4 s)", told)
        with _silent() as url:
            dead = {**told, "RUNPOD_API_URL": url, "HETOPS_STATE": f"{folder}/other"}
            _print_offers(
                f"cold, one of them silent, deadline {DEADLINE_SECONDS:g} s",
                dead,
                "--refresh",
                "--deadline",
                f"{DEADLINE_SECONDS:g}",
            )
        _print_throughput(environment)


def _print_offers(name: str, environment: Mapping[str, str], *options: str) -> None:
    timed = _timed([str(HETOPS), "offers", "--json", *options], environment, environment["HOME"])
    told = json.loads(timed.output)
    counted = f"{len(told['offers']):,} offers, {len(told['refused']):,} refused"
    print(f"{name}: {_line(timed)}; {counted}; {told['coverage'][:110]}")


def _print_throughput(environment: Mapping[str, str]) -> None:
    """AWS's answers kept in memory, then read as `hetops offers` reads them, on one core."""
    os.environ.update(environment)
    answers = _answers()
    best, offers = min(_read(answers) for _ in range(ROUNDS))
    print(
        f"read, checked and filtered: {offers / best:,.0f} offers a second and core (goal 10,000), of {offers:,}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What AWS said, as boto3 hands it over: descriptions of types, and by region zones, price list and spot history."""

    described: Sequence[Mapping[str, Any]]
    zones: Mapping[str, Mapping[str, tuple[str, ...]]]
    listed: Mapping[str, Sequence[str]]
    spot: Mapping[str, Sequence[Mapping[str, Any]]]
    at: datetime


def _answers() -> Answers:
    from hetops_aws import calls
    from hetops_aws.session import Session
    from hetops_aws.settings import read_settings

    session, now = Session(read_settings({}), seconds=30.0), datetime.now(UTC)
    pricing = session.client("pricing", "us-east-1")
    regions = calls.enabled_regions(session.client("ec2", "us-east-1"))
    zones = {r: calls.offered_types(session.client("ec2", r)) for r in regions}
    first = regions[0]
    return Answers(
        described=calls.described_types(session.client("ec2", first), list(zones[first])),
        zones=zones,
        listed={r: calls.price_list(pricing, r, list(zones[r])) for r in regions},
        spot={r: calls.spot_history(session.client("ec2", r), list(zones[r]), now) for r in regions},
        at=now,
    )


def _read(answers: Answers) -> tuple[float, int]:
    """Seconds of the processor, and how many offers came of it."""
    from hetops_aws.offers import Region, offers_of
    from hetops_aws.prices import read_price_list, read_spot_history
    from hetops_aws.shapes import read_shapes

    from hetops.catalog import tables
    from hetops.catalog.list_prices import list_prices
    from hetops.domain.offer import Offer
    from hetops.offers.select import OfferRules, select
    from hetops.plugin.soundness import sound_offer

    catalog = tables.load()
    listed, gpus = list_prices(catalog).offers, frozenset(g.name for g in catalog.gpu_types)
    began = time.process_time()
    shapes, _ = read_shapes(answers.described)
    regions = (
        Region(
            name=name,
            zones_of=zones,
            on_demand=read_price_list(answers.listed[name], name, answers.at),
            spot=read_spot_history(answers.spot[name], name),
        )
        for name, zones in answers.zones.items()
    )
    found = (thing for region in regions for thing in offers_of(region, shapes, answers.at))
    sound = [sound_offer("aws", thing, now=answers.at) for thing in found if isinstance(thing, Offer)]
    select(sound, OfferRules(), now=answers.at, gpus=gpus, list_prices=listed)
    return time.process_time() - began, len(sound)


# The clouds


@contextlib.contextmanager
def _doubles() -> Iterator[dict[str, str]]:
    """The doubles, answering until the block ends, and the environment that leads to them."""
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    processes = [context.Process(target=_serve, args=(cloud, told), daemon=True) for cloud in CLOUDS]
    for process in processes:
        process.start()
    try:
        environment: dict[str, str] = {}
        for _ in processes:
            environment |= told.get(timeout=60)
        yield {name: value for name, value in environment.items() if name != "PATH"}
    finally:
        for process in processes:
            process.terminate()
            process.join(timeout=10)


def _serve(cloud: str, told: Any) -> None:
    """One double, in its own process."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    double = _double(cloud)
    told.put(double.environment())
    double.serve_forever(poll_interval=0.01)


def _double(cloud: str) -> Any:
    if cloud == "aws":
        account = import_module("tests.doubles.aws_account")
        return import_module("tests.doubles.aws").AwsCloud(account.scenario("large"))
    if cloud == "gcp":
        module = import_module("tests.doubles.gcp")
        return module.Gcp(module.GcpScenario())
    module, name = {
        "lambda": ("lambda_cloud", "LambdaCloud"),
        "runpod": ("runpod", "RunPod"),
        "hyperbolic": ("hyperbolic", "Hyperbolic"),
    }[cloud]
    scenario = import_module("tests.doubles.fake_api").Scenario()
    return getattr(import_module(f"tests.doubles.{module}"), name)(scenario)


@contextlib.contextmanager
def _silent() -> Iterator[str]:
    """An address that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


# Measuring


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """What one process took and said."""

    seconds: float
    processor_seconds: float
    megabytes: float
    output: bytes


def _line(timed: Timed) -> str:
    seconds = f"{timed.seconds:.2f} s ({timed.processor_seconds:.2f} s of one processor)"
    return f"{seconds}, {timed.megabytes:.0f} MB at most"


def _timed(argv: list[str], environment: Mapping[str, str], folder: str = ".") -> Timed:
    """Runs one process."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(argv, env=environment, cwd=folder, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        output.seek(0)
        content = output.read()
    assert process.returncode == 0, f"{argv[0]} ended with {process.returncode}"
    return Timed(
        seconds=seconds,
        processor_seconds=usage.ru_utime + usage.ru_stime,
        megabytes=usage.ru_maxrss / 1024,
        output=content,
    )


if __name__ == "__main__":
    main()
