"""Weights are fetched once, and only by who agreed to their licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hetops.app.weights import ensure_weights
from hetops.domain.model import Checkpoint, Model
from hetops.errors import HetopsError
from hetops.plugin.engine import Download, EngineNeeds, Launch, LaunchContext
from hetops.plugin.manager import Plugins
from tests.doubles import plans

PAPER = replace(plans.configuration(), engine="paper", checkpoint="package:paper")


class Paper:
    """An engine whose weights are a package that it has or has not fetched."""

    name = "paper"
    needs = EngineNeeds(
        gpu_vendors=frozenset({"cpu"}),
        precisions=frozenset(),
        max_sequences=(1,),
        tensor_parallel=(1,),
    )

    def __init__(self) -> None:
        self.fetched: list[str] = []

    def checkpoints(self, _model: Model, _settings: Mapping[str, Any]) -> tuple[Checkpoint, ...]:
        return ()

    def launch(self, context: LaunchContext) -> Launch:
        raise AssertionError(f"nothing of {context.deployment} is started here")

    def missing_weights(self, checkpoint: str) -> Download | None:
        return (
            None
            if checkpoint in self.fetched
            else Download(name="paper", megabytes=3, licence="Read it aloud.")
        )

    def fetch_weights(self, checkpoint: str) -> None:
        self.fetched.append(checkpoint)


def test_what_is_missing_is_fetched_once_after_its_licence_was_shown() -> None:
    engine, shown = Paper(), []

    def accept(download: Download) -> bool:
        shown.append(download.licence)
        return True

    for _ in range(2):
        ensure_weights([PAPER, PAPER], Plugins(statuses=(), engines=(engine,)), accept)
    assert engine.fetched == ["package:paper"]
    assert shown == ["Read it aloud."]


def test_nothing_is_fetched_where_the_licence_is_declined() -> None:
    engine = Paper()
    with pytest.raises(HetopsError, match="licence of paper was not accepted") as refused:
        ensure_weights([PAPER], Plugins(statuses=(), engines=(engine,)), lambda _: False)
    assert engine.fetched == []
    assert "[engine.settings.paper]" in refused.value.hint
