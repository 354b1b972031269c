"""Specs of the end-to-end tests: small emulated fleets whose engines run many times faster than real ones.

How much a GPU serves is the performance model's to say; so the rate at which a fleet is mixed is looked for, not written.
"""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from hetops.app.candidates import Asked
from hetops.app.plan import make_plan


@cache
def mixed_rate() -> float:
    """Requests a second of `short` for which one L40S and one L4 are cheapest; a quarter of it the L40S serves alone."""
    rates = [4.0 * 1.15**step for step in range(32)]
    return next(
        rate for rate in rates if _pools(rate) == {"L40S": 1, "L4": 1} and _pools(rate / 4) == {"L40S": 1}
    )


def emulated(
    port: int, *, rate: float | None = None, faults: str = "", name: str = "road", more: str = ""
) -> str:
    """Llama 3.1 8B on an L40S, fast enough for `quick`, and an L4 for what it has no room for."""
    return f"""
[deployment]
name = "{name}"

[model]
name = "llama-3.1-8b"

[workload]
classes = {classes(mixed_rate() if rate is None else rate)}

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


def classes(rate: float) -> str:
    """The classes as one TOML value, for `--set` too. An L4 is too slow for `quick`: it reads its weights in 27 ms."""
    return (
        f'[{{name = "short", requests_per_second = {rate:.3f}, input_tokens = 300, output_tokens = 50}}, '
        '{name = "quick", requests_per_second = 0.5, input_tokens = 600, output_tokens = 200, tpot_seconds = 0.025}]'
    )


@cache
def _pools(rate: float) -> dict[str, int]:
    """Nodes by GPU type of the plan at that rate."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hetops.toml"
        path.write_text(emulated(8080, rate=rate), encoding="utf-8")
        now = datetime.now(UTC)
        plan = make_plan(Asked(file=path, folder=path.parent, environment=os.environ, now=now))
    return {pool.offer.gpu: pool.nodes for pool in plan.pools}
