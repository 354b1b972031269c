"""The fakes of all five clouds run by themselves: by name of a scenario or by a file of one's own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hetops_gcp.provider import GcpProvider

from hetops.domain.offer import AvailabilityState, Offer
from hetops.plugin import Surroundings
from tests.cli.process import hetops, told
from tests.plugins.clouds import KINDS, query

ROOT = Path(__file__).parents[2]
MAKE = {"gcp": GcpProvider, **{name: kind.provider for name, kind in KINDS.items()}}
LAST = {
    "aws": "AWS_SHARED_CREDENTIALS_FILE",
    "gcp": "GOOGLE_CLOUD_PROJECT",
    "hyperbolic": "PATH",
    "lambda": "HETOPS_ROUTER_NETWORKS",
    "runpod": "HETOPS_RUNPOD_PUBLIC_PORTS",
}
"""The last variable that each fake tells."""


@contextlib.contextmanager
def standing_alone(cloud: str, scenario: str) -> Iterator[Mapping[str, str]]:
    """The fake in a process of its own, and the way to it that it tells."""
    command = (sys.executable, "-m", f"tests.doubles.{cloud}", "--scenario", scenario)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            variables: dict[str, str] = {}
            while LAST[cloud] not in variables:
                line = process.stdout.readline().strip()
                assert line, f"it ended after {list(variables)}"
                name, _, value = line.removeprefix("export ").partition("=")
                variables[name] = value
            yield variables
        finally:
            process.terminate()


def offers(cloud: str, scenario: str) -> list[Offer]:
    """What the provider makes of the fake."""
    with standing_alone(cloud, scenario) as variables:
        provider = MAKE[cloud](Surroundings(environment={**os.environ, **variables}))
        found = asyncio.run(provider.fetch_offers(query()))
    return [thing for thing in found if isinstance(thing, Offer)]


@pytest.mark.parametrize("cloud", KINDS)
def test_a_fake_stands_alone_and_plays_a_scenario_by_name(cloud: str) -> None:
    found = offers(cloud, "sold_out")
    assert found
    assert {o.availability.state for o in found} == {AvailabilityState.NONE}


@pytest.mark.parametrize("cloud", sorted(LAST))
def test_what_a_fake_tells_is_all_that_a_person_has_to_export(cloud: str, tmp_path: Path) -> None:
    with standing_alone(cloud, "plain") as variables:
        own = {**variables, "HETOPS_PLUGINS": cloud, "HOME": str(tmp_path)}
        listing = told(hetops(tmp_path, "offers", "--provider", cloud, "--json", variables=own))
    assert (cloud, "live") in {(s["provider"], s["state"]) for s in listing["sources"]}
    assert {o["offer"]["provider"] for o in listing["offers"]} == {cloud}


def test_a_fake_plays_a_scenario_of_a_file(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(
        '[prices]\ngpu_1x_a10 = 77\n\n[stock]\n"gpu_8x_b200_sxm6@us-west-1" = 2\n\n'
        '[[faults]]\nkind = "error_500"\npath = "/api/v1/instance-types"\n'
    )
    found = {(o.sku, o.region): str(o.usd_per_hour) for o in offers("lambda", str(scenario))}
    assert found["gpu_1x_a10", "us-west-1"] == "0.77"
    assert ("gpu_8x_b200_sxm6", "us-west-1") in found


@pytest.mark.parametrize("cloud", ["aws", "runpod"])
def test_a_scenario_that_is_none_is_told_with_those_that_there_are(cloud: str) -> None:
    command = (sys.executable, "-m", f"tests.doubles.{cloud}", "--scenario", "sunny")
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert "no scenario sunny: " in run.stderr
    assert "there are plain, " in run.stderr
    assert "Traceback" not in run.stderr
