"""The llama.cpp engine in a container on one of NVIDIA's GPUs: what it can run, and how one replica is started. Starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetops.plugin import Checkpoint, EngineNeeds, HetopsError, Launch, LaunchContext, Model

_NAME = "llamacpp-cuda"
_IMAGE = "ghcr.io/ggml-org/llama.cpp:server-cuda-b11206"
"""llama.cpp's own, of CUDA 12.8: Volta to Blackwell. Its entry point is `llama-server`."""
_PORT = 8080
_QUANTIZED = {"q4_k_m": "Q4_K_M", "q8_0": "Q8_0"}
"""What the files of a repository are called by precision, as `--hf-repo REPOSITORY:WHICH` names them."""
_READY_SECONDS = 1800.0
"""The weights are fetched by the container itself: 42 GB of a 70B at 50 MB a second take 14 minutes."""


class LlamaCppCuda:
    """llama.cpp with all layers on one GPU; `max_sequences` is its slots.

    More slots than its own default, four, would be a guess: nobody's measurements of more are known here. Layers split over several
    GPUs wait for one another, so a replica has one.
    """

    name = _NAME
    needs = EngineNeeds(
        gpu_vendors=frozenset({"nvidia"}),
        precisions=frozenset(_QUANTIZED),
        max_sequences=(1, 4),
        tensor_parallel=(1,),
        only_named=True,
    )

    def checkpoints(self, model: Model, settings: Mapping[str, Any]) -> tuple[Checkpoint, ...]:
        """The catalogue has them all.

        Raises:
            HetopsError: a setting that is none.
        """
        del model
        _image(settings)
        return ()

    def launch(self, context: LaunchContext) -> Launch:
        """How one replica of the pool is started: a container that fetches its weights and serves OpenAI's API.

        Raises:
            HetopsError: a setting that is none.
        """
        configuration = context.pool.configuration
        slots = configuration.max_sequences
        return Launch(
            image=_image(context.settings),
            argv=(
                *("--hf-repo", f"{configuration.checkpoint}:{_QUANTIZED[configuration.weights]}"),
                *("--alias", configuration.model),
                *("--n-gpu-layers", "999"),
                *("--parallel", str(slots)),
                *("--ctx-size", str(configuration.max_context_tokens * slots)),
                "--no-kv-unified",  # the context is split evenly over the slots
                *("--cache-ram", "0"),  # prompts kept in the host's memory: 8 GiB by default
                "--metrics",
                *("--host", "0.0.0.0"),
                *("--port", str(_PORT)),
            ),
            host="0.0.0.0",
            port=_PORT,
            ready_seconds=_READY_SECONDS,
        )


def _image(settings: Mapping[str, Any]) -> str:
    unknown = sorted(settings.keys() - {"image"})
    if unknown:
        raise HetopsError(f"engine.settings.{_NAME} has no field {unknown[0]!r}", hint="known is image")
    image = settings.get("image", _IMAGE)
    if not isinstance(image, str) or not image.strip():
        raise HetopsError(
            f"engine.settings.{_NAME}.image must name a container image, not {image!r}",
            hint=f"leave it out: {_IMAGE} is taken then",
        )
    return image
