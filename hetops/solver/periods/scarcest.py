"""The largest rate of a day whose periods share nothing but that rate: what its scarcest period can serve.

Each period is searched alone, those that can serve least first and the others no further than these. Shares of what is
served grow and shrink with the rate on the same nodes. Starts cost no requests. Decides no fleet beyond its period: which of
those that serve as much is cheap is asked last, of each period again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from hetops.solver import highs
from hetops.solver.answers.cheapest import usd
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block
from hetops.solver.highs import Answer, OnInterrupt, Status
from hetops.solver.matrix import INFINITY, Floats, MatrixModel, part, with_rows_where
from hetops.solver.patience import Patience, stopped
from hetops.solver.periods.apart import starts_stand_alone, stretch_of, tied, windows_of
from hetops.solver.periods.windows import Integers, Windows
from hetops.solver.search import start
from hetops.solver.search.start import Relaxed

LEAST_GAP = 1e-6
"""How near to its best a period is searched at most: what the solver's tolerances can tell."""

CHEAP_GAP = 1e-2
"""How near to its cheapest fleet a period is searched for one that serves as much as all."""

_SCALED = (Block.SHARE, Block.MISSING, Block.HANDED)
"""Kinds of variables that are parts of what is served: at a part of the rate that part of each does."""


def shares_the_rate_alone(formulation: Formulation) -> bool:
    """Whether the largest rate is asked for, of several periods that nothing else ties, and of no class that nothing serves."""
    frame, model, scale = formulation.frame, formulation.model, formulation.scale_index
    if scale is None or len(frame.stretches) < 2 or not starts_stand_alone(formulation):
        return False
    others, period_of = model.row_indices != scale, stretch_of(frame)
    if not np.isin(model.row_of[~others], model.row_of[period_of[model.row_indices] >= 0]).all():
        return False  # A row of the rate that is of no period says that there is none.
    ties = windows_of(formulation).ties
    rows = ties.rows[~ties.count_starts]
    return not tied(model, period_of, others)[rows].any()


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
    alone: tuple[MatrixModel, ...]
    """By period, its model with the rate behind its variables; of a period in which nothing arrives that is nothing."""
    values: Floats
    """Of every period at its own rate."""
    rates: Floats
    """By period; infinite where nothing arrives, or none was searched."""
    bound: float
    """What no fleet of some period can serve more than."""

    @classmethod
    def nothing(cls, formulation: Formulation) -> _Found:
        """Before any period was searched."""
        windows, scale = windows_of(formulation), formulation.frame.first[Block.SCALE]
        alone = (_alone(windows, period, scale) for period in range(windows.count))
        asked = formulation.frame.stretches[: windows.count]  # The last may have no variables: no window.
        return cls(
            formulation=formulation,
            windows=windows,
            alone=tuple(
                own if any(stretch.rates.values()) else _at_most(own, 0.0)
                for stretch, own in zip(asked, alone, strict=True)
            ),
            values=np.zeros(formulation.frame.size),
            rates=np.full(windows.count, INFINITY),
            bound=INFINITY,
        )

    @property
    def rate(self) -> float:
        """What all periods so far can serve, in demands."""
        return float(self.rates.min())

    def periods_by_rate(self, patience: Patience) -> list[int]:
        """Those that can serve least first, as far as parts of nodes tell."""
        rates = [-_relaxed(own, patience).bound if _asks(own) else INFINITY for own in self.alone]
        return [int(t) for t in np.argsort(rates, kind="stable")]

    def searched(self, period: int, gap: float, patience: Patience) -> Answer:
        """What a period can serve, but no more than the others can; to half of the gap that they have left."""
        own = _at_most(self.alone[period], self.rate)
        left = (
            1.0 if self.rate == INFINITY else 1 - (self.bound - self.rate) / max(gap * self.rate, LEAST_GAP)
        )
        return start.search(
            own,
            _relaxed(own, patience),
            gap=max(gap * left / 2, LEAST_GAP),
            patience=patience,
            on_interrupt=OnInterrupt.TAKE_BEST,
        )

    def having(self, period: int, answer: Answer) -> _Found:
        """With the answer for one more period; at the others' rate it proves nothing that these did not."""
        values, rates = self.values.copy(), self.rates.copy()
        values[self.windows.members[period]] = answer.values[:-1]
        if not _asks(self.alone[period]):
            return replace(self, values=values)
        rates[period] = float(answer.values[-1])
        proven = -answer.bound
        capped = proven >= self.rate * (1 - LEAST_GAP)
        return replace(
            self, values=values, rates=rates, bound=self.bound if capped else min(self.bound, proven)
        )

    def cheaply(self, patience: Patience) -> Floats:
        """All periods at the rate of all, in each of them with the cheapest fleet that time suffices to find."""
        values, scaled = self.values.copy(), np.isin(np.arange(len(self.values)), self._scaled)
        for members, rate in zip(self.windows.members, self.rates, strict=True):
            values[members[scaled[members]]] *= self.rate / rate if rate > 0 else 0.0
        values[self.formulation.frame.first[Block.SCALE]] = self.rate
        each = usd(self.formulation)
        for period, members in enumerate(self.windows.members):
            seconds = patience.left / (self.windows.count - period)
            if seconds <= 0:
                break
            at_most = _at_most(self.alone[period], self.rate)
            own = replace(at_most, cost=np.append(each[members], 0.0), lower=at_most.lower.copy())
            own.lower[-1] = own.upper[-1]
            begun = np.append(values[members], own.upper[-1])
            found = highs.run_small(own, begun, gap=CHEAP_GAP, limit_seconds=seconds)
            if found.found:
                kept = np.where(own.integer, found.values.round(), found.values)
                values[members] = kept[:-1]
        return self.windows.with_starts(values)

    @property
    def _scaled(self) -> Integers:
        frame = self.formulation.frame
        return np.concatenate([np.arange(frame.first[b], frame.first[b] + frame.sizes[b]) for b in _SCALED])


def _alone(windows: Windows, period: int, scale: int) -> MatrixModel:
    """The model of one period and the rate."""
    model, ties = windows.model, windows.ties
    rows = np.ones(len(model.row_lower), dtype=bool)
    rows[ties.rows[ties.count_starts]] = False
    variables = np.append(windows.members[period], scale)
    own = part(with_rows_where(model, rows), variables, np.zeros(len(model.cost)))
    of_period = own.row_of[own.row_indices < len(variables) - 1]
    return with_rows_where(own, np.bincount(of_period, minlength=len(own.row_lower)) > 0)


def _at_most(alone: MatrixModel, rate: float) -> MatrixModel:
    upper = alone.upper.copy()
    upper[-1] = min(upper[-1], rate)
    return replace(alone, upper=upper)


def _asks(alone: MatrixModel) -> bool:
    """Whether anything arrives in a period."""
    return bool(alone.upper[-1] > 0)


def _relaxed(alone: MatrixModel, patience: Patience) -> Relaxed:
    return start.relaxed(alone.linear, patience)
