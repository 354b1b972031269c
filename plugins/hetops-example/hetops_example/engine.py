"""The engine that runs in Example Cloud's containers: what it can run, and how one replica is started. Starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetops.plugin import Checkpoint, EngineNeeds, Launch, LaunchContext, Model

_IMAGE = "registry.example/engine:1"
_PORT = 8000


class ExampleEngine:
    """An engine of vLLM's kind: its speed is estimated as vLLM's, measurements sharpen it."""

    name = "example"
    needs = EngineNeeds(
        gpu_vendors=frozenset({"nvidia"}),
        precisions=frozenset({"bf16", "fp8"}),
        max_sequences=(256,),
        tensor_parallel=(1, 2, 4, 8),
    )

    def checkpoints(self, model: Model, settings: Mapping[str, Any]) -> tuple[Checkpoint, ...]:
        """The catalogue has them all."""
        del model, settings
        return ()

    def launch(self, context: LaunchContext) -> Launch:
        """How one replica of the pool is started: a container that serves OpenAI's API."""
        configuration = context.pool.configuration
        return Launch(
            image=_IMAGE,
            argv=(
                *("--model", configuration.checkpoint),
                *("--served-model-name", configuration.model),
                *("--tensor-parallel-size", str(configuration.tensor_parallel)),
                *("--max-model-len", str(configuration.max_context_tokens)),
                *("--port", str(_PORT)),
            ),
            host="0.0.0.0",
            port=_PORT,
        )
