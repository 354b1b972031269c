"""Services that are paid by the token, over real sockets: who is sent there, what they see, and what clients notice."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hetops.domain import codec
from hetops.router.config import RoutedPool, RoutedService, RouterConfig
from hetops.router.watch import Orders, read_orders
from tests.router.stand import (
    Asked,
    Engine,
    RunningRouter,
    answer,
    ask,
    config,
    engines,
    get,
    running,
    until,
)

KEY = "sk-of-the-account"
VARIABLE = "PAYGO_KEY"


def refuse(status: int) -> Callable[[Asked], None]:
    """Answers with an error."""
    return lambda asked: asked.json(status, {"error": {"message": "ask your operator"}})


def with_service(url: str, share: float, *own: str, **limits: Any) -> RouterConfig:
    """A pool of our own, where there is one, and a service with the rest of the share."""
    base = config({"own": own})
    service = RoutedPool(
        name="paygo",
        configuration="vendor/tiny",
        gpu="",
        endpoints=(f"{url}/v1",),
        max_sequences=0,
        max_context_tokens=8192,
        serves=("chat",),
        service=RoutedService(model="vendor/tiny", api_key_variable=VARIABLE, **limits),
    )
    pools = (*(base.pools if own else ()), service)
    shares = {"own": 1 - share, "paygo": share} if own else {"paygo": 1.0}
    return replace(base, pools=pools, shares={"chat": shares})


@contextmanager
def routing(of: RouterConfig) -> Iterator[RunningRouter]:
    """A router that has the key."""
    with running(Orders(config=of, keys=None, service_keys={VARIABLE: KEY})) as router:
        yield router.healthy(endpoints=1)


def pools(router: RunningRouter, count: int) -> Counter[tuple[int, str]]:
    """Status and pool of so many answers."""
    found = (ask(router)[:2] for _ in range(count))
    return Counter((status, headers.get("x-hetops-pool", "")) for status, headers in found)


def test_the_planned_share_goes_to_the_service() -> None:
    with (
        engines(answer, answer) as (own, service),
        routing(with_service(service.url, 0.25, own.url)) as router,
    ):
        router.healthy(endpoints=2)
        assert pools(router, 16) == {(200, "own"): 12, (200, "paygo"): 4}


def test_a_service_is_asked_with_our_key_for_its_own_model_and_sees_nothing_of_the_client() -> None:
    with engines(answer) as (service,), routing(with_service(service.url, 1.0)) as router:
        own = ("authorization: Bearer client", "cookie: c=1", "x-hetops-class: chat", "user-agent: theirs")
        status, _, _ = ask(router, *own, temperature=0.5)
        assert status == 200
    (asked,) = service.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers == {
        "host": asked.headers["host"],
        "content-type": "application/json",
        "accept": "*/*",
        "user-agent": "hetops",
        "content-length": str(len(asked.body)),
        "authorization": f"Bearer {KEY}",
    }
    body = json.loads(asked.body)
    assert (body["model"], body["temperature"]) == ("vendor/tiny", 0.5)


def test_a_client_sees_nothing_of_the_account() -> None:
    def chatty(asked: Asked) -> None:
        asked.json(200, {"choices": []}, "set-cookie: id=1", "openai-organization: acme", "retry-after: 3")

    with engines(chatty) as (service,), routing(with_service(service.url, 1.0)) as router:
        _, headers, _ = ask(router)
    assert set(headers) == {
        "content-type",
        "content-length",
        "retry-after",
        "x-hetops-class",
        "x-hetops-pool",
    }


def test_an_address_that_sells_two_models_is_two_endpoints_and_is_asked_for_each_by_its_name() -> None:
    with engines(answer) as (service,):
        (one,) = with_service(service.url, 1.0).pools
        both = tuple(
            replace(
                one,
                name=name,
                endpoints=(f"{service.url}/v1#{name}",),
                service=replace(one.service, model=f"vendor/{name}"),
            )
            for name in ("large", "small")
        )
        of = replace(
            with_service(service.url, 1.0), pools=both, shares={"chat": {"large": 0.25, "small": 0.75}}
        )
        with routing(of) as router:
            router.healthy(endpoints=2)
            assert pools(router, 8) == {(200, "large"): 2, (200, "small"): 6}
    assert {asked.path for asked in service.asked} == {"/v1/chat/completions"}
    assert Counter(json.loads(asked.body)["model"] for asked in service.asked) == {
        "vendor/large": 2,
        "vendor/small": 6,
    }
    with pytest.raises(ValueError, match="goes without user, query or fragment"):
        replace(one, endpoints=(f"{service.url}/v1#other",))


def test_streams_of_a_service_are_passed_on() -> None:
    def stream(asked: Asked) -> None:
        asked.begin_stream()
        for word in ("a", "b"):
            asked.token(word)
        asked.end_stream()

    with engines(stream) as (service,), routing(with_service(service.url, 1.0)) as router:
        status, _, body = ask(router, stream=True)
    assert status == 200
    assert body.count(b"data: ") == 3
    assert body.endswith(b"data: [DONE]\n\n")


def test_requests_spill_to_a_service_that_has_no_share_while_our_own_pool_is_full() -> None:
    release = threading.Event()

    def slow(asked: Asked) -> None:
        release.wait(15)
        answer(asked)

    with engines(slow, answer) as (own, service):
        full = with_service(service.url, 0.0, own.url)
        tight = replace(full, pools=(replace(full.pools[0], max_sequences=1), full.pools[1]))
        with routing(tight) as router:
            router.healthy(endpoints=2)
            waiting = [threading.Thread(target=ask, args=(router,)) for _ in range(5)]
            for one in waiting:
                one.start()
            until(lambda: router.in_flight == 5)
            assert pools(router, 3) == {(200, "paygo"): 3}
            release.set()
            for one in waiting:
                one.join(15)
            assert pools(router, 3) == {(200, "own"): 3}


def test_a_service_gets_no_more_than_it_takes_and_the_rest_goes_to_our_own_pool() -> None:
    with engines(answer, answer) as (own, service):
        of = with_service(service.url, 0.5, own.url, requests_per_minute=3)
        with routing(of) as router:
            router.healthy(endpoints=2)
            assert pools(router, 20) == {(200, "own"): 17, (200, "paygo"): 3}


def test_where_nothing_else_is_left_the_client_is_told_to_come_back() -> None:
    with (
        engines(answer) as (service,),
        routing(with_service(service.url, 1.0, requests_per_minute=2)) as router,
    ):
        assert pools(router, 2) == {(200, "paygo"): 2}
        status, headers, body = ask(router)
    assert status == 429
    assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"
    assert int(headers["retry-after"]) > 0


def test_a_service_that_pushes_back_is_left_alone_as_long_as_it_says() -> None:
    """Others may ask it with the same key: no client hears of it while a pool of our own can serve."""

    def busy(asked: Asked) -> None:
        asked.json(429, {"error": {"message": "slow down"}}, "retry-after: 60")

    with (
        engines(answer, busy) as (own, service),
        routing(with_service(service.url, 0.5, own.url)) as router,
    ):
        router.healthy(endpoints=2)
        assert pools(router, 60) == {(200, "own"): 60}
        assert len(service.asked) == 1


def test_tokens_count_as_told_by_the_answer_not_as_asked_for() -> None:
    """An answer of 10 tokens, of which 500 might have come: two would not fit into 900 a minute at once, nine can follow."""
    with (
        engines(answer) as (service,),
        routing(with_service(service.url, 1.0, tokens_per_minute=900)) as router,
    ):
        asked = [ask(router, max_tokens=500)[0] for _ in range(9)]
    assert asked == [200] * 9


@pytest.mark.parametrize("status", [307, 401, 402, 403, 404])
def test_what_a_service_says_to_our_key_no_client_hears(status: int) -> None:
    with (
        engines(answer, refuse(status)) as (own, service),
        routing(with_service(service.url, 0.5, own.url)) as router,
    ):
        router.healthy(endpoints=2)
        service.health = 503  # so that no probe brings it back
        assert pools(router, 12) == {(200, "own"): 12}
        assert 1 <= len(service.asked) <= 3
        states = {p.name: p.endpoints[0].health for p in router.do(lambda r: r.status()).pools}
        assert states["paygo"] == "failing"


def test_without_another_place_a_refused_key_is_an_error_of_the_engine() -> None:
    with engines(refuse(401)) as (service,), routing(with_service(service.url, 1.0)) as router:
        status, _, body = ask(router)
    assert status == 502
    assert b"operator" not in body


def test_a_service_that_is_gone_costs_no_client_an_error_and_comes_back() -> None:
    dead = Engine()
    dead.close()
    with engines(answer) as (own,), routing(with_service(dead.url, 0.5, own.url)) as router:
        assert pools(router, 8) == {(200, "own"): 8}
        back = Engine(port=dead.port)
        try:
            router.healthy(endpoints=2)
            assert pools(router, 4)[200, "paygo"] > 0
        finally:
            back.close()


def test_a_service_whose_key_is_missing_gets_nothing_and_that_is_said(tmp_path: Path) -> None:
    with engines(answer, answer) as (own, service):
        path = tmp_path / "router.json"
        path.write_bytes(codec.encode(with_service(service.url, 0.5, own.url)))
        for value in ("", "two words", "new\nline: header"):
            orders = read_orders(path, "127.0.0.1", {VARIABLE: value})
            (warning,) = orders.warnings
            assert VARIABLE in warning
            assert "new" not in warning
        with running(orders) as router:
            router.healthy(endpoints=1)
            assert pools(router, 4) == {(200, "own"): 4}
        assert service.asked == []
        assert read_orders(path, "127.0.0.1", {VARIABLE: KEY}).warnings == ()


def test_a_key_stands_in_no_status_no_metrics_and_no_text_of_the_orders(tmp_path: Path) -> None:
    path = tmp_path / "router.json"
    with engines(answer) as (service,):
        path.write_bytes(codec.encode(with_service(service.url, 1.0)))
        orders = read_orders(path, "127.0.0.1", {VARIABLE: KEY})
        assert orders.service_keys == {VARIABLE: KEY}
        assert KEY not in repr(orders)
        with running(orders) as router:
            for told in ("/hetops/status", "/metrics"):
                assert KEY.encode() not in get(router, told)[2]


def test_keys_go_over_https_alone_or_to_this_machine() -> None:
    with pytest.raises(ValueError, match="https"):
        with_service("http://api.example.com", 1.0)
