"""Whole numbers that all periods of a day have in common: lots reserved for all of them, columns that may be used at all.

With them given, starts alone tie the periods. So each period gets a copy of them, at a share of what they cost: whatever
the shares are that add up to it, no answer costs less than the best one whose copies may differ, and that is a day which
starts alone tie. Where its copies agree, it is an answer. Decides what is common and how it is shared; searches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block, Frame
from hetops.solver.highs import FEASIBILITY_TOLERANCE
from hetops.solver.matrix import Floats, MatrixModel, Row, extended, part, with_rows_where
from hetops.solver.periods.apart import tied, windows_of
from hetops.solver.periods.windows import LEAST_SECONDS, Integers
from hetops.solver.search.start import USED

WHOLE = 1e-6
"""How near to a whole number is one."""


def in_common(formulation: Formulation) -> Integers:
    """The whole numbers of no period, if starts alone tie the periods with them given; else none."""
    frame = formulation.frame
    if not frame.counts_pools and all(rental.stretch is not None for rental in frame.rentals):
        return np.zeros(0, dtype=np.int64)
    windows = windows_of(formulation)
    model, ties, common = windows.model, windows.ties, windows.loose
    free = common[model.lower[common] < model.upper[common]]
    torn = tied(model, windows.period_of, ~np.isin(model.row_indices, common))
    alone = bool(model.integer[free].all()) and not torn[ties.rows[~ties.count_starts]].any()
    return common if alone and len(free) else common[:0]


def name_of(formulation: Formulation, variable: int) -> object:
    """What outlasts the formulation: the offer that is reserved, the column that may be used."""
    frame = formulation.frame
    if variable in _of(frame, Block.RENTED):
        return frame.rentals[variable - frame.first[Block.RENTED]].offer.id
    if variable in _of(frame, Block.OPENED):
        return frame.columns[variable - frame.first[Block.OPENED]].key
    return variable


def _of(frame: Frame, block: Block) -> range:
    """The variables of a kind."""
    return range(frame.first[block], frame.first[block] + frame.sizes[block])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Copies:
    """A formulation in which each period has a copy of what all have in common; the copies lie behind its variables."""

    original: Formulation
    formulation: Formulation
    common: Integers
    """Variables of the original."""
    lower: Floats
    upper: Floats
    """Of the numbers, by all rows of one of them alone."""
    shares: Floats
    """By period and number: what one of it costs there."""

    @classmethod
    def of(cls, original: Formulation, common: Integers, duals: Floats, nodes: Floats) -> Copies:
        """With shares as the rows' duals say; what these leave of a column by its nodes in the periods, of lots evenly.

        `nodes` are those of columns in periods, as a relaxation has them, in the order of their variables.
        """
        model, windows = original.model, windows_of(original)
        period_of = np.full(len(model.row_lower), -1)
        np.maximum.at(period_of, model.row_of, windows.period_of[model.row_indices])
        place = np.full(len(model.cost), -1)
        place[common] = np.arange(len(common))
        alone = (np.diff(model.row_starts) == 1) & (period_of < 0)
        lower, upper = _bounds(model, alone)
        bounded = replace(with_rows_where(model, ~alone), lower=lower, upper=upper)
        formulation = replace(original, model=bounded, implied=original.implied[~alone])
        shares = _shares(model, period_of, place, duals, _parts(original.frame, common, nodes))
        return cls(
            original=original,
            formulation=_copied(formulation, place, period_of[~alone], shares),
            common=common,
            lower=lower[common],
            upper=upper[common],
            shares=shares,
        )

    @property
    def pays_for_pools(self) -> bool:
        """Whether a column that is used costs something besides its nodes."""
        opened = np.isin(self.common, _of(self.original.frame, Block.OPENED))
        return bool((self.original.model.cost[self.common[opened]] > 0).any())

    def within(self, lower: Floats, upper: Floats) -> Formulation:
        """The copies' formulation with bounds on the numbers, the same for all periods."""
        model, size, periods = self.formulation.model, len(self.original.model.cost), len(self.shares)
        low, high = model.lower.copy(), model.upper.copy()
        low[size:], high[size:] = np.tile(lower, periods), np.tile(upper, periods)
        return replace(self.formulation, model=replace(model, lower=low, upper=high))

    def counts(self, values: Floats) -> Floats:
        """By period: the numbers, of values of the copies' formulation."""
        return values[len(self.original.model.cost) :].reshape(self.shares.shape).round()

    def agreed(self, values: Floats) -> Floats | None:
        """Values of the original, in which there is as much as any period has; None where that is too much."""
        model = self.original.model
        own = values[: len(model.cost)].copy()
        own[self.common] = self.counts(values).max(axis=0)
        return own if model.beyond(own) <= 10 * FEASIBILITY_TOLERANCE else None

    def likely(self, counts: Floats, wanted: Floats) -> Floats:
        """These lots; of columns as many as there may be, the most wanted first, where using one costs something of those that are wanted."""
        model = self.original.model
        own = part(model, self.common, np.zeros(len(model.cost)))
        counted = np.isin(model.row_indices, self.common)
        others, met = (np.bincount(model.row_of, weights=of) for of in (~counted, counted))
        own = with_rows_where(own, others[met > 0] == 0)
        priced = model.cost[self.common] > 0
        opened = np.isin(self.common, _of(self.original.frame, Block.OPENED))
        fixed = np.clip(counts, self.lower, self.upper)
        most = np.where(priced, np.minimum(np.ceil(wanted), own.upper), own.upper)
        free = replace(
            own,
            cost=np.where(opened, -wanted, 0.0),
            lower=np.where(opened, own.lower, fixed),
            upper=np.where(opened, np.maximum(most, own.lower), fixed),
        )
        answer = highs.run(free, limit_seconds=LEAST_SECONDS)
        return answer.values.round() if answer.found else fixed

    def told(self, counts: Floats) -> dict[object, int]:
        """Numbers by name."""
        named = zip(self.common, counts, strict=True)
        return {name_of(self.original, int(v)): int(count) for v, count in named if count}

    def recalled(self, told: Mapping[object, int]) -> Floats:
        """Numbers by place."""
        counts = [float(told.get(name_of(self.original, int(v)), 0)) for v in self.common]
        recalled: Floats = np.clip(np.array(counts), self.lower, self.upper)
        return recalled


def least(model: MatrixModel, values: Floats, first: int) -> Floats:
    """Values of a period's model with no more in its copies, which begin there, than its other variables and bounds ask for.

    One that less of would cost more stays.
    """
    copied = model.row_indices >= first
    one = np.bincount(model.row_of, weights=copied, minlength=len(model.row_lower)) == 1
    others = np.bincount(
        model.row_of,
        weights=np.where(copied, 0.0, model.row_values * values[model.row_indices]),
        minlength=len(model.row_lower),
    )
    entry = np.flatnonzero(copied & one[model.row_of])
    row, value = model.row_of[entry], model.row_values[entry]
    bound = np.where(value < 0, model.row_upper[row], model.row_lower[row])
    asked = np.where(np.isfinite(bound), np.ceil((bound - others[row]) / value - WHOLE), 0.0)
    need = model.lower.copy()
    np.maximum.at(need, model.row_indices[entry], asked)
    lowered = values.copy()
    lowered[first:] = np.where(model.cost >= 0, np.minimum(values, need), values)[first:]
    return lowered


def _bounds(model: MatrixModel, alone: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """What variables are between, by these rows too, each of which has one of them alone; whole numbers are between such."""
    lower, upper = model.lower.copy(), model.upper.copy()
    entry = np.flatnonzero(alone[model.row_of] & (model.row_values != 0))
    row, variable, value = model.row_of[entry], model.row_indices[entry], model.row_values[entry]
    ends = np.stack((model.row_lower[row], model.row_upper[row])) / value
    np.maximum.at(lower, variable, ends.min(axis=0))
    np.minimum.at(upper, variable, ends.max(axis=0))
    whole = model.integer
    return np.where(whole, np.ceil(lower - WHOLE), lower), np.where(whole, np.floor(upper + WHOLE), upper)


def _parts(frame: Frame, common: Integers, nodes: Floats) -> Floats:
    """By period and number: of a column the part of its nodes that the period has, if any does; else as much as any other."""
    periods, opened = len(frame.stretches), _of(frame, Block.OPENED)
    parts = np.full((periods, len(common)), 1.0 / periods)
    at = np.flatnonzero(np.isin(common, opened))
    own = nodes.reshape(periods, -1)[:, common[at] - opened.start]
    used = own.sum(axis=0) > USED
    parts[:, at[used]] = own[:, used] / own[:, used].sum(axis=0)
    return parts


def _shares(model: MatrixModel, period_of: Integers, place: Integers, duals: Floats, parts: Floats) -> Floats:
    """By period and number: what the period's rows are worth to it, and its part of what is left."""
    periods, common = int(period_of.max()) + 1, np.flatnonzero(place >= 0)
    shares = np.zeros((periods, len(common)))
    row, variable = model.row_of, model.row_indices
    of = (place[variable] >= 0) & (period_of[row] >= 0)
    worth = duals[row[of]] * model.row_values[of]
    np.add.at(shares, (period_of[row[of]], place[variable[of]]), worth)
    spread: Floats = shares + (model.cost[common] - shares.sum(axis=0)) * parts
    return spread


def _copied(original: Formulation, place: Integers, period_of: Integers, shares: Floats) -> Formulation:
    """With the numbers' places, or -1, by variable, and the period, or -1, by row."""
    model, (periods, many), size = original.model, shares.shape, len(original.model.cost)
    common = np.flatnonzero(place >= 0)
    meets = np.bincount(model.row_of, weights=place[model.row_indices] >= 0, minlength=len(period_of)) > 0
    of_none = meets & (period_of < 0)
    at, row = place[model.row_indices], model.row_of
    moved = np.where(at >= 0, size + period_of[row] * many + at, model.row_indices)
    kept = with_rows_where(replace(model, row_indices=moved.astype(np.int32)), ~of_none)
    rows = [
        _repeated(model, int(row), size + t * many + place)
        for t in range(periods)
        for row in np.flatnonzero(of_none)
    ]
    more = extended(kept, rows, np.tile(model.upper[common], periods).tolist())
    cost, lower, upper, integer = more.cost.copy(), more.lower.copy(), more.upper.copy(), more.integer.copy()
    cost[common] = lower[common] = upper[common] = 0.0
    cost[size:], lower[size:] = shares.ravel(), np.tile(model.lower[common], periods)
    integer[size:] = np.tile(model.integer[common], periods)
    return replace(
        original,
        model=replace(more, cost=cost, lower=lower, upper=upper, integer=integer),
        implied=np.append(original.implied[~of_none], np.zeros(len(rows), dtype=bool)),
        beyond=np.repeat(np.arange(periods), many),
    )


def _repeated(model: MatrixModel, row: int, variables: Integers) -> Row:
    """A row of numbers alone, of other variables."""
    entries = slice(model.row_starts[row], model.row_starts[row + 1])
    terms = zip(
        variables[model.row_indices[entries]].tolist(), model.row_values[entries].tolist(), strict=True
    )
    lower, upper = float(model.row_lower[row]), float(model.row_upper[row])
    return Row(subject=model.subjects[row], terms=list(terms), lower=lower, upper=upper)
