"""Two models on this machine: two real llama.cpp engines, each with a tiny model of its own, behind one real router."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles import tiny_gguf
from tests.doubles.ports import free_port
from tests.end_to_end.person import Person, ask

pytestmark = [pytest.mark.road, pytest.mark.slow]


def spec(port: int) -> str:
    """A little of each of two tiny models, on one core each."""
    return f"""
[deployment]
name = "road"

[[models]]
name = "red"
max_context_tokens = 512

[[models]]
name = "blue"
max_context_tokens = 512

[workload]
classes = [
    {{ name = "chat", model = "red", requests_per_second = 0.2, input_tokens = 40, output_tokens = 8 }},
    {{ name = "code", model = "blue", requests_per_second = 0.2, input_tokens = 40, output_tokens = 8 }},
]

[targets]
ttft_seconds = 5.0
tpot_seconds = 1.0

[engine]
names = ["llamacpp"]

[engine.settings.llamacpp.gguf]
red = "./red.gguf"
blue = "./blue.gguf"

[providers.local]
cores = 2

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


def test_two_models_come_up_and_each_answers_by_its_name_from_its_own_pool(person: Person) -> None:
    port = free_port()
    for seed, name in enumerate(("red", "blue")):
        tiny_gguf.write(person.folder / f"{name}.gguf", seed)
    person.write(spec(port))
    up = person.hetops("up", "-y", "--json")
    assert up.code == 0, up.stderr
    assert up.document["model"] == "red, blue"
    assert '"model": "red"' in up.document["curl"]
    pools = {model: probe["pool"] for model, probe in up.document["probes"].items()}
    assert sorted(pools.values()) == sorted(up.document["nodes"])
    key = Path(up.document["api_keys_file"]).read_text(encoding="utf-8").strip()
    url, answers = f"http://127.0.0.1:{port}", {}
    for model in ("red", "blue"):
        status, pool, body = ask(url, key, model=model, tokens=8)
        assert (status, pool, json.loads(body)["model"]) == (200, pools[model], model)
        answers[model] = json.loads(body)["choices"][0]["message"]["content"]
    assert answers["red"] != answers["blue"]
    status, _, body = ask(url, key, model="green", tokens=1)
    assert (status, json.loads(body)["error"]["code"]) == (404, "model_not_found")
    assert "there is red, blue" in json.loads(body)["error"]["message"]
    assert listed(port, key) == ["red", "blue"]
    assert person.hetops("diff", "--detailed-exitcode").code == 0
    status = person.hetops("status", "--json").document
    assert (status["health"], status["model"]) == ("healthy", "red, blue")
    assert {pool["model"]: pool["name"] for pool in status["pools"]} == pools


def listed(port: int, key: str) -> list[str]:
    """The models that the router lists."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})
    document = json.loads(connection.getresponse().read())
    connection.close()
    return [entry["id"] for entry in document["data"]]
