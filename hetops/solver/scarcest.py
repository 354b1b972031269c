"""The largest rate of a day whose periods share nothing but that rate: what its scarcest period can serve.

Each period is searched alone, those that can serve least first and the others no further than these. Shares of what is
served grow and shrink with the rate on the same nodes. Starts cost no requests. Decides no fleet beyond its period: which of
those that serve as much is cheap is asked last, of each period again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs, start
from hetops.solver.apart import starts_stand_alone, stretch_of, tied, windows_of
from hetops.solver.cheapest import usd
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block
from hetops.solver.highs import Answer, OnInterrupt, Status
from hetops.solver.matrix import INFINITY, Floats, MatrixModel, part, with_rows_where
from hetops.solver.patience import Patience, stopped
from hetops.solver.start import Relaxed
from hetops.solver.windows import Integers, Windows

LEAST_GAP = 1e-6
"""How near to its best a period is searched at most: what the solver's tolerances can tell."""

CHEAP_GAP = 1e-2
"""How near to its cheapest fleet a period is searched for one that serves as much as all."""

_SCALED = (Block.SHARE, Block.MISSING, Block.HANDED)
"""Kinds of variables that are parts of what is served: at a part of the rate that part of each does."""


def shares_the_rate_alone(formulation: Formulation) -> bool:
    """Whether the largest rate is asked for, of several periods that nothing else ties."""
    frame, scale = formulation.frame, formulation.scale_index
    if scale is None or len(frame.stretches) < 2 or not starts_stand_alone(formulation):
        return False
    others = formulation.model.row_indices != scale
    ties = windows_of(formulation).ties
    rows = ties.rows[~ties.count_starts]
    return not tied(_entries(formulation.model, others), stretch_of(frame))[rows].any()


def _entries(model: MatrixModel, kept: NDArray[np.bool_]) -> MatrixModel:
    """The rows with those entries alone."""
    counts = np.bincount(model.row_of[kept], minlength=len(model.row_lower))
    return replace(
        model,
        row_starts=np.concatenate(([0], np.cumsum(counts))).astype(np.int32),
        row_indices=model.row_indices[kept],
        row_values=model.row_values[kept],
    )


def search(formulation: Formulation, *, gap: float, patience: Patience) -> Answer:
    """As `highs.run` on the formulation's model, whose periods must share the rate alone.

    Raises:
        KeyboardInterrupt: Ctrl-C, and nobody asked for what there is by then.
    """
    began, found = time.monotonic(), _Found.nothing(formulation)
    for period in found.periods_by_rate(patience):
        answer = found.searched(period, gap, patience)
        if not answer.found:
            return replace(answer, seconds=time.monotonic() - began)
        found = found.having(period, answer)
    close = found.bound - found.rate <= gap * found.rate
    stop = Status.INTERRUPTED if stopped() else Status.TIME_LIMIT
    return Answer(
        status=Status.OPTIMAL if close else stop,
        values=found.cheaply(patience),
        objective=-found.rate,
        bound=-max(found.bound, found.rate),
        row_duals=np.empty(0),
        seconds=time.monotonic() - began,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """The fleets of the periods that were searched, and the rate that they can all serve."""

    formulation: Formulation
    windows: Windows
    values: Floats
    """Of every period at its own rate."""
    rates: Floats
    """By period; infinite where none was searched."""
    bound: float
    """What no fleet of some period can serve more than."""

    @classmethod
    def nothing(cls, formulation: Formulation) -> _Found:
        """Before any period was searched."""
        return cls(
            formulation=formulation,
            windows=windows_of(formulation),
            values=np.zeros(formulation.frame.size),
            rates=np.full(len(formulation.frame.stretches), INFINITY),
            bound=INFINITY,
        )

    @property
    def rate(self) -> float:
        """What all periods so far can serve, in demands."""
        return float(self.rates.min())

    def members(self, period: int) -> Integers:
        """The variables of a period, the rate last."""
        return np.append(self.windows.members[period], self._scale)

    @property
    def _scale(self) -> int:
        return self.formulation.frame.first[Block.SCALE]

    def alone(self, period: int) -> MatrixModel:
        """The model of one period, at a rate that the others can serve as well."""
        model, ties = self.formulation.model, self.windows.ties
        rows = np.ones(len(model.row_lower), dtype=bool)
        rows[ties.rows[ties.count_starts]] = False
        own = part(with_rows_where(model, rows), self.members(period), np.zeros(len(model.cost)))
        of_period = own.row_of[own.row_indices < len(own.cost) - 1]
        touched = np.bincount(of_period, minlength=len(own.row_lower)) > 0
        return with_rows_where(own, touched)

    def periods_by_rate(self, patience: Patience) -> list[int]:
        """Those that can serve least first, as far as parts of nodes tell."""
        rates = [self._relaxed(self.alone(t), patience).bound for t in range(self.windows.count)]
        return [int(t) for t in np.argsort(-np.array(rates), kind="stable")]

    def _relaxed(self, model: MatrixModel, patience: Patience) -> Relaxed:
        return start.relaxed(replace(model, integer=np.zeros_like(model.integer)), patience)

    def searched(self, period: int, gap: float, patience: Patience) -> Answer:
        """What a period can serve, but no more than the others can; to half of the gap that they have left."""
        own = self.alone(period)
        if self.rate < INFINITY:
            own.upper[-1] = self.rate
        left = (
            1.0 if self.rate == INFINITY else 1 - (self.bound - self.rate) / max(gap * self.rate, LEAST_GAP)
        )
        return start.search(
            own,
            self._relaxed(own, patience),
            gap=max(gap * left / 2, LEAST_GAP),
            patience=patience,
            on_interrupt=OnInterrupt.TAKE_BEST,
        )

    def having(self, period: int, answer: Answer) -> _Found:
        """With the answer for one more period; at the others' rate it proves nothing that these did not."""
        values, rates = self.values.copy(), self.rates.copy()
        values[self.members(period)] = answer.values
        rates[period] = float(answer.values[-1])
        proven = -answer.bound
        capped = proven >= self.rate * (1 - LEAST_GAP)
        return replace(
            self, values=values, rates=rates, bound=self.bound if capped else min(self.bound, proven)
        )

    def cheaply(self, patience: Patience) -> Floats:
        """All periods at the rate of all, in each of them with the cheapest fleet that time suffices to find."""
        values = self.values.copy()
        for period, members in enumerate(self.windows.members):
            rate = self.rates[period]
            scaled = np.isin(members, self._scaled)
            values[members[scaled]] *= self.rate / rate if rate > 0 else 0.0
        values[self._scale] = self.rate
        each = usd(self.formulation)
        for period in range(self.windows.count):
            members, seconds = self.members(period), patience.left / (self.windows.count - period)
            if seconds <= 0:
                break
            own = replace(self.alone(period), cost=each[members])
            own.lower[-1] = own.upper[-1] = self.rate
            found = highs.run_small(own, values[members], gap=CHEAP_GAP, limit_seconds=seconds)
            if found.found:
                values[members] = np.where(own.integer, found.values.round(), found.values)
        return self.windows.with_starts(values)

    @property
    def _scaled(self) -> Integers:
        frame = self.formulation.frame
        return np.concatenate([np.arange(frame.first[b], frame.first[b] + frame.sizes[b]) for b in _SCALED])
