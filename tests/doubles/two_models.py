"""A spec of two models, planned from list prices; with fields to replace by `--set`."""

from __future__ import annotations

TWO = """
[deployment]
name = "two"

[[models]]
name = "llama-3.1-8b"

[[models]]
name = "qwen3-32b"

[[workload.classes]]
name = "chat"
model = "llama-3.1-8b"
requests_per_second = 8.0
input_tokens = 300
output_tokens = 150

[[workload.classes]]
name = "code"
model = "qwen3-32b"
requests_per_second = 1.0
input_tokens = 1500
output_tokens = 300

[targets]
ttft_seconds = 2.0
tpot_seconds = 0.08

[engine]
names = ["vllm"]

[offers]
gpus = ["L4:1", "L40S:1"]

[providers.aws]
[providers.gcp]
"""

FOURS = 'offers.gpus=["L40S:4"]'
"""Offers of four GPUs alone, of which both models together need three."""


def alone(model: str) -> str:
    """The same spec with one of the models and its class, in `[model]`."""
    name = {"llama-3.1-8b": "chat", "qwen3-32b": "code"}[model]
    head, classes = TWO.split("[[workload.classes]]", 1)
    kept = next(one for one in classes.split("[[workload.classes]]") if f'name = "{name}"' in one)
    kept = kept.split("[targets]")[0].replace(f'model = "{model}"\n', "")
    rest = TWO[TWO.index("[targets]") :]
    return f'{head.split("[[models]]")[0]}[model]\nname = "{model}"\n\n[[workload.classes]]{kept}{rest}'
