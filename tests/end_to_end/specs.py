"""Specs of the end-to-end tests: small emulated fleets whose engines run many times faster than real ones."""

from __future__ import annotations


def emulated(
    port: int, *, rate: float = 16.0, quick: float = 1.0, faults: str = "", name: str = "road", more: str = ""
) -> str:
    """Llama 3.1 8B on two emulated pools: an L40S, fast enough for `quick`, and an L4 for what it has no room for.

    At 8 requests a second of `short` the L40S alone is enough.
    """
    return f"""
[deployment]
name = "{name}"

[model]
name = "llama-3.1-8b"

[[workload.classes]]
name = "short"
requests_per_second = {rate}
input_tokens = 300
output_tokens = 50

[[workload.classes]]
name = "quick"
requests_per_second = {quick}
input_tokens = 600
output_tokens = 200
tpot_seconds = 0.025

[targets]
ttft_seconds = 1.0
tpot_seconds = 0.08

[engine]
names = ["vllm"]

[engine.settings.emulator]
speed = 50
drain_seconds = 2
{f"faults = {{ {faults} }}" if faults else ""}

[providers.local]
emulate = true

[offers]
gpus = ["L4", "L40S"]

[router]
port = {port}
{more}
"""
