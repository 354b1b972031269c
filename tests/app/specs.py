"""A small spec to write into a folder."""

from __future__ import annotations

from pathlib import Path

SPEC = """\
[deployment]
name = "chat"

[model]
name = "llama-3.1-8b"

[[workload.classes]]
name = "short"
requests_per_second = 1.0
input_tokens = 100
output_tokens = 20

[targets]
ttft_seconds = 1.0

"""


def written(folder: Path, more: str = "[providers.local]\n") -> Path:
    """hetops.toml in the folder: the small spec and what follows it."""
    path = folder / "hetops.toml"
    path.write_text(SPEC + more, encoding="utf-8")
    return path
