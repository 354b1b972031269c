"""Which precisions are good enough for a class: its floor where the recovery is known, the default rule elsewhere. Pure.

A floor is a share of the 16-bit score; a mean is one that requests may fall below if others make up for it. Where several recoveries are known, the least counts: nobody knows which recipe made
the checkpoint that is fetched. Long inputs keep the default rule whatever short tests say. Weights of four bits that the model's
makers published lose nothing: there are no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hetops.domain.model import Model, Precision
from hetops.domain.percent import percent

LARGE_MODEL_B = 30.0
"""Billions of parameters from which INT4 loses 1-3 % rather than 2-6 % (neuralmagic and ModelOpt model cards)."""
LONG_INPUT_TOKENS = 32_000
"""90th percentile of the input above which 4-bit weights are not chosen unasked (arXiv 2505.20276: up to 59 % lost)."""
_FOUR_BIT = (Precision.INT4, Precision.FP4)
_WITH_GGUF = (*_FOUR_BIT, Precision.GGUF_Q4_K_M)
"""With those that only an engine reads which has little else: chosen unasked where nothing is asked of quality."""
BY_DEFAULT = "4-bit weights lose too much quality here unless the model's `precisions` ask for them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What a class asks of quality and what is known of precisions in its task; asking nothing leaves it to the default rule."""

    workload_class: str
    share: float | None = None
    """That every request keeps."""
    mean: float | None = None
    """That its requests keep on average."""
    task: str = ""
    recovery: Mapping[Precision, float] = field(default_factory=dict)

    @property
    def asks(self) -> bool:
        """Whether it asks for anything."""
        return self.share is not None or self.mean is not None

    def untold(self, precision: Precision) -> bool:
        """Whether it asks for something that nobody knows of the precision."""
        return self.asks and precision.bytes_per_value < 2 and precision not in self.recovery

    def kept(self, precision: Precision) -> float:
        """What counts for a mean: what is known, nothing above all of the score; all of it where nothing is known."""
        return min(self.recovery.get(precision, 1.0), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What a benchmark found left of the 16-bit score."""

    precision: Precision
    task: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What decides whether a precision is good enough."""

    model: Model
    asked: tuple[Precision, ...] = ()
    """What the spec lets the model have; empty where it does not say."""
    input_tokens_p90: float = 0.0

    def refused(self, precision: Precision, floor: Floor | None = None) -> str:
        """Why a class must not get the precision; empty where it may."""
        asks = floor is not None and floor.asks
        four_bit = precision in (_WITH_GGUF if asks else _FOUR_BIT) and precision is not self.model.native
        known = floor.recovery.get(precision) if floor and asks else None
        if floor is None or known is None:
            return BY_DEFAULT if four_bit and self._lossy and precision not in self.asked else ""
        if floor.share is not None and known < floor.share:
            return (
                f"keeps {percent(known, 1)} of the 16-bit score in {floor.task or 'its worst task'},"
                f" the quality floor of {floor.workload_class} is {percent(floor.share, 1)}"
            )
        long = four_bit and self.input_tokens_p90 > LONG_INPUT_TOKENS and precision not in self.asked
        return BY_DEFAULT if long else ""

    def refused_for_all(self, precision: Precision, floors: Iterable[Floor]) -> str:
        """Why no class may get the precision; empty where one may."""
        reasons = [self.refused(precision, floor) for floor in floors] or [self.refused(precision)]
        return reasons[0] if all(reasons) else ""

    @property
    def _lossy(self) -> bool:
        return self.model.parameters_b < LARGE_MODEL_B or self.input_tokens_p90 > LONG_INPUT_TOKENS


def tested(recoveries: Iterable[Recovery], task: str) -> bool:
    """Whether any precision was scored in the task."""
    return any(one.task == task.lower() for one in recoveries)


def known_of(recoveries: Iterable[Recovery], task: str) -> Mapping[Precision, float]:
    """The least recovery of each precision in a task; in all tasks where the task is none that was tested."""
    everything = tuple(recoveries)
    of_task = [r for r in everything if r.task == task.lower()]
    least: dict[Precision, float] = {}
    for one in of_task or everything:
        least[one.precision] = min(one.share, least.get(one.precision, one.share))
    return least
