"""Emulated twins as nodes of the local driver: real processes with the timing of the plan, faults acted out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from hetops.plugin import ErrorKind, LaunchContext, NodeState, ProviderError
from hetops.simulate.launch import emulator_launch
from tests.doubles import plans
from tests.plugins.nodes import PATIENCE_SECONDS, driven, marked, request


def emulated(**settings: object):
    """One replica of a planned pool."""
    return emulator_launch(LaunchContext(pool=plans.pool(), deployment="test", settings=settings))


def test_a_twin_serves_under_the_models_name_and_says_that_it_is_emulated(tmp_path: Path) -> None:
    with driven(tmp_path) as driver:
        node = asyncio.run(driver.create(request("a", emulated(speed=20.0), sku="gcp/g2-standard-8")))
        body = {"model": "llama-3.1-8b", "prompt": "hi", "max_tokens": 4}
        answer = httpx.post(f"{node.endpoints[0]}/v1/completions", json=body, timeout=PATIENCE_SECONDS)
        assert answer.headers["x-hetops-emulated"] == "L4 llama-3.1-8b"
        asyncio.run(driver.delete("a"))
        assert marked(tmp_path) == ()


def test_a_node_is_created_when_its_engine_has_loaded(tmp_path: Path) -> None:
    with driven(tmp_path) as driver:
        loading = emulated(faults={"start_seconds": 0.8})
        node = asyncio.run(driver.create(request("a", loading)))
        assert node.state is NodeState.RUNNING
        assert httpx.get(f"{node.endpoints[0]}/health").status_code == 200


def test_a_twin_that_was_told_to_fail_at_its_start_fails_with_its_words(tmp_path: Path) -> None:
    with driven(tmp_path) as driver:
        with pytest.raises(ProviderError, match="a died while it started: CUDA out of memory") as caught:
            asyncio.run(driver.create(request("a", emulated(faults={"exit_at_start": "CUDA out of memory"}))))
        assert caught.value.kind is ErrorKind.INVALID
        assert marked(tmp_path) == ()
