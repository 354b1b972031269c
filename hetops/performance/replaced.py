"""Which pipelines over nodes are worth offering to the solver: none that others can take the place of on the same nodes. Pure.

A pipeline's requests of one class alone are the most that it does of that class, and it does mixtures of these extremes. Replicas on
the GPUs of its stages, each on one type, that do as much together of every class so do all that it does, with nothing between
nodes; another precision or engine over the same stages may as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from hetops.domain.configuration import Configuration, StageGpus
from hetops.performance.physics import Floats
from hetops.performance.table import PerformanceTable


def irreplaceable(
    pipelines: Sequence[Configuration],
    alone: Iterable[Configuration],
    table: PerformanceTable,
    lone: Collection[str] = (),
) -> tuple[Configuration, ...]:
    """The pipelines of a model that neither `alone`, its replicas on one GPU type each, nor other pipelines can replace.

    `lone` are GPU types of which some nodes run no more than one engine.
    """
    if not pipelines:
        return ()
    rates = _Rates(table, pipelines[0])
    by_gpu: dict[str, list[Configuration]] = {}
    for one in alone:
        by_gpu.setdefault(one.gpu, []).append(one)
    on_stage: dict[StageGpus, Floats] = {}
    kept: dict[tuple[StageGpus, ...], list[Configuration]] = {}
    for one in pipelines:
        for stage in one.stages:
            if stage not in on_stage:
                on_stage[stage] = _together(stage, by_gpu.get(stage.gpu, ()), rates, stage.gpu in lone)
        own, rivals = rates.of(one), kept.setdefault(one.stages, [])
        if not own.any() or _apart(one, on_stage, own) or any((rates.of(r) >= own).all() for r in rivals):
            continue
        rivals[:] = [*(r for r in rivals if not (own >= rates.of(r)).all()), one]
    return tuple(one for rivals in kept.values() for one in rivals)


class _Rates:
    """Planned rates of configurations of one model, an entry for each class at each distance."""

    def __init__(self, table: PerformanceTable, one: Configuration) -> None:
        self._table = table
        self._keys = sorted(key[1:] for key in table.rows if key[0] == one.id)
        self._found: dict[str, Floats] = {}

    def of(self, one: Configuration) -> Floats:
        if one.id not in self._found:
            rows = (self._table.row(one.id, *key) for key in self._keys)
            self._found[one.id] = np.array([row.planned_requests_per_second for row in rows])
        return self._found[one.id]


def _together(stage: StageGpus, alone: Iterable[Configuration], rates: _Rates, lone: bool) -> Floats:
    """What replicas of one configuration do on a stage's GPUs, a row for each configuration, and one for none."""
    fitting = [one for one in alone if one.gpu_count <= stage.tensor_parallel]
    counts = [1 if lone else stage.tensor_parallel // one.gpu_count for one in fitting]
    rows = [count * rates.of(one) for one, count in zip(fitting, counts, strict=True)]
    return np.array([*rows, np.zeros(len(rates._keys))])


def _apart(one: Configuration, on_stage: Mapping[StageGpus, Floats], own: Floats) -> bool:
    """Whether replicas on each of its GPU types do all that the pipeline does."""
    total = np.zeros((1, len(own)))
    for stage, count in Counter(one.stages).items():
        total = (total[:, None, :] + count * on_stage[stage][None, :, :]).reshape(-1, len(own))
    return bool((total >= own).all(axis=1).any())
