"""The real llama.cpp engine behind the driver: it serves, drains, dies and is missed; a model of random weights."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hetops_local.driver import LocalDriver
from hetops_local.engine import LlamaCpp

from hetops.catalog import tables
from hetops.errors import HetopsError
from hetops.plugin import ErrorKind, Launch, LaunchContext, Node, NodeState, ProviderError
from tests.doubles import plans, tiny_gguf
from tests.plugins.nodes import PATIENCE_SECONDS, driven, marked, pid_of, request, until

pytest.importorskip("xllamacpp")

MODEL = "tiny-llama"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole GGUF."""
    return tiny_gguf.write(tmp_path_factory.mktemp("weights") / "tiny.gguf")


def launch(weights: Path, *, slots: int = 2, **settings: float) -> Launch:
    """As the engine itself says that a replica is started."""
    configuration = replace(
        plans.configuration("CPU", max_sequences=slots),
        model=MODEL,
        engine="llamacpp",
        checkpoint=f"file:{weights}",
        max_context_tokens=4096,
    )
    pool = replace(plans.pool(), configuration=configuration)
    return LlamaCpp().launch(LaunchContext(pool=pool, deployment="test", settings=settings))


@pytest.fixture(scope="module")
def served(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One running node for the tests that leave it as it was."""
    with driven(tmp_path_factory.mktemp("state")) as driver:
        yield asyncio.run(driver.create(request("served", launch(weights))))


def body(**fields: object) -> dict[str, object]:
    return {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8} | fields


def test_it_serves_openais_api_under_the_name_of_the_model(served: Node) -> None:
    (endpoint,) = served.endpoints
    assert endpoint.startswith("http://127.0.0.1:")
    assert httpx.get(f"{endpoint}/v1/models").json()["data"][0]["id"] == MODEL
    answer = httpx.post(f"{endpoint}/v1/chat/completions", json=body(), timeout=PATIENCE_SECONDS).json()
    assert answer["usage"]["completion_tokens"] == 8
    assert answer["choices"][0]["message"]["content"]


def test_it_streams_tokens_and_ends_with_done(served: Node) -> None:
    url = f"{served.endpoints[0]}/v1/chat/completions"
    with httpx.stream("POST", url, json=body(stream=True), timeout=PATIENCE_SECONDS) as answer:
        events = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert "".join(json.loads(e)["choices"][0]["delta"].get("content") or "" for e in events[:-1])


def test_it_tells_its_slots_and_metrics(served: Node) -> None:
    assert len(httpx.get(f"{served.endpoints[0]}/slots").json()) == 2
    assert "llamacpp:requests_processing" in httpx.get(f"{served.endpoints[0]}/metrics").text


def test_a_running_stream_is_finished_before_its_node_is_deleted(weights: Path, tmp_path: Path) -> None:
    with driven(tmp_path) as driver:
        node = asyncio.run(driver.create(request("a", launch(weights))))
        deleting = threading.Thread(target=lambda: asyncio.run(driver.delete("a")))
        url = f"{node.endpoints[0]}/v1/chat/completions"
        asked = body(stream=True, max_tokens=1500, ignore_eos=True)
        with httpx.stream("POST", url, json=asked, timeout=PATIENCE_SECONDS) as answer:
            lines = answer.iter_lines()
            next(lines)
            deleting.start()
            rest = [line for line in lines if line.startswith("data: ")]
        deleting.join(PATIENCE_SECONDS)
        assert rest[-1] == "data: [DONE]"
        assert json.loads(rest[-2].removeprefix("data: "))["choices"][0]["finish_reason"] == "length"
        assert asyncio.run(driver.read("a")).state is NodeState.GONE
        assert marked(tmp_path) == ()


def test_a_drain_that_takes_too_long_is_cut(weights: Path, tmp_path: Path) -> None:
    with driven(tmp_path) as driver:
        node = asyncio.run(driver.create(request("a", launch(weights, drain_seconds=0.2))))
        url = f"{node.endpoints[0]}/v1/completions"
        asked = {"model": MODEL, "prompt": "hi", "max_tokens": 4000, "ignore_eos": True, "stream": True}
        with httpx.stream("POST", url, json=asked, timeout=PATIENCE_SECONDS) as answer:
            lines = answer.iter_lines()
            next(lines)
            asyncio.run(driver.delete("a"))
        assert asyncio.run(driver.read("a")).state is NodeState.GONE


def test_a_crash_is_seen_and_mended_by_the_next_create(weights: Path, tmp_path: Path) -> None:
    with driven(tmp_path) as driver:
        asyncio.run(driver.create(request("a", launch(weights))))
        os.kill(pid_of(tmp_path, "a"), signal.SIGSEGV)
        until(lambda: asyncio.run(driver.read("a")).state is NodeState.FAILED)
        message = asyncio.run(driver.read("a")).message
        assert message.startswith("its engine has died\n")
        assert "llama.cpp on http://127.0.0.1:" in message
        node = asyncio.run(driver.create(request("a", launch(weights))))
        assert httpx.get(f"{node.endpoints[0]}/health").status_code == 200


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file"),
        (b"GGUF\x03\0\0\0", "could not be loaded"),
        (b"hello", "could not be loaded"),
    ],
    ids=["missing", "cut off", "no GGUF"],
)
def test_weights_that_cannot_be_loaded_end_the_start_with_the_reason(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "broken.gguf"
    if content is not None:
        path.write_bytes(content)
    with driven(tmp_path) as driver:
        with pytest.raises(ProviderError) as caught:
            asyncio.run(driver.create(request("a", launch(path))))
        assert caught.value.kind is ErrorKind.INVALID
        assert said in "\n".join(caught.value.details)
        assert marked(tmp_path) == ()
        assert asyncio.run(LocalDriver(tmp_path).list("test")) == ()


def test_a_launch_says_threads_slots_and_context_and_holds_longer_than_the_drain(weights: Path) -> None:
    told = launch(weights, slots=4, drain_seconds=7.0, ready_seconds=11.0)
    words = dict(zip(told.argv[3::2], told.argv[4::2], strict=True))
    assert words["--threads"] == "1"
    assert (words["--slots"], words["--context"], words["--alias"]) == ("4", "4096", MODEL)
    assert (words["--drain-seconds"], told.ready_seconds) == ("7.0", 11.0)
    assert told.drain_seconds > 7.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"gguff": "x"}, "has no field 'gguff'"),
        ({"gguf": 7}, "gguf must be a path, not 7"),
        ({"gguf": ""}, "gguf must be a path"),
    ],
)
def test_a_file_that_cannot_be_is_named(settings: dict[str, object], said: str) -> None:
    with pytest.raises(HetopsError, match=said):
        LlamaCpp().checkpoints(tables.load().model(MODEL), settings)


@pytest.mark.parametrize("seconds", [0, -1, True, "5", float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["ready_seconds", "drain_seconds"])
def test_a_time_that_cannot_be_is_named(name: str, seconds: object) -> None:
    with pytest.raises(HetopsError, match=f"{name} must be a number of seconds above zero"):
        LlamaCpp().launch(LaunchContext(pool=plans.pool(), deployment="test", settings={name: seconds}))


def test_the_users_own_file_is_a_checkpoint_of_the_model(weights: Path) -> None:
    model = tables.load().model(MODEL)
    (checkpoint,) = LlamaCpp().checkpoints(model, {"gguf": str(weights)})
    assert (checkpoint.model, checkpoint.reference) == (MODEL, f"file:{weights}")
    assert checkpoint.precision == "fp32"
    assert checkpoint.gigabytes == pytest.approx(weights.stat().st_size / 1e9)
    assert LlamaCpp().checkpoints(model, {}) == ()
    assert LlamaCpp().model("mine", {}) is None
