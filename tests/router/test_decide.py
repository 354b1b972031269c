"""Where requests go: by the plan while all is well, and what corrects it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.router.config import RoutedClass, RoutedPool, RoutedService, RouterConfig
from hetops.router.decide import Choice, Dispatcher, Unroutable
from hetops.router.health import Fault


def pool(name: str, replicas: int = 1, **facts: object) -> RoutedPool:
    """A pool of some replicas."""
    known = {
        "name": name,
        "configuration": "c",
        "gpu": "L4",
        "endpoints": tuple(f"http://{name}-{i}:80" for i in range(replicas)),
        "max_sequences": 1000,
        "max_context_tokens": 8192,
        "serves": ("chat", "code"),
    }
    return RoutedPool(**{**known, **facts})  # type: ignore[arg-type]


def config(*pools: RoutedPool, **shares: dict[str, float]) -> RouterConfig:
    """Classes by the names of their shares."""
    return RouterConfig(
        deployment="d",
        models=("m",),
        classes=tuple(RoutedClass(name=name, input_tokens=100, output_tokens=10) for name in shares),
        pools=pools,
        shares=shares,
    )


def chosen(dispatcher: Dispatcher, workload_class: str = "chat", tokens: int = 100) -> Choice:
    """A choice that must be possible."""
    choice = dispatcher.choose(workload_class, tokens)
    assert isinstance(choice, Choice)
    return choice


def served(dispatcher: Dispatcher, count: int, workload_class: str = "chat") -> Counter[str]:
    """Requests by pool, each over before the next."""
    counts: Counter[str] = Counter()
    for _ in range(count):
        choice = chosen(dispatcher, workload_class)
        counts[choice.pool] += 1
        dispatcher.release(choice.endpoint)
    return counts


def states(dispatcher: Dispatcher) -> dict[str, int]:
    """Requests in flight by endpoint."""
    return {e.url: e.in_flight for e in dispatcher.endpoints()}


shares_of = st.lists(st.integers(0, 100), min_size=2, max_size=4).filter(any)


@given(shares_of, shares_of, st.lists(st.booleans(), min_size=50, max_size=400))
@settings(max_examples=40, deadline=None)
def test_every_class_keeps_within_one_request_of_its_shares_however_classes_alternate(
    chat: list[int], code: list[int], order: list[bool]
) -> None:
    size = max(len(chat), len(code))
    shares = {
        name: {f"p{i}": w / sum(of) for i, w in enumerate(of)}
        for name, of in (("chat", chat), ("code", code))
    }
    dispatcher = Dispatcher(config(*(pool(f"p{i}", replicas=2) for i in range(size)), **shares))
    counts: dict[str, Counter[str]] = {"chat": Counter(), "code": Counter()}
    for is_chat in order:
        name = "chat" if is_chat else "code"
        counts[name][chosen(dispatcher, name).pool] += 1
        total = counts[name].total()
        assert all(abs(counts[name][p] - s * total) <= 1 for p, s in shares[name].items())


def test_the_replica_with_the_fewest_requests_takes_the_next_and_ties_take_turns() -> None:
    dispatcher = Dispatcher(config(pool("a", replicas=3), chat={"a": 1.0}))
    first = [chosen(dispatcher).endpoint for _ in range(3)]
    assert len(set(first)) == 3
    dispatcher.release(first[1])
    assert chosen(dispatcher).endpoint == first[1]
    for endpoint in first:
        dispatcher.release(endpoint)
    served_by = []
    for _ in range(6):
        endpoint = chosen(dispatcher).endpoint
        served_by.append(endpoint)
        dispatcher.release(endpoint)
    assert Counter(served_by) == dict.fromkeys(first, 2)


def test_a_failing_pool_loses_its_turns_to_the_others_and_gets_them_back_after_a_probe() -> None:
    dispatcher = Dispatcher(config(pool("a"), pool("b"), chat={"a": 0.5, "b": 0.5}))
    dispatcher.failed("http://a-0:80", Fault.UNREACHABLE, 10.0)
    assert served(dispatcher, 20) == {"b": 20}
    dispatcher.probed("http://a-0:80", 11.0)
    assert served(dispatcher, 20)["a"] == pytest.approx(10, abs=1)


def test_a_pool_lives_on_its_healthy_replicas() -> None:
    dispatcher = Dispatcher(config(pool("a", replicas=2), pool("b"), chat={"a": 0.5, "b": 0.5}))
    dispatcher.failed("http://a-0:80", Fault.UNREACHABLE, 10.0)
    endpoints = {chosen(dispatcher).endpoint for _ in range(10)}
    assert endpoints == {"http://a-1:80", "http://b-0:80"}


def test_a_full_pool_gives_requests_to_the_emptiest_pool_that_serves_the_class() -> None:
    tight = pool("a", max_sequences=2)
    spare = [pool("b", max_sequences=10), pool("c", max_sequences=10, serves=("code",)), pool("d")]
    dispatcher = Dispatcher(config(tight, *spare, chat={"a": 1.0}, code={"b": 1.0}))
    assert [chosen(dispatcher, "code").pool for _ in range(5)] == ["b"] * 5
    assert [chosen(dispatcher).pool for _ in range(6)] == ["a"] * 6, "two at work, four waiting"
    spilled = chosen(dispatcher)
    assert (spilled.pool, spilled.planned, spilled.spilled) == ("d", "a", True)


def test_where_equally_empty_pools_could_help_out_the_cheaper_one_does() -> None:
    dear, cheap = pool("b", usd_per_hour=9), pool("c", usd_per_hour=2)
    dispatcher = Dispatcher(config(pool("a", max_sequences=1), dear, cheap, chat={"a": 1.0}))
    assert [chosen(dispatcher).pool for _ in range(6)] == ["a"] * 5 + ["c"]


def test_where_all_are_full_the_planned_pool_queues_the_request() -> None:
    full = {"max_sequences": 1}
    dispatcher = Dispatcher(config(pool("a", **full), pool("b", **full), chat={"a": 1.0}))
    assert [chosen(dispatcher).pool for _ in range(8)] == ["a"] * 5 + ["b", "a", "a"]


def test_the_more_places_a_pool_has_the_more_may_wait() -> None:
    large = pool("a", max_sequences=100)
    dispatcher = Dispatcher(config(large, pool("b"), chat={"a": 1.0}))
    assert Counter(chosen(dispatcher).pool for _ in range(130)) == {"a": 125, "b": 5}


def test_a_spilled_request_has_had_its_turn() -> None:
    """Otherwise the pool that was full would be sent more than its share once it has room."""
    dispatcher = Dispatcher(config(pool("a", max_sequences=1), pool("b"), chat={"a": 0.5, "b": 0.5}))
    held = [chosen(dispatcher) for _ in range(21)]
    for choice in held:
        dispatcher.release(choice.endpoint)
    assert Counter(c.planned for c in held)["a"] == pytest.approx(10.5, abs=0.5)
    assert served(dispatcher, 10)["a"] == pytest.approx(5, abs=1)


def test_a_request_goes_where_its_context_fits() -> None:
    small, large = pool("small", max_context_tokens=1000), pool("large", max_context_tokens=9000)
    dispatcher = Dispatcher(config(small, large, chat={"small": 1.0}))
    assert chosen(dispatcher, tokens=1000).pool == "small"
    assert chosen(dispatcher, tokens=1001).pool == "large"
    assert chosen(dispatcher, tokens=99_999).pool == "large", "only an engine can count tokens exactly"


def test_a_draining_endpoint_gets_nothing_new() -> None:
    away = pool("a", replicas=2, draining=("http://a-0:80",))
    dispatcher = Dispatcher(config(away, chat={"a": 1.0}))
    assert {chosen(dispatcher).endpoint for _ in range(5)} == {"http://a-1:80"}


def test_a_retry_stays_in_the_pool_as_long_as_it_has_other_replicas() -> None:
    dispatcher = Dispatcher(config(pool("a", replicas=2), pool("b"), chat={"a": 1.0}))
    first = chosen(dispatcher)
    tried = {first.endpoint}
    second = dispatcher.choose_again(first, "chat", 100, tried)
    assert isinstance(second, Choice)
    assert second.pool == "a"
    assert second.endpoint != first.endpoint
    third = dispatcher.choose_again(first, "chat", 100, tried | {second.endpoint})
    assert isinstance(third, Choice)
    assert third.pool == "b"
    everything = tried | {second.endpoint, third.endpoint}
    assert dispatcher.choose_again(first, "chat", 100, everything) is Unroutable.NONE_LEFT


def test_what_cannot_be_routed_says_why() -> None:
    empty = pool("a", replicas=0)
    assert Dispatcher(config(empty, chat={"a": 1.0})).choose("chat", 1) is Unroutable.NO_ENDPOINTS
    dispatcher = Dispatcher(config(pool("a"), chat={"a": 1.0}))
    dispatcher.failed("http://a-0:80", Fault.UNREACHABLE, 0.0)
    assert dispatcher.choose("chat", 1) is Unroutable.NONE_HEALTHY


def test_a_class_is_never_sent_to_a_pool_that_does_not_serve_it() -> None:
    dispatcher = Dispatcher(config(pool("a"), pool("b", serves=("code",)), chat={"a": 1.0}, code={"b": 1.0}))
    dispatcher.failed("http://a-0:80", Fault.UNREACHABLE, 0.0)
    assert dispatcher.choose("chat", 1) is Unroutable.NONE_HEALTHY


def test_each_probe_is_asked_for_once() -> None:
    dispatcher = Dispatcher(config(pool("a", replicas=2), chat={"a": 1.0}))
    assert len(dispatcher.due_probes(0.0)) == 2
    assert dispatcher.due_probes(0.1) == ()
    dispatcher.probed("http://a-0:80", 0.2)
    assert dispatcher.due_probes(5.3) == ("http://a-0:80",)


def test_endpoints_that_stay_keep_their_health_and_those_that_go_finish_what_they_have() -> None:
    before = config(pool("a", replicas=3), chat={"a": 1.0})
    dispatcher = Dispatcher(before)
    dispatcher.failed("http://a-0:80", Fault.UNREACHABLE, 0.0)
    under_way = [chosen(dispatcher), chosen(dispatcher)]
    assert {c.endpoint for c in under_way} == {"http://a-1:80", "http://a-2:80"}
    kept = replace(before.pools[0], endpoints=("http://a-0:80", "http://a-1:80", "http://a-9:80"))
    assert dispatcher.reconfigure(replace(before, pools=(kept,))) == frozenset()
    assert states(dispatcher)["http://a-2:80"] == 1
    for choice in under_way:
        dispatcher.release(choice.endpoint)
    assert "http://a-2:80" not in states(dispatcher)
    assert {chosen(dispatcher).endpoint for _ in range(4)} == {"http://a-1:80", "http://a-9:80"}


def test_an_endpoint_that_comes_back_while_its_last_request_runs_is_the_same_one() -> None:
    before = config(pool("a"), chat={"a": 1.0})
    dispatcher = Dispatcher(before)
    choice = chosen(dispatcher)
    dispatcher.reconfigure(replace(before, pools=(replace(before.pools[0], endpoints=()),)))
    dispatcher.reconfigure(before)
    assert states(dispatcher) == {"http://a-0:80": 1}
    dispatcher.release(choice.endpoint)
    assert states(dispatcher) == {"http://a-0:80": 0}


def test_new_shares_begin_a_new_count_and_old_ones_go_on() -> None:
    pools = (pool("a"), pool("b"))
    dispatcher = Dispatcher(config(*pools, chat={"a": 1.0}, code={"a": 0.5, "b": 0.5}))
    changed = dispatcher.reconfigure(config(*pools, chat={"b": 1.0}, code={"a": 0.5, "b": 0.5}))
    assert changed == {"chat"}
    assert served(dispatcher, 3) == {"b": 3}


steps = st.lists(
    st.tuples(st.sampled_from(["choose", "release", "fail", "probe", "change"]), st.integers(0, 9)),
    max_size=80,
)


@given(steps)
@settings(max_examples=100, deadline=None)
def test_whatever_happens_in_flight_counts_are_those_of_the_requests_under_way(
    moves: list[tuple[str, int]],
) -> None:
    configs = [
        config(pool("a", replicas=n, max_sequences=2), pool("b"), chat={"a": 0.7, "b": 0.3})
        for n in (1, 2, 3)
    ]
    dispatcher = Dispatcher(configs[0])
    held: list[str] = []
    for at, (move, number) in enumerate(moves):
        urls = list(states(dispatcher))
        match move:
            case "choose":
                choice = dispatcher.choose("chat", 10)
                held += [choice.endpoint] if isinstance(choice, Choice) else []
            case "release" if held:
                dispatcher.release(held.pop(number % len(held)))
            case "fail":
                dispatcher.failed(urls[number % len(urls)], Fault.UNREACHABLE, float(at))
            case "probe":
                dispatcher.probed(urls[number % len(urls)], float(at))
            case "change":
                dispatcher.reconfigure(configs[number % 3])
        assert {u: n for u, n in states(dispatcher).items() if n} == Counter(held)


def service(name: str = "paygo", **limits: float) -> RoutedPool:
    """A service that takes both classes."""
    facts = {"gpu": "", "max_sequences": 0, "service": RoutedService(model="m", **limits)}
    return pool(name, **facts)


def test_a_service_is_given_no_more_in_a_minute_than_it_takes_and_makes_nothing_up_for_later() -> None:
    dispatcher = Dispatcher(config(pool("a"), service(requests_per_minute=5), chat={"a": 0.5, "paygo": 0.5}))
    assert served(dispatcher, 20) == {"a": 15, "paygo": 5}
    dispatcher.passed(59.9)
    assert served(dispatcher, 4) == {"a": 4}
    dispatcher.passed(60.0)
    assert served(dispatcher, 20) == {"a": 15, "paygo": 5}


def test_what_pools_of_our_own_can_take_is_never_spilled_to_a_service() -> None:
    own = (pool("a", max_sequences=1), pool("b", max_sequences=1, usd_per_hour=Decimal(9)))
    dispatcher = Dispatcher(config(*own, service(), chat={"a": 1.0}))
    taken = [chosen(dispatcher).pool for _ in range(8)]
    assert taken == [*["a"] * 5, "b", "paygo", "paygo"]


def test_a_dead_pool_s_requests_go_to_a_service_before_they_queue_in_a_full_pool() -> None:
    own = (pool("a"), pool("b", max_sequences=1, serves=("chat",)))
    dispatcher = Dispatcher(config(*own, service(requests_per_minute=1), chat={"a": 1.0}))
    dispatcher.failed("http://a-0:80", Fault.UNREACHABLE, 0.0)
    assert [chosen(dispatcher).pool for _ in range(4)] == ["b", "paygo", "b", "b"]


def test_where_only_services_are_left_and_take_no_more_that_is_told() -> None:
    dispatcher = Dispatcher(config(service(requests_per_minute=1), chat={"paygo": 1.0}))
    chosen(dispatcher)
    assert dispatcher.choose("chat", 1) is Unroutable.NONE_ALLOWED


def test_an_answer_s_tokens_are_settled_and_those_of_its_class_are_expected_until_then() -> None:
    dispatcher = Dispatcher(config(service(tokens_per_minute=150), chat={"paygo": 1.0}))
    choice = chosen(dispatcher, tokens=1)  # as long as its class is as a rule: 110 tokens
    assert dispatcher.choose("chat", 1) is Unroutable.NONE_ALLOWED
    dispatcher.settle(choice, 20)
    assert chosen(dispatcher, tokens=130).service


def test_another_configuration_forgets_nothing_of_what_a_service_was_given() -> None:
    before = config(service(requests_per_minute=2), chat={"paygo": 1.0})
    dispatcher = Dispatcher(before)
    chosen(dispatcher)
    dispatcher.reconfigure(config(pool("a"), *before.pools, chat={"paygo": 1.0}))
    assert chosen(dispatcher).pool == "paygo"
    assert chosen(dispatcher).pool == "a"


def test_a_service_is_probed_only_until_it_is_known_to_be_well() -> None:
    dispatcher = Dispatcher(config(pool("a"), service(), chat={"a": 0.5, "paygo": 0.5}))
    own, theirs = "http://a-0:80", "http://paygo-0:80"
    assert set(dispatcher.due_probes(0.0)) == {own, theirs}
    for url in (own, theirs):
        dispatcher.probed(url, 0.0)
    assert dispatcher.due_probes(100.0) == (own,)
    dispatcher.failed(theirs, Fault.BROKEN, 100.0)
    assert dispatcher.due_probes(101.0) == (theirs,)
