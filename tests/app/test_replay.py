"""A replay through a real router on emulated engines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.ports import free_port
from tests.end_to_end import specs
from tests.end_to_end.person import Person

SECONDS = 6


def spec(port: int, folder: Path) -> str:
    """A small emulated fleet, its classes made of a trace."""
    requests = [(i * 0.25, *((300, 50) if i % 4 else (600, 200))) for i in range(200)]
    lines = [json.dumps({"at_seconds": at, "input_tokens": i, "output_tokens": o}) for at, i, o in requests]
    (folder / "trace.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return f"""
[deployment]
name = "road"
[model]
name = "llama-3.1-8b"
[workload]
trace = "trace.jsonl"
class_count = 2
[targets]
ttft_seconds = 1.0
tpot_seconds = 0.08
[engine]
names = ["vllm"]
[engine.settings.emulator]
speed = 20
[providers.local]
emulate = true
[offers]
gpus = ["L4", "L40S"]
[router]
port = {port}
"""


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """Somebody whose engines are gone at the end."""
    person = Person(tmp_path)
    person.write(spec(free_port(), tmp_path))
    yield person
    assert person.hetops("down", "-y").code == 0
    assert person.processes == {}


@pytest.mark.road
def test_a_replay_sends_what_was_recorded_and_tells_planned_beside_measured(person: Person) -> None:
    assert person.hetops("up", "-y").code == 0
    done = person.hetops("replay", "--seconds", str(SECONDS), "--json")
    assert done.code == 0, done.stderr
    ledger = done.document
    assert ledger["emulated"] is True
    assert ledger["requests"] == pytest.approx(4 * SECONDS, abs=1)
    assert ledger["outcomes"] == {"ok": ledger["requests"]}
    for one in ledger["classes"]:
        assert one["requests_per_second"]["measured"] == pytest.approx(
            one["requests_per_second"]["planned"], rel=0.35
        )
        for figure in ("input_tokens", "output_tokens"):
            assert one[figure]["measured"] == pytest.approx(one[figure]["planned"], rel=0.2)
        shares = [share["measured"] for share in one["shares"].values()]
        assert sum(shares) == pytest.approx(1.0)
    assert ledger["usd_per_million_tokens"]["measured"] > 0
    assert "requests of trace.jsonl" in done.stderr
    independent = person.hetops("replay", "--seconds", "4", "--rate", "10", "--json").document
    assert 20 <= independent["requests"] <= 60
    text = person.hetops("replay", "--seconds", "2", "--start", "3").stdout
    assert "PLANNED  MEASURED" in text


def of_two_models(folder: Path, text: str) -> str:
    """The spec with another model, that every fourth request of its trace asks for."""
    rows = [json.loads(line) for line in (folder / "trace.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["model"] = "llama-3.1-8b" if row["output_tokens"] == 50 else "qwen3-0.6b"
    (folder / "trace.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    one = '[model]\nname = "llama-3.1-8b"\n'
    both = '[[models]]\nname = "llama-3.1-8b"\n[[models]]\nname = "qwen3-0.6b"\n'
    return text.replace(one, both).replace("class_count = 2", "class_count = 1")


@pytest.mark.slow
@pytest.mark.road
def test_a_replay_asks_for_the_model_that_each_request_was_for(person: Person, tmp_path: Path) -> None:
    text = (tmp_path / "hetops.toml").read_text(encoding="utf-8")
    person.write(of_two_models(tmp_path, text))
    assert person.hetops("up", "-y").code == 0
    done = person.hetops("replay", "--seconds", "4", "--json")
    assert done.code == 0, done.stderr
    ledger = done.document
    assert ledger["outcomes"] == {"ok": ledger["requests"]}
    rates = {
        one["name"].partition("/")[0]: one["requests_per_second"]["measured"] for one in ledger["classes"]
    }
    assert rates["llama-3.1-8b"] / rates["qwen3-0.6b"] == pytest.approx(3.0, rel=0.4)
    person.write(text)
    other = person.hetops("replay", "--seconds", "4")
    assert (other.code, other.stdout) == (1, "")
    assert "road serves llama-3.1-8b, qwen3-0.6b; the spec's requests ask for one model" in other.stderr


def test_a_replay_without_a_fleet_says_so(tmp_path: Path) -> None:
    person = Person(tmp_path)
    person.write(spec(1, tmp_path))
    done = person.hetops("replay")
    assert (done.code, done.stdout) == (1, "")
    assert "nothing is up" in done.stderr
    assert "hetops up" in done.stderr


def test_a_spec_that_states_its_classes_has_nothing_to_replay(tmp_path: Path) -> None:
    person = Person(tmp_path)
    person.write(specs.emulated(1))
    assert person.hetops("replay").code == 1
