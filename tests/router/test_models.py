"""Several models behind one router: a request goes to pools of the model that it asks for, and to no others."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hetops.router.config import RoutedClass, RouterConfig
from tests.router.stand import answer, ask, config, engines, get, running

CLASSES = (
    RoutedClass(name="chat", model="small", input_tokens=100, output_tokens=50),
    RoutedClass(name="word", model="large", input_tokens=100, output_tokens=5),
    RoutedClass(name="essay", model="large", input_tokens=100, output_tokens=500),
)


def of_two(*urls: str) -> RouterConfig:
    """A pool for each of two models; those of the large one are told apart by the length of answers."""
    made = config({"a": urls[:1], "b": urls[1:]})
    serves = {"a": ("chat",), "b": ("word", "essay")}
    return replace(
        made,
        models=("small", "large"),
        classes=CLASSES,
        pools=tuple(replace(p, serves=serves[p.name]) for p in made.pools),
        shares={"chat": {"a": 1.0}, "word": {"b": 1.0}, "essay": {"b": 1.0}},
    )


def test_requests_go_by_their_model_first_and_by_their_lengths_within_it() -> None:
    with engines(answer, answer) as (one, other), running(of_two(one.url, other.url)) as router:
        router.healthy(endpoints=2)
        told = []
        for model, limit in (("small", 5), ("large", 5), ("small", 500), ("large", 500)):
            _, headers, _ = ask(router, "x-hetops-input-tokens: 100", model=model, max_tokens=limit)
            told.append((headers["x-hetops-class"], headers["x-hetops-pool"]))
    assert told == [("chat", "a"), ("word", "b"), ("chat", "a"), ("essay", "b")]
    assert [json.loads(a.body)["model"] for a in (*one.asked, *other.asked)] == ["small"] * 2 + ["large"] * 2


def test_a_model_that_is_none_is_refused_with_those_that_are() -> None:
    with engines(answer, answer) as urls, running(of_two(*(e.url for e in urls))) as router:
        router.healthy(endpoints=2)
        status, _, body = ask(router, model="medium")
        missing, _, told = get(router, "/v1/models/medium")
        _, _, listed = get(router, "/v1/models")
        found, _, _ = get(router, "/v1/models/large")
        of_other, _, refused = ask(router, "x-hetops-class: word", model="small")
    assert (status, missing, found) == (404, 404, 200)
    assert json.loads(body) == json.loads(told) == {
        "error": {
            "message": "the model `medium` does not exist; there is small, large",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }  # fmt: skip
    assert [entry["id"] for entry in json.loads(listed)["data"]] == ["small", "large"]
    assert of_other == 400
    assert b"no workload class 'word'; known are chat" in refused


def test_a_model_whose_pool_is_gone_is_served_by_no_other() -> None:
    with engines(answer, answer) as (one, other):
        gone = of_two(one.url, other.url)
        gone = replace(gone, pools=(replace(gone.pools[0], endpoints=()), gone.pools[1]))
        with running(gone) as router:
            router.healthy()
            assert ask(router, model="small")[0] == 503
            assert ask(router, model="large")[0] == 200
    assert one.asked == []


def test_what_answers_teach_of_one_model_means_nothing_for_another() -> None:
    """Nine short answers of the small model: the large one's are still taken to be as long as they may be."""
    with engines(answer, answer) as urls, running(of_two(*(e.url for e in urls))) as router:
        router.healthy(endpoints=2)
        for _ in range(9):
            ask(router, model="small", max_tokens=500)
        _, headers, _ = ask(router, model="large", max_tokens=500)
    assert headers["x-hetops-class"] == "essay"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"models": ("small",)}, "there is no model large"),
        ({"models": ("small", "large", "huge")}, "no class asks for huge"),
        ({"classes": (*CLASSES[:2], replace(CLASSES[2], model=""))}, "all classes have a model, or none has"),
    ],
)
def test_a_configuration_whose_models_do_not_go_together_is_refused(
    change: dict[str, object], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        replace(of_two(), **change)
