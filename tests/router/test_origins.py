"""Requests are taken for classes from where a header says that they come; what no header says is made up for by shares."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from hetops.domain.workload import Priority
from hetops.load import drive, schedule
from hetops.load.client import Target
from hetops.load.schedule import Arrival
from hetops.router.classify import LearntLengths, Lengths
from hetops.router.config import RoutedClass, RouterConfig
from hetops.router.origins import Origins, of_each_model
from tests.router.stand import MODEL, answer, ask, config, engines, get, running, until


def routed(name: str, origin: str, input_tokens: float, rate: float = 0.0) -> RoutedClass:
    """A class from somewhere."""
    return RoutedClass(
        name=name,
        input_tokens=input_tokens,
        output_tokens=50,
        requests_per_second=rate,
        priority=Priority.INTERACTIVE,
        origin=origin,
    )


CLASSES = (
    routed("chat@eu", "eu", 100, 6.0),
    routed("code@eu", "eu", 3000, 1.5),
    routed("chat@us", "us", 100, 2.5),
    routed("batch", "lab", 3000, 0.0),
)


def of_two(*urls: str, default: str = "") -> RouterConfig:
    """A router's configuration: `eu` is served by one pool, all others by another."""
    made = config({"a": urls[:1], "b": urls[1:]})
    names = tuple(c.name for c in CLASSES)
    return replace(
        made,
        classes=CLASSES,
        pools=tuple(replace(p, serves=names) for p in made.pools),
        shares={c.name: {"a" if c.origin == "eu" else "b": 1.0} for c in CLASSES},
        origin=default,
    )


def test_a_class_is_looked_for_among_those_of_the_origin() -> None:
    origins, learnt = Origins(CLASSES), LearntLengths()
    long = Lengths(input_tokens=3000, output_limit=50)
    found = {o: origins.classify(o, long, learnt) for o in ("eu", "us", "lab")}
    assert found == {"eu": "code@eu", "us": "chat@us", "lab": "batch"}


def test_requests_that_name_no_origin_come_from_each_as_often_as_planned() -> None:
    origins = Origins(CLASSES)
    found = Counter(origins.of("") for _ in range(40))
    assert found == {"eu": 30, "us": 10}
    assert {Origins(CLASSES, "us").of(named) for named in ("", "mars")} == {"us"}


def test_origins_for_which_nothing_is_planned_have_turns_alike() -> None:
    origins = Origins([replace(c, requests_per_second=0.0) for c in CLASSES])
    assert Counter(origins.of("") for _ in range(9)) == {"eu": 3, "us": 3, "lab": 3}


def test_without_origins_a_header_means_nothing() -> None:
    (origins,) = of_each_model(config({"a": ()})).values()
    assert (origins.of("eu"), origins.of(""), origins.knows("eu")) == ("", "", True)
    assert origins.named("chat", "") == "chat"


def test_the_header_of_the_edge_moves_a_request_to_the_pool_of_its_origin() -> None:
    with engines(answer, answer) as (one, other), running(of_two(one.url, other.url)) as router:
        router.healthy(endpoints=2)
        short = {"max_tokens": 50}
        _, eu, _ = ask(router, "X-Hetops-Origin: eu", **short)
        _, us, _ = ask(router, "x-hetops-origin:  US ", **short)
        _, named, _ = ask(router, "x-hetops-origin: us", "x-hetops-class: chat", **short)
        _, own, _ = ask(router, "x-hetops-origin: us", "x-hetops-class: code@eu", **short)
    told = [(h["x-hetops-class"], h["x-hetops-pool"]) for h in (eu, us, named, own)]
    assert told == [("chat@eu", "a"), ("chat@us", "b"), ("chat@us", "b"), ("code@eu", "a")]


def test_a_name_that_is_none_is_counted_and_refused_to_nobody() -> None:
    with engines(answer, answer) as urls, running(of_two(*(e.url for e in urls), default="us")) as router:
        router.healthy(endpoints=2)
        for header in ("x-hetops-origin: mars", "x-hetops-origin: " + "x" * 4000, "x-hetops-origin: \xe9"):
            status, headers, _ = ask(router, header, max_tokens=50)
            assert (status, headers["x-hetops-class"]) == (200, "chat@us")
        ask(router, max_tokens=50)
        until(lambda: router.do(lambda r: r.status().unknown_origins) == 3)
        _, _, metrics = get(router, "/metrics")
        refused, _, body = ask(router, "x-hetops-origin: us", "x-hetops-class: code")
    assert b"hetops_unknown_origins_total 3" in metrics
    assert refused == 400
    assert b"no workload class 'code'" in body


def test_a_replay_names_the_origin_of_each_request() -> None:
    lengths = schedule.Lengths(input_tokens=20, output_tokens=5)
    sent = [Arrival(at_seconds=0.0, lengths=lengths, origin=o) for o in ("eu", "us", "us")]
    with engines(answer, answer) as urls, running(of_two(*(e.url for e in urls))) as router:
        router.healthy(endpoints=2)
        target = Target(url=f"http://127.0.0.1:{router.port}", model=MODEL)
        asyncio.run(drive.open_loop(drive.Tuned(target=target), sent))
        assert [len(e.asked) for e in urls] == [1, 2]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"origin": "mars"}, "no class comes from mars"),
        (
            {"classes": (*CLASSES[:3], replace(CLASSES[3], origin=""))},
            "all classes have an origin, or none has",
        ),
    ],
)
def test_a_configuration_whose_origins_do_not_go_together_is_refused(
    change: dict[str, object], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        replace(of_two(), **change)
