"""Specs of tests: small, whole, planned from list prices or emulated, with fields to replace by `--set`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from hetops.app.candidates import Asked

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

TRACE = Path(__file__).parents[2] / "examples" / "traces" / "azure_llm_2023_conv.csv"

LISTED = """
[deployment]
name = "chat"

[model]
name = "llama-3.1-8b"

[[workload.classes]]
name = "short"
requests_per_second = 8.0
input_tokens = 300
output_tokens = 150

[[workload.classes]]
name = "long"
requests_per_second = 1.0
input_tokens = 6000
output_tokens = 300
ttft_seconds = 4.0

[targets]
ttft_seconds = 1.0
tpot_seconds = 0.08

[engine]
names = ["vllm"]

[providers.aws]
[providers.gcp]
"""

TRACED = f"""
[deployment]
name = "traced"

[model]
name = "llama-3.1-70b"

[workload]
trace = "{TRACE}"
class_count = 4
periods = 3

[targets]
ttft_seconds = 2.0
tpot_seconds = 0.1

[[targets.overrides]]
min_input_tokens = 2000
ttft_seconds = 5.0
priority = "batch"

[providers.lambda]
[providers.runpod]
"""


def written(folder: Path, text: str = LISTED) -> Path:
    """The text as hetops.toml in the folder."""
    path = folder / "hetops.toml"
    path.write_text(text, encoding="utf-8")
    return path


def asked(folder: Path, text: str = LISTED, *overrides: str, stock: Mapping[str, int] | None = None) -> Asked:
    """The question that a command in the folder would ask."""
    written(folder, text)
    environment = {name: os.environ[name] for name in ("HOME", "PATH")}
    return Asked(
        file=None, folder=folder, environment=environment, now=NOW, overrides=overrides, stock=stock or {}
    )
