"""Requests through a router over real sockets: answers, streams, slow and vanished clients, observations."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hetops.domain.observation import Outcome
from hetops.router.auth import parse_keys
from tests.router.stand import (
    CHAT,
    MODEL,
    Asked,
    Client,
    answer,
    ask,
    chat,
    config,
    engines,
    get,
    request,
    running,
    until,
    with_keys,
)


def tokens(*texts: str, pause: float = 0.0) -> Any:
    """A script that streams some tokens and then the usage, if it is asked for."""

    def script(asked: Asked) -> None:
        asked.begin_stream()
        for text in texts:
            asked.token(text)
            time.sleep(pause)
        if json.loads(asked.body).get("stream_options", {}).get("include_usage"):
            asked.event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": len(texts)}})
        asked.end_stream()

    return script


def observations(path: Path) -> list[dict[str, Any]]:
    """What stands in a file of observations."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_whole_answer_comes_back_with_the_pool_that_gave_it() -> None:
    with engines(answer) as (engine,), running(config({"a": (engine.url,)})) as router:
        status, headers, body = ask(router)
    assert status == 200
    assert json.loads(body)["usage"]["completion_tokens"] == 3
    assert (headers["x-hetops-pool"], headers["x-hetops-class"]) == ("a", "chat")
    assert engine.asked[0].path == CHAT
    assert json.loads(engine.asked[0].body) == chat()


def test_a_stream_arrives_token_by_token_and_without_a_usage_event_nobody_asked_for() -> None:
    go = threading.Event()

    def rest(asked: Asked) -> None:
        asked.begin_stream()
        asked.token("one")
        assert go.wait(15)
        asked.token("two")
        asked.event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}})
        asked.end_stream()

    with (
        engines(rest) as (engine,),
        running(config({"a": (engine.url,)})) as router,
        Client(router.port) as client,
    ):
        client.send(request(chat(stream=True)))
        assert b"chunked" in client.until(b"\r\n\r\n")
        assert b"one" in client.until(b"\n\n")
        go.set()
        body = client.until(b"0\r\n\r\n")
    assert b"two" in body
    assert b"[DONE]" in body
    assert b"usage" not in body
    assert json.loads(engine.asked[0].body)["stream_options"] == {"include_usage": True}


def test_a_client_that_asks_for_the_usage_gets_it() -> None:
    with engines(tokens("one")) as (engine,), running(config({"a": (engine.url,)})) as router:
        _, _, body = ask(router, stream=True, stream_options={"include_usage": True})
    assert b'"completion_tokens": 1' in body


def test_shares_are_those_of_the_plan() -> None:
    with engines(answer, answer) as (a, b):
        shares = {"a": 0.75, "b": 0.25}
        with running(config({"a": (a.url,), "b": (b.url,)}, shares)) as router, Client(router.port) as client:
            for number in range(1, 41):
                client.send(request(chat())).answer()
                assert abs(len(a.asked) - 0.75 * number) <= 1
            status = json.loads(get(router, "/hetops/status")[2])
    told = {p["name"]: p["shares"][0] for p in status["pools"]}
    assert (told["a"]["requests"], told["a"]["realised_share"]) == (30, 0.75)
    assert told["b"]["planned_share"] == 0.25


def test_connections_are_kept_on_both_sides_and_several_requests_may_wait_in_line() -> None:
    with (
        engines(answer) as (engine,),
        running(config({"a": (engine.url,)})) as router,
        Client(router.port) as client,
    ):
        router.healthy()
        client.send(b"".join(request(chat(str(n))) for n in range(4)))
        assert [client.answer()[0] for _ in range(4)] == [200] * 4
        texts = [json.loads(a.body)["messages"][0]["content"] for a in engine.asked]
        assert texts == ["0", "1", "2", "3"]
        assert engine.connections == 1


def test_a_chunked_request_is_forwarded_whole() -> None:
    body = json.dumps(chat()).encode()
    parts = b"".join(b"%x\r\n%b\r\n" % (1, body[i : i + 1]) for i in range(len(body))) + b"0\r\n\r\n"
    with (
        engines(answer) as (engine,),
        running(config({"a": (engine.url,)})) as router,
        Client(router.port) as client,
    ):
        head = f"POST {CHAT} HTTP/1.1\r\nhost: r\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        assert client.send(head + parts).answer()[0] == 200
    assert engine.asked[0].body == body
    assert engine.asked[0].headers["content-length"] == str(len(body))


def test_an_old_client_gets_a_stream_that_ends_with_the_connection() -> None:
    with (
        engines(tokens("one", "two")) as (engine,),
        running(config({"a": (engine.url,)})) as router,
        Client(router.port) as client,
    ):
        client.send(request(chat(stream=True), "connection: keep-alive", version="1.0"))
        head, _, body = client.rest().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body.startswith(b"data: ")
    assert body.endswith(b"data: [DONE]\n\n")


def test_an_old_client_may_keep_its_connection_for_whole_answers() -> None:
    with (
        engines(answer) as (engine,),
        running(config({"a": (engine.url,)})) as router,
        Client(router.port) as client,
    ):
        for _ in range(2):
            status, headers, _ = client.send(
                request(chat(), "connection: keep-alive", version="1.0")
            ).answer()
            assert (status, headers["connection"]) == (200, "keep-alive")


def test_a_client_that_waits_for_permission_gets_it_and_one_that_is_refused_does_not() -> None:
    body = json.dumps(chat()).encode()
    head = f"POST %s HTTP/1.1\r\nhost: r\r\ncontent-length: {len(body)}\r\nexpect: 100-continue\r\n\r\n"
    with engines(answer) as (engine,), running(config({"a": (engine.url,)})) as router:
        with Client(router.port) as client:
            client.send((head % CHAT).encode())
            assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
            assert client.send(body).answer()[0] == 200
        with Client(router.port) as client:
            assert client.send((head % "/nowhere").encode()).rest().startswith(b"HTTP/1.1 404 ")


def test_the_clients_key_opens_the_router_and_goes_no_further() -> None:
    with engines(answer) as (engine,):
        orders = with_keys(config({"a": (engine.url,)}), parse_keys("sk-good\nsk-other"))
        with running(orders) as router:
            status, headers, body = ask(router, "authorization: Bearer sk-bad")
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
            assert json.loads(body)["error"]["code"] == "invalid_api_key"
            assert ask(router)[0] == 401
            for path in ("/v1/models", "/metrics", "/hetops/status"):
                assert get(router, path)[0] == 401
            assert engine.asked == []
            assert ask(router, "authorization: Bearer sk-other")[0] == 200
            assert get(router.healthy(), "/health")[0] == 200, "who watches over it has no key"
    assert "authorization" not in engine.asked[0].headers
    assert "sk-other" not in engine.asked[0].head


def test_models_are_those_of_the_configuration() -> None:
    with running(config({"a": ()})) as router:
        listed = json.loads(get(router, "/v1/models")[2])
        assert [m["id"] for m in listed["data"]] == [MODEL]
        assert json.loads(get(router, f"/v1/models/{MODEL}")[2])["id"] == MODEL
        assert get(router, "/v1/models/other")[0] == 404
        assert get(router, "/nowhere")[0] == 404
        assert get(router, CHAT)[0] == 405


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"model": "other"}, 404, "model_not_found"),
        ({"model": None}, 400, "missing_model"),
    ],
)
def test_what_cannot_be_served_is_refused_and_the_connection_lives_on(
    change: dict[str, Any], status: int, code: str
) -> None:
    with (
        engines(answer) as (engine,),
        running(config({"a": (engine.url,)})) as router,
        Client(router.port) as client,
    ):
        told, _, body = client.send(request({**chat(), **change})).answer()
        assert (told, json.loads(body)["error"]["code"]) == (status, code)
        assert client.send(request(chat())).answer()[0] == 200


def test_a_router_without_endpoints_says_when_to_come_back() -> None:
    with running(config({"a": ()})) as router:
        status, headers, body = ask(router)
        assert (status, headers["retry-after"]) == (503, "2")
        assert json.loads(body)["error"]["code"] == "no_endpoint"
        assert get(router, "/health")[0] == 503


def test_a_class_can_be_named_and_must_exist() -> None:
    with engines(answer) as (engine,), running(config({"a": (engine.url,)})) as router:
        assert ask(router, "x-hetops-class: chat")[0] == 200
        status, _, body = ask(router, "x-hetops-class: cha")
    assert status == 400
    assert "known are chat" in json.loads(body)["error"]["message"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_frees_the_engine_at_once(stream: bool, tmp_path: Path) -> None:
    took: list[float] = []

    def script(asked: Asked) -> bool:
        if stream:
            asked.begin_stream()
            asked.token("one")
        began.set()
        left.wait(15)
        start = time.monotonic()
        assert asked.gone()
        took.append(time.monotonic() - start)
        return False

    began, left, file = threading.Event(), threading.Event(), tmp_path / "observations"
    with (
        engines(script) as (engine,),
        running(config({"a": (engine.url,)}, observations_file=str(file))) as router,
    ):
        with Client(router.port) as client:
            client.send(request(chat(stream=stream)))
            assert began.wait(15)
            if stream:
                client.until(b"one")
        left.set()
        until(lambda: took)
        until(lambda: router.in_flight == 0)
        assert took[0] < 10
        until(lambda: observations(file))
    (seen,) = observations(file)
    assert seen["outcome"] == Outcome.ABORTED
    assert seen["status"] == (200 if stream else 499)


def test_a_client_that_leaves_at_the_last_event_has_got_its_answer() -> None:
    def without_end(asked: Asked) -> bool:
        asked.begin_stream()
        asked.token("one")
        asked.event(b"[DONE]")
        assert asked.gone()
        return False

    with engines(without_end) as (engine,), running(config({"a": (engine.url,)})) as router:
        with Client(router.port) as client:
            client.send(request(chat(stream=True))).until(b"[DONE]")
        until(lambda: router.in_flight == 0)
        assert router.do(lambda r: r.status().outcomes)["ok"] == 1


def test_a_client_that_goes_away_before_the_engine_took_the_connection_leaves_nothing_behind() -> None:
    with engines(answer) as (engine,), running(config({"a": (engine.url,)})) as router:
        for _ in range(20):
            with Client(router.port) as client:
                client.send(request(chat()))
        until(lambda: router.in_flight == 0)
        assert ask(router)[0] == 200


def test_an_engine_is_not_read_faster_than_the_client_reads() -> None:
    """A client that takes nothing: the engine can push a bounded amount, and goes on once the client does."""
    part = b"data: " + b"x" * 65530 + b"\n\n"
    pushed = [0]
    whole = 64 << 20

    def script(asked: Asked) -> None:
        asked.begin_stream()
        while pushed[0] < whole:
            asked.send(b"%x\r\n%b\r\n" % (len(part), part))
            pushed[0] += len(part)
        asked.end_stream()

    def stuck() -> bool:
        before = pushed[0]
        time.sleep(0.2)
        return 0 < pushed[0] == before

    with (
        engines(script) as (engine,),
        running(config({"a": (engine.url,)})) as router,
        Client(router.port) as client,
    ):
        client.send(request(chat(stream=True)))
        until(stuck, 10)
        assert pushed[0] < whole / 2, "what sockets hold, and next to nothing in the router"
        assert len(client.until(b"[DONE]")) > whole
        until(lambda: router.in_flight == 0)


def test_observations_say_what_was_measured(tmp_path: Path) -> None:
    file = tmp_path / "observations"
    with (
        engines(tokens("a", "b", "c", "d", pause=0.05)) as (engine,),
        running(config({"a": (engine.url,)}, observations_file=str(file))) as router,
    ):
        before = time.time()
        ask(router, stream=True)
        ask(router, model="other")
        until(lambda: len(observations(file)) == 2)
        whole = time.time() - before
    streamed, refused = observations(file)
    assert streamed["format"] == "hetops.observation"
    assert (streamed["input_tokens"], streamed["output_tokens"]) == (9, 4)
    assert (streamed["pool"], streamed["workload_class"], streamed["outcome"]) == ("a", "chat", "ok")
    assert before <= streamed["at"] <= time.time()
    assert streamed["ttft_seconds"] > 0
    assert streamed["tpot_seconds"] > 0.005
    assert whole > streamed["total_seconds"] >= streamed["ttft_seconds"] + 3 * streamed["tpot_seconds"]
    assert (refused["outcome"], refused["status"], refused["pool"]) == ("refused", 404, "")


def test_prompts_and_answers_are_in_no_observation(tmp_path: Path) -> None:
    file = tmp_path / "observations"
    with (
        engines(tokens("confidential")) as (engine,),
        running(config({"a": (engine.url,)}, observations_file=str(file))) as router,
    ):
        with Client(router.port) as client:
            client.send(request(chat("confidential", stream=True))).answer()
        until(lambda: observations(file))
    assert "confidential" not in file.read_text()


def test_observations_that_cannot_be_written_cost_no_request() -> None:
    with (
        engines(answer) as (engine,),
        running(config({"a": (engine.url,)}, observations_file="/dev/full")) as router,
    ):
        assert [ask(router)[0] for _ in range(3)] == [200] * 3
        until(lambda: router.do(lambda r: r.status().observations_dropped) == 3)
        assert any("cannot be written" in w for w in router.do(lambda r: r.status().warnings))
        assert "hetops_observations_dropped_total 3" in get(router, "/metrics")[2].decode()


def test_metrics_count_what_happened() -> None:
    with engines(tokens("a", "b")) as (engine,), running(config({"a": (engine.url,)})) as router:
        ask(router, stream=True)
        _, headers, body = get(router.healthy(), "/metrics")
    text = body.decode()
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        'hetops_requests_total{class="chat",pool="a",outcome="ok"} 1',
        'hetops_output_tokens_total{class="chat",pool="a"} 2',
        'hetops_realised_share{class="chat",pool="a"} 1.0',
        'hetops_ttft_seconds_count{class="chat",pool="a"} 1',
        f'hetops_endpoint_healthy{{pool="a",endpoint="{engine.url}"}} 1',
    ):
        assert line in text.splitlines()


def test_the_engines_refusal_is_passed_on_as_it_is() -> None:
    def script(asked: Asked) -> None:
        asked.json(400, {"error": {"code": "context_length_exceeded"}}, "x-engine: 1", "connection: x-engine")

    with engines(script) as (engine,), running(config({"a": (engine.url,)})) as router:
        status, headers, body = ask(router)
    assert (status, json.loads(body)["error"]["code"]) == (400, "context_length_exceeded")
    assert "x-engine" not in headers
