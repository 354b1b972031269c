"""Small real programs that stand on PATH in place of large ones: shell scripts, each with one behaviour."""

from __future__ import annotations

from pathlib import Path


def program(path: Path, script: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def pulumi(path: Path, version: str) -> Path:
    """A `pulumi` that knows its version and nothing else."""
    return program(path, f'[ "$1" = version ] && echo v{version}')
