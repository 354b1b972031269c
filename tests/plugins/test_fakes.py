"""The fakes run by themselves: by name of a scenario or by a file of one's own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hetops.domain.offer import AvailabilityState, Offer
from hetops.plugin import Surroundings
from tests.plugins.clouds import KINDS, query

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def standing_alone(cloud: str, scenario: str) -> Iterator[Surroundings]:
    """The fake in a process of its own, and the way to it that it tells."""
    command = (sys.executable, "-m", f"tests.doubles.{cloud}", "--scenario", scenario)
    lines = 3 if cloud == "lambda" else 4
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            told = [process.stdout.readline().strip().removeprefix("export ") for _ in range(lines)]
            variables = dict(line.split("=", 1) for line in told)
            yield Surroundings(environment={**os.environ, **variables})
        finally:
            process.terminate()


def offers(cloud: str, scenario: str) -> list[Offer]:
    """What the provider makes of the fake."""
    with standing_alone(cloud, scenario) as surroundings:
        found = asyncio.run(KINDS[cloud].provider(surroundings).fetch_offers(query()))
    return [thing for thing in found if isinstance(thing, Offer)]


@pytest.mark.parametrize("cloud", KINDS)
def test_a_fake_stands_alone_and_plays_a_scenario_by_name(cloud: str) -> None:
    found = offers(cloud, "sold_out")
    assert found
    assert {o.availability.state for o in found} == {AvailabilityState.NONE}


def test_a_fake_plays_a_scenario_of_a_file(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(
        '[prices]\ngpu_1x_a10 = 77\n\n[stock]\n"gpu_8x_b200_sxm6@us-west-1" = 2\n\n'
        '[[faults]]\nkind = "error_500"\npath = "/api/v1/instance-types"\n'
    )
    found = {(o.sku, o.region): str(o.usd_per_hour) for o in offers("lambda", str(scenario))}
    assert found["gpu_1x_a10", "us-west-1"] == "0.77"
    assert ("gpu_8x_b200_sxm6", "us-west-1") in found
