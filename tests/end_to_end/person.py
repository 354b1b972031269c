"""Somebody who types commands in a folder of their own, and looks at what runs afterwards."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.02
_HETOPS = str(Path(sys.executable).with_name("hetops"))
"""The console script, not `python -m`: under that CPython ends a process by SIGINT, whatever its exit code, where a
KeyboardInterrupt came while an import executed generated code (a dataclass), handled or not."""


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """What it printed, as JSON."""
        read: dict[str, Any] = json.loads(self.stdout)
        return read


@dataclass(frozen=True)
class Person:
    """One folder with its spec; nothing of the caller's environment but what programs need to run."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def write(self, spec: str) -> None:
        """The spec, anew."""
        (self.folder / "hetops.toml").write_text(spec, encoding="utf-8")

    def hetops(self, *arguments: str, timeout: float = PATIENCE_SECONDS, **options: Any) -> Finished:
        """Types a command and waits for its end. There is no terminal."""
        done = subprocess.run(
            self._command(arguments),
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **options,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Types a command and goes on; it has a process group of its own, as a shell would give it."""
        pipes: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        }
        return subprocess.Popen(
            self._command(arguments),
            cwd=self.folder,
            env=self._environment(),
            text=True,
            start_new_session=True,
            **pipes,
        )

    @property
    def processes(self) -> dict[int, str]:
        """Process id and node of everything that runs for a deployment of this folder, whoever knows of it."""
        here = f"HETOPS_NODE_STATE={self.folder.resolve()}/"
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "environ").read_text("utf-8", "replace").split("\0")
            except OSError:
                continue
            if any(word.startswith(here) for word in words):
                found[int(entry.name)] = next(w[12:] for w in words if w.startswith("HETOPS_NODE="))
        return found

    @property
    def engines(self) -> list[int]:
        """Pulumi engines and their plugins that work in this folder."""
        backend = f"PULUMI_BACKEND_URL=file://{self.folder.resolve()}/"
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if backend in (entry / "environ").read_text("utf-8", "replace"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def state(self, deployment: str) -> Path:
        """The deployment's folder."""
        return self.folder / ".hetops" / deployment

    def known(self, deployment: str) -> set[str]:
        """The nodes that Pulumi's state names."""
        path = self.state(deployment) / "pulumi/state/.pulumi/stacks/hetops" / f"{deployment}.json"
        if not path.exists():
            return set()
        resources = json.loads(path.read_bytes())["checkpoint"]["latest"].get("resources") or []
        return {r["outputs"]["name"] for r in resources if r["type"] == "hetops:index:Node"}

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [_HETOPS, *arguments]

    def _environment(self) -> dict[str, str]:
        kept = {n: os.environ[n] for n in ("PATH", "HOME", "XDG_CACHE_HOME", "LANG") if n in os.environ}
        return {**kept, "HETOPS_PLUGINS": "local", **self.environment}


def ended(process: subprocess.Popen[str]) -> Finished:
    """A started command once it has ended."""
    stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    return Finished(process.returncode, stdout or "", stderr or "")


def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether the condition came to hold within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl-C: the terminal tells the whole group."""
    os.killpg(process.pid, signal.SIGINT)


def ask(url: str, key: str, *, model: str, tokens: int = 4, stream: bool = False) -> tuple[int, str, str]:
    """One chat request: status, the pool that answered, the body."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "What is a fleet?"}],
        "max_tokens": tokens,
        "stream": stream,
    }
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("x-hetops-pool", ""), answer.read().decode()
    finally:
        connection.close()
