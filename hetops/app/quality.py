"""What a spec asks of quality, floors and means, with what the catalogue knows of precisions. Wires; what is good enough is decided elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from hetops.catalog import tables
from hetops.configurations.quality import Floor, Recovery, known_of, tested
from hetops.domain.model import Precision
from hetops.domain.workload import WorkloadClass
from hetops.solver.problem import Problem
from hetops.solver.solution import Solution
from hetops.solver.terms import FULL_QUALITY, Role
from hetops.spec.fields import ModelSpec
from hetops.spec.workload import ClassSpec


def floors_of(
    model: ModelSpec, stated: Iterable[ClassSpec], classes: Iterable[WorkloadClass]
) -> tuple[Floor, ...]:
    """Floor and mean of each class of a model: as stated for it, else the model's; none at all where neither sets any."""
    stated = tuple(stated)
    floors = {c.name: c.quality_floor for c in stated if c.quality_floor is not None}
    means = {c.name: c.mean_quality for c in stated if c.mean_quality is not None}
    recoveries = tuple(_recoveries(model.name))
    asked = tuple(
        Floor(
            workload_class=c.name,
            share=floors.get(c.stated_name, model.quality_floor),
            mean=means.get(c.stated_name, model.mean_quality),
            task=c.task if tested(recoveries, c.task) else "",
            recovery=known_of(recoveries, c.task),
        )
        for c in classes
    )
    return asked if any(floor.asks for floor in asked) else ()


def kept_by(floors: Iterable[Floor], precision: Precision) -> dict[str, float]:
    """What a precision gives each class that asks for a mean, where that is less than all of the score."""
    kept = {floor.workload_class: floor.kept(precision) for floor in floors if floor.mean is not None}
    return {name: share for name, share in kept.items() if share < 1}


def in_words(floors: Iterable[Floor]) -> str:
    """What is asked for, as what a sentence is about."""
    asked = tuple(floors)
    if all(floor.mean is None for floor in asked):
        return "the quality floor"
    return "the mean quality" if all(floor.share is None for floor in asked) else "what is asked of quality"


def asked_quality(problem: Problem, name: str) -> float | None:
    """The mean that a class asks for."""
    return next(c.mean_quality for c in problem.classes if c.name == name)


def mean_quality(problem: Problem, solution: Solution, name: str) -> float | None:
    """The share of the 16-bit score that a class gets on average; None where it asks for no mean, or gets nothing."""
    decoding = {c.key for c in problem.columns if c.role is Role.DECODE}  # as good as what prefills for it
    shares = [
        s for s in solution.shares if s.workload_class == name and s.share > 0 and s.key not in decoding
    ]
    if asked_quality(problem, name) is None or not shares:
        return None
    of = {c.key: c.quality.get(name, FULL_QUALITY) for c in problem.columns}
    of |= {(s.id, ""): s.quality.get(name, FULL_QUALITY) for s in problem.services}
    return math.fsum(s.share * of[s.key] for s in shares) / math.fsum(s.share for s in shares)


def _recoveries(model: str) -> Iterator[Recovery]:
    for row in tables.rows("quality"):
        if row["model"] == model:
            yield Recovery(
                precision=Precision(row["precision"]), task=row["task"], share=float(row["recovery"])
            )
