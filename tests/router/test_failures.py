"""Engines that refuse, break, hang and come back: what clients notice of it."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from hetops.router.config import Limits
from hetops.router.health import Fault
from hetops.router.watch import Orders
from tests.router.stand import (
    Asked,
    Client,
    Engine,
    answer,
    ask,
    chat,
    config,
    engines,
    get,
    request,
    running,
    until,
)


def cut(asked: Asked) -> bool:
    """Closes without a byte."""
    del asked
    return False


def cut_in_stream(asked: Asked) -> bool:
    """Closes after a token."""
    asked.begin_stream()
    asked.token("one")
    return False


def refuse(status: int) -> Callable[[Asked], None]:
    """Answers with an error."""
    return lambda asked: asked.json(status, {"error": {"message": "no"}})


def test_an_engine_that_is_not_there_costs_no_client_an_error() -> None:
    dead = Engine()
    dead.close()
    with engines(answer) as (alive,), running(config({"a": (dead.url,), "b": (alive.url,)})) as router:
        assert [ask(router)[0] for _ in range(10)] == [200] * 10
        assert router.in_flight == 0


def test_an_engine_that_takes_no_connection_in_time_is_not_waited_for() -> None:
    """Its queue of connections is full, so the kernel drops what knocks, as a machine does that is gone."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, contextlib.ExitStack() as stack:
        port = deaf.getsockname()[1]
        for _ in range(3):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(("127.0.0.1", port))
        (alive,) = stack.enter_context(engines(answer))
        of = config({"a": (f"http://127.0.0.1:{port}", alive.url)}, limits=Limits(connect_seconds=0.2))
        router = stack.enter_context(running(of))
        began = time.monotonic()
        assert [ask(router)[0] for _ in range(4)] == [200] * 4
        assert time.monotonic() - began < 5
        assert router.in_flight == 0


def test_an_engine_that_closes_without_a_byte_is_replaced_by_another() -> None:
    with engines(cut, answer) as (bad, good), running(config({"a": (bad.url,), "b": (good.url,)})) as router:
        assert [ask(router)[0] for _ in range(10)] == [200] * 10
        assert len(bad.asked) >= 3, "bad answers must come in a row before it is out"
        assert router.in_flight == 0


def test_a_head_without_a_body_is_no_first_byte() -> None:
    def head_only(asked: Asked) -> bool:
        asked.begin_stream()
        return False

    with engines(head_only, answer) as (bad, good), running(config({"a": (bad.url, good.url)})) as router:
        assert [ask(router, stream=True)[0] for _ in range(4)] == [200] * 4
    assert bad.asked


def test_after_the_first_byte_nothing_is_sent_again_and_the_client_is_told() -> None:
    with (
        engines(cut_in_stream, answer) as (bad, good),
        running(config({"a": (bad.url,), "b": (good.url,)}, {"a": 1.0, "b": 0.0})) as router,
        Client(router.port) as client,
    ):
        text = client.send(request(chat(stream=True))).rest()
        assert router.in_flight == 0
    assert b"one" in text
    assert b'"code":"engine_error"' in text
    assert b"[DONE]" not in text
    assert not text.endswith(b"0\r\n\r\n"), "nobody may take it for whole"
    assert good.asked == []


def test_a_whole_answer_that_breaks_off_is_cut_and_not_padded() -> None:
    def half(asked: Asked) -> bool:
        asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        return False

    with (
        engines(half) as (engine,),
        running(config({"a": (engine.url,)})) as router,
        Client(router.port) as client,
    ):
        head, _, body = client.send(request(chat())).rest().partition(b"\r\n\r\n")
    assert b"content-length: 100" in head or head == b"", "a reset may overtake what was sent"
    assert len(body) < 100


@pytest.mark.parametrize(
    ("status", "asked", "told"), [(503, 1, 200), (429, 1, 200), (500, 1, 500), (400, 1, 400)]
)
def test_only_an_engine_that_is_busy_sends_a_request_elsewhere(status: int, asked: int, told: int) -> None:
    with engines(refuse(status), answer) as (busy, free):
        shares = {"a": 1.0, "b": 0.0}
        with running(config({"a": (busy.url,), "b": (free.url,)}, shares)) as router:
            assert ask(router)[0] == told
    assert len(busy.asked) == asked
    assert len(free.asked) == (told == 200)


def test_an_engine_that_says_it_is_busy_is_not_taken_out_for_it() -> None:
    with engines(refuse(429)) as (busy,), running(config({"a": (busy.url,)})) as router:
        router.healthy()
        assert [ask(router)[0] for _ in range(8)] == [429] * 8
        assert router.do(lambda r: r.status().healthy)
    assert len(busy.asked) == 8


def test_busy_engines_are_not_asked_again_without_end() -> None:
    with engines(refuse(503), refuse(503)) as (a, b), running(config({"a": (a.url, b.url)})) as router:
        statuses = Counter(ask(router)[0] for _ in range(60))
    assert statuses == {503: 60}
    assert len(a.asked) + len(b.asked) < 60 * 1.5, "a tenth of all requests and a few at the start"


def test_without_any_engine_left_the_client_gets_a_bad_gateway_and_then_learns_to_wait() -> None:
    dead = Engine()
    dead.close()
    with running(config({"a": (dead.url,)})) as router:
        status, _, body = ask(router)
        assert status in (502, 503)
        until(lambda: not router.do(lambda r: r.status().healthy))
        status, headers, body = ask(router)
        assert (status, json.loads(body)["error"]["code"]) == (503, "no_healthy_endpoint")
        assert "retry-after" in headers
        assert get(router, "/health")[0] == 503
        assert router.in_flight == 0


def test_an_engine_that_comes_back_is_used_again_soon() -> None:
    dead = Engine()
    dead.close()
    with engines(answer) as (a,), running(config({"a": (a.url,), "b": (dead.url,)})) as router:
        assert [ask(router)[1]["x-hetops-pool"] for _ in range(4)] == ["a"] * 4
        began = time.monotonic()
        back = Engine(port=dead.port)
        until(lambda: ask(router)[1]["x-hetops-pool"] == "b")
        assert time.monotonic() - began < 8
        back.close()


def test_a_kept_connection_that_was_closed_meanwhile_costs_neither_an_error_nor_a_turn() -> None:
    def once(asked: Asked) -> bool:
        answer(asked)
        return False

    with (
        engines(once) as (engine,),
        running(config({"a": (engine.url,)})) as router,
        Client(router.port) as client,
    ):
        for _ in range(10):
            assert client.send(request(chat())).answer()[0] == 200
        assert router.do(lambda r: r.status().retries) == 0


def test_an_engine_that_talks_nonsense_is_no_answer() -> None:
    def nonsense(asked: Asked) -> bool:
        asked.send(b"SSH-2.0-OpenSSH_9.2\r\n")
        return False

    with engines(nonsense) as (engine,), running(config({"a": (engine.url,)})) as router:
        assert ask(router)[0] == 502
        assert router.in_flight == 0


def test_what_an_engine_says_unasked_is_never_taken_for_the_next_answer() -> None:
    def two(asked: Asked) -> None:
        answer(asked)
        asked.json(200, {"choices": "somebody else's"})

    with (
        engines(two) as (engine,),
        running(config({"a": (engine.url,)})) as router,
        Client(router.port) as client,
    ):
        for _ in range(5):
            assert b"somebody" not in client.send(request(chat())).answer()[2]
            time.sleep(0.01)


def test_an_answer_that_falls_silent_is_given_up() -> None:
    released = threading.Event()

    def silent(asked: Asked) -> bool:
        asked.begin_stream()
        asked.token("one")
        assert asked.gone()
        released.set()
        return False

    limits = Limits(silence_seconds=0.3)
    with (
        engines(silent) as (engine,),
        running(config({"a": (engine.url,)}, limits=limits)) as router,
        Client(router.port) as client,
    ):
        assert b'"code":"engine_error"' in client.send(request(chat(stream=True))).rest()
        assert released.wait(15)
        assert router.in_flight == 0


def test_requests_that_wait_for_a_dead_engines_first_byte_move_to_another() -> None:
    """The engine takes connections and answers nothing, as one that was stopped does."""
    hung = threading.Event()

    def hang(asked: Asked) -> bool:
        hung.set()
        asked.gone(20)
        return False

    with engines(hang, answer) as (bad, good):
        shares = {"a": 1.0, "b": 0.0}
        with (
            running(config({"a": (bad.url,), "b": (good.url,)}, shares)) as router,
            Client(router.port) as client,
        ):
            client.send(request(chat()))
            assert hung.wait(15)
            router.do(lambda r: [r._probed(bad.url, Fault.BROKEN) for _ in range(3)])
            status, headers, _ = client.answer()
    assert (status, headers["x-hetops-pool"]) == (200, "b")


def test_the_only_engine_is_waited_for_however_long_it_takes() -> None:
    go = threading.Event()

    def late(asked: Asked) -> None:
        assert go.wait(10)
        answer(asked)

    limits = Limits(silence_seconds=0.1)
    with (
        engines(late) as (engine,),
        running(config({"a": (engine.url,)}, limits=limits)) as router,
        Client(router.port) as client,
    ):
        client.send(request(chat()))
        until(lambda: engine.asked)
        router.do(lambda r: [r._probed(engine.url, Fault.BROKEN) for _ in range(3)])
        time.sleep(0.3)
        go.set()
        assert client.answer()[0] == 200


def test_a_changed_configuration_moves_new_requests_and_leaves_running_ones_alone() -> None:
    go = threading.Event()

    def slow(asked: Asked) -> None:
        asked.begin_stream()
        asked.token("one")
        assert go.wait(15)
        asked.token("two")
        asked.end_stream()

    with (
        engines(slow, answer) as (old, new),
        running(config({"a": (old.url,)})) as router,
        Client(router.port) as client,
    ):
        client.send(request(chat(stream=True)))
        client.until(b"one")
        router.do(lambda r: r.obey(Orders(config=config({"b": (new.url,)}), keys=None)))
        assert ask(router)[1]["x-hetops-pool"] == "b"
        assert router.do(lambda r: [p.name for p in r.status().pools]) == ["b"]
        go.set()
        assert b"two" in client.until(b"0\r\n\r\n")
        until(lambda: router.do(lambda r: not r.busy))


def test_a_router_that_is_stopped_tells_those_it_cuts_off() -> None:
    def endless(asked: Asked) -> bool:
        asked.begin_stream()
        asked.token("one")
        asked.gone()
        return False

    with (
        engines(endless) as (engine,),
        running(config({"a": (engine.url,)})) as router,
        Client(router.port) as client,
    ):
        client.send(request(chat(stream=True)))
        client.until(b"one")
        router.close()
        assert b"the router was stopped" in client.rest()


def all_at_once(client: Callable[[int], None], seeds: Iterable[int]) -> None:
    """Every client in a thread of its own, until the last one is done."""
    threads = [threading.Thread(target=client, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)


def test_whatever_clients_and_engines_do_every_request_ends_once(tmp_path: Path) -> None:
    """Nothing stays in flight, every request that was read leaves one observation, and the router still works."""
    dice = random.Random(7)
    file = tmp_path / "observations"

    def moody(asked: Asked) -> object:
        mood = dice.choice(
            ("answer", "answer", "stream", "stream", "cut", "cut in stream", "busy", "error", "slow")
        )
        if mood == "cut":
            return False
        if mood == "cut in stream":
            return cut_in_stream(asked)
        if mood in ("busy", "error"):
            return refuse(503 if mood == "busy" else 500)(asked)
        if mood == "slow":
            time.sleep(0.05)
        if mood != "stream":
            return answer(asked)
        asked.begin_stream()
        for _ in range(10):
            asked.token("x")
        return asked.end_stream()

    sent = Counter[str]()

    def client(seed: int) -> None:
        mine = random.Random(seed)
        with contextlib.suppress(OSError, AssertionError), Client(router.port) as one:
            for _ in range(mine.randrange(1, 4)):
                sent["requests"] += 1
                one.send(request(chat(stream=mine.random() < 0.5)))
                if mine.random() < 0.3:
                    time.sleep(mine.random() * 0.02)
                    return
                one.answer()

    dead = Engine()
    dead.close()
    with engines(moody, moody, moody) as (a, b, c):
        pools = {"a": (a.url, b.url), "b": (c.url, dead.url)}
        with running(config(pools, max_sequences=2, observations_file=str(file))) as router:
            for batch in range(10):
                all_at_once(client, range(batch * 100, batch * 100 + 12))
            until(lambda: router.do(lambda r: not r.busy and r.status().connections == 0))
            assert router.in_flight == 0
            outcomes = router.do(lambda r: r.status().outcomes)
            router.do(lambda r: r.tick())
            until(lambda: file.read_text().count("\n") == sum(outcomes.values()))
            a.script = b.script = c.script = answer
            until(lambda: ask(router)[0] == 200)
    # A client that leaves with its request may be gone before the request is read.
    assert 0 < sum(outcomes.values()) <= sent["requests"]
    assert {name for name, count in outcomes.items() if count} >= {"ok", "aborted", "engine_error"}
