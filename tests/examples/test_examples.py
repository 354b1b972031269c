"""What the examples promise, in a fast form: their specs load, their plans come out, their READMEs name real commands."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from examples import demo
from hetops.cli.main import COMMANDS
from hetops.domain.performance import Measurement
from hetops.state import host, measurements
from tests.end_to_end.person import Person

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DEMO = ("quickstart", "rehearsal")
"""Those that `make demo` walks, each with a trace to replay."""
NAMES = (*DEMO, "two-models")


def copied(name: str, folder: Path) -> Person:
    """Somebody in a copy of an example, the traces beside it."""
    shutil.copytree(EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns(".hetops"))
    (folder / "traces").symlink_to(EXAMPLES / "traces")
    return Person(folder / name)


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_names_commands_and_options_that_there_are(name: str) -> None:
    readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    typed = [shlex.split(line)[1:] for line in re.findall(r"^    (hetops .*)$", readme, re.MULTILINE)]
    assert {words[0] for words in typed} <= set(COMMANDS)
    road = {"plan", "up", "replay", "down"} if name in DEMO else {"plan", "up", "simulate", "down"}
    assert road <= {words[0] for words in typed}


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_the_readme_takes_its_options(name: str, tmp_path: Path) -> None:
    readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    person = Person(tmp_path)
    for line in re.findall(r"^    hetops (.* --.*)$", readme, re.MULTILINE):
        done = person.hetops(*shlex.split(line))
        assert "no spec" in done.stderr, f"{line}: {done.stderr}"


def test_the_rehearsal_is_a_mixed_fleet_that_no_single_gpu_type_undercuts(tmp_path: Path) -> None:
    done = copied("rehearsal", tmp_path).hetops("plan", "--json")
    assert done.code == 0, done.stderr
    plan = done.document
    assert len({pool["offer"]["gpu"] for pool in plan["pools"]}) >= 2
    assert all(pool["offer"]["emulated"] for pool in plan["pools"])
    uniform = [a["usd_per_hour"] for a in plan["alternatives"] if a["description"].startswith("only ")]
    prices = [Decimal(price) for price in uniform if price is not None]
    assert prices
    assert min(prices) > Decimal(plan["usd_per_hour"])


def test_two_models_have_pools_of_their_own_and_share_a_node_where_it_may_be(tmp_path: Path) -> None:
    person = copied("two-models", tmp_path)
    fours = ("--set", 'offers.gpus=["L40S:4"]', "--set", "budget.usd_per_hour=30")
    apart, together = (
        person.hetops("plan", "--json", *fours, *more) for more in ((), ("--set", "policy.share_nodes=true"))
    )
    assert (apart.code, together.code) == (0, 0), apart.stderr + together.stderr
    served = {p["configuration"]["model"] for p in apart.document["pools"]}
    assert served == {"llama-3.1-8b", "qwen3-32b"}
    assert Decimal(apart.document["usd_per_hour"]) == 2 * Decimal(together.document["usd_per_hour"])


def test_with_figures_like_those_of_its_readme_the_quickstart_takes_unequal_pools(tmp_path: Path) -> None:
    """One place streams evenly, several places keep nobody waiting: figures of one machine, measured by hetops bench."""
    person = copied("quickstart", tmp_path)
    measurements.append(person.folder / ".hetops" / "measurements", list(_figures()))
    done = person.hetops("plan", "--json")
    assert done.code == 0, done.stderr
    places = sorted(pool["configuration"]["max_sequences"] for pool in done.document["pools"])
    assert len(places) == 2
    assert places[0] == 1 < places[1]
    assert {row["evidence"]["layer"] for row in done.document["performance"]} == {"measured"}


_ONE_THREAD = (
    # in, out, in flight, requests/s, TTFT, TPOT: one replica of two that ran at once
    (34, 10, 1, 4.09, 0.11, 0.0135),
    (188, 23, 1, 1.25, 0.52, 0.0126),
    (34, 10, 2, 2.92, 0.18, 0.0557),
    (188, 23, 2, 1.09, 0.58, 0.0569),
    (34, 10, 4, 3.49, 0.37, 0.0872),
    (188, 23, 4, 0.866, 0.76, 0.18),
)


def _figures() -> list[Measurement]:
    return [
        Measurement(
            configuration=f"gemma-3-270m/llamacpp/CPU/tp1/q4_k_m/s{places}",
            offer_sku="cpu-1",
            host=host.fingerprint(),
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            concurrency=in_flight,
            requests=10,
            requests_per_second=rate,
            ttft_seconds=(ttft,) * 4,
            tpot_seconds=(tpot,) * 4,
            measured_at="2026-11-24T12:00:00+00:00",
        )
        for places in (1, 2, 4, 8)
        for tokens_in, tokens_out, in_flight, rate, ttft, tpot in _ONE_THREAD
        if in_flight <= places
    ]


def test_the_demo_changes_one_line_of_its_copies(tmp_path: Path) -> None:
    for name in DEMO:
        stage = demo.stage(name, tmp_path)
        before = stage.spec.read_text(encoding="utf-8")
        stage.rescale(0.5, "half")
        after = stage.spec.read_text(encoding="utf-8")
        changed = [(a, b) for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]
        assert len(changed) == 1
        assert stage.answer("plan")["format"] in ("hetops.plan", "hetops.error")
        assert not (stage.folder / ".hetops").exists(), "its state is beside it"


def test_the_demo_eases_targets_and_rate_until_there_is_a_plan(tmp_path: Path) -> None:
    stage = demo.stage("rehearsal", tmp_path)
    text = stage.spec.read_text(encoding="utf-8").replace("ttft_seconds = 2.0", "ttft_seconds = 0.1")
    stage.spec.write_text(text, encoding="utf-8")
    assert stage.answer("plan")["exit_code"] == demo.INFEASIBLE
    demo.plan_within_reach(stage)
    assert stage.answer("plan")["format"] == "hetops.plan"
    eased = stage.spec.read_text(encoding="utf-8")
    assert float(eased.partition("ttft_seconds = ")[2].split()[0]) > 0.1
    assert float(eased.partition("rate_scale = ")[2].split()[0]) < 0.5


def test_the_demo_stretches_the_quickstart_by_what_a_thread_was_measured_to_answer(tmp_path: Path) -> None:
    stage = demo.stage("quickstart", tmp_path)
    before = stage.spec.read_text(encoding="utf-8")
    measurements.append(stage.state / "measurements", [m for m in _figures() if m.concurrency == 1])
    demo.stretch_to_machine(stage)
    assert stage.spec.read_text(encoding="utf-8") == before, "these are the figures that it was written on"
    slower = [replace(m, requests_per_second=m.requests_per_second / 2) for m in _figures()]
    measurements.append(stage.state / "measurements", slower)
    demo.stretch_to_machine(stage)
    after = stage.spec.read_text(encoding="utf-8")
    assert float(after.partition("rate_scale = ")[2].split()[0]) == pytest.approx(0.06, rel=0.06)
    assert float(after.partition("ttft_seconds = ")[2].split()[0]) == pytest.approx(0.48, rel=0.06)
