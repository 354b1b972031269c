"""Quality floors of a spec, with what the catalogue knows of precisions. Wires; what is good enough is decided elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hetops.catalog import tables
from hetops.configurations.quality import Floor, Recovery, known_of
from hetops.domain.model import Precision
from hetops.domain.workload import WorkloadClass
from hetops.spec.fields import Spec


def floors_of(spec: Spec, classes: Iterable[WorkloadClass]) -> tuple[Floor, ...]:
    """The floor of each class: its own, else the model's; none at all where the spec sets none."""
    own = {c.name: c.quality_floor for c in spec.workload.classes if c.quality_floor is not None}
    if not own and spec.model.quality_floor is None:
        return ()
    recoveries = tuple(_recoveries(spec.model.name))
    return tuple(
        Floor(
            workload_class=c.name,
            share=own.get(c.stated_name, spec.model.quality_floor),
            task=c.task,
            recovery=known_of(recoveries, c.task),
        )
        for c in classes
    )


def _recoveries(model: str) -> Iterator[Recovery]:
    for row in tables.rows("quality"):
        if row["model"] == model:
            yield Recovery(
                precision=Precision(row["precision"]), task=row["task"], share=float(row["recovery"])
            )
