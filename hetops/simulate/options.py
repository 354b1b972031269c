"""What an emulated engine is told: its model, its timing, its faults. As values and as a command line, both ways."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import Enum, auto
from pathlib import Path

import msgspec

from hetops.domain.performance import StepTimes


class Fault(Enum):
    """What goes wrong with one request."""

    NONE = auto()
    FAIL = auto()
    HANG = auto()
    DIE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Faults that the engine acts out, for rehearsals and tests. Requests are counted from 1."""

    exit_at_start: str = ""
    """Ends at once with exit code 1 and this as its last line."""
    start_seconds: float = 0.0
    """How long the engine says that it is loading; not scaled by the speed."""
    die_after_requests: int | None = None
    """The process ends without a word at the first token of the next request."""
    hang_after_requests: int | None = None
    """All further requests are accepted and never answered."""
    fail_every: int | None = None
    """Every n-th request is answered with `fail_status`."""
    fail_status: int = 500

    def __post_init__(self) -> None:
        if not 0 <= self.start_seconds < math.inf:
            raise ValueError("start_seconds must not be negative")
        if self.fail_every is not None and self.fail_every < 1:
            raise ValueError("fail_every must be at least 1")
        if not 400 <= self.fail_status <= 599:
            raise ValueError(f"fail_status must be an HTTP error, 400 to 599, not {self.fail_status}")

    def of(self, number: int) -> Fault:
        """What goes wrong with request `number`."""
        if self.die_after_requests is not None and number > self.die_after_requests:
            return Fault.DIE
        if self.hang_after_requests is not None and number > self.hang_after_requests:
            return Fault.HANG
        if self.fail_every is not None and number % self.fail_every == 0:
            return Fault.FAIL
        return Fault.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorOptions:
    """One emulated replica."""

    model: str
    gpu: str
    step_times: StepTimes
    max_context_tokens: int
    prefill_tokens_per_step: int = 2048
    default_output_tokens: int = 256
    """Length of an answer whose request names none: an emulated model has no end of its own."""
    speed: float = 1.0
    """Engine seconds a real second."""
    drain_seconds: float = 30.0
    host: str = "127.0.0.1"
    port: int = 0
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        if not 0 < self.speed < math.inf:
            raise ValueError("speed must be above zero")
        if not 0 <= self.drain_seconds < math.inf:
            raise ValueError("drain_seconds must not be negative")
        for name in ("max_context_tokens", "prefill_tokens_per_step", "default_output_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")

    @property
    def longest(self) -> int:
        """Most tokens, input and output together, that a request may have."""
        return min(self.max_context_tokens, self.step_times.longest)


_OPTIONAL = (
    "prefill_tokens_per_step",
    "default_output_tokens",
    "speed",
    "drain_seconds",
    "host",
    "port",
)


def to_arguments(options: EmulatorOptions) -> tuple[str, ...]:
    """The command line of these options; what has its default is left out."""
    given = ["--model", options.model, "--gpu", options.gpu]
    given += ["--max-context-tokens", str(options.max_context_tokens)]
    given += ["--step-times", msgspec.json.encode(options.step_times).decode()]
    defaults = {f.name: f.default for f in fields(EmulatorOptions)}
    for name in _OPTIONAL:
        given += _flag(name, getattr(options, name), defaults[name])
    for f in fields(Faults):
        given += _flag(f.name, getattr(options.faults, f.name), f.default)
    return tuple(given)


def _flag(name: str, value: object, default: object) -> list[str]:
    return [] if value == default else ["--" + name.replace("_", "-"), str(value)]


def from_arguments(arguments: Sequence[str]) -> EmulatorOptions:
    """The options of a command line; ends the process with exit code 2 and a word where it makes no sense."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    chosen = {name: value for name, value in given.items() if value is not None}
    names = {f.name for f in fields(Faults)}
    try:
        step_times = _step_times(chosen.pop("step_times"))
        faults = Faults(**{name: chosen.pop(name) for name in names & chosen.keys()})
        return EmulatorOptions(**chosen, step_times=step_times, faults=faults)
    except (ValueError, OSError) as fault:
        parser.error(str(fault))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hetops.simulate",
        description="An emulated engine: an OpenAI-compatible server with the timing of a performance model and no "
        "model behind it.",
    )
    parser.add_argument("--model", required=True, help="name under which it serves")
    parser.add_argument("--gpu", required=True, help="GPU type that it emulates")
    parser.add_argument(
        "--step-times", required=True, metavar="JSON|FILE", help="fields of StepTimes, or a file with them"
    )
    parser.add_argument("--max-context-tokens", type=int, required=True)
    for name in ("prefill-tokens-per-step", "default-output-tokens", "port"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("speed", "drain-seconds", "start-seconds"):
        parser.add_argument(f"--{name}", type=float)
    for name in ("die-after-requests", "hang-after-requests", "fail-every", "fail-status"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("host", "exit-at-start"):
        parser.add_argument(f"--{name}")
    return parser


def _step_times(given: str) -> StepTimes:
    text = given if given.lstrip().startswith("{") else Path(given).read_text(encoding="utf-8")
    try:
        return msgspec.json.decode(text, type=StepTimes)
    except msgspec.MsgspecError as fault:
        raise ValueError(f"--step-times: {fault}") from fault
