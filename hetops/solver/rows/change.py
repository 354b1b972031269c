"""Rows that count what changes: from stretch to stretch, and from the fleet that runs already."""

from __future__ import annotations

from collections.abc import Iterator

from hetops.solver.frame import Block, Frame
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.matrix import Row
from hetops.solver.problem import running


def start_rows(frame: Frame) -> Iterator[Row]:
    """What a column has more of than in the stretch before was started; before the first comes the last."""
    if len(frame.stretches) == 1:
        return
    for t in range(len(frame.stretches)):
        for j, column in enumerate(frame.columns):
            if column.boot_seconds > 0:
                started = frame.first[Block.STARTED] + t * len(frame.columns) + j
                before = frame.nodes((t - 1) % len(frame.stretches), j)
                terms = [(frame.nodes(t, j), 1.0), (before, -1.0), (started, -1.0)]
                yield Row(subject=("started", t, column.key), terms=terms, upper=0.0)


def migration_rows(frame: Frame) -> Iterator[Row]:
    """What is more than runs already is added, what is less is removed; the first stretch is the one that begins now."""
    if frame.problem.migration is None:
        return
    run = running(frame.problem)
    for j, column in enumerate(frame.columns):
        now, nodes = float(run.get(column.key, 0)), frame.nodes(0, j)
        added, removed = frame.first[Block.ADDED] + j, frame.first[Block.REMOVED] + j
        terms = [(nodes, 1.0), (added, -1.0), (removed, 1.0)]
        yield Row(subject=("changed", column.key), terms=terms, lower=now, upper=now)


def change_limit_rows(frame: Frame) -> Iterator[Row]:
    """At most so many nodes are added or removed; those that go with a column's nodes count as well, parts of nodes as parts."""
    migration = frame.problem.migration
    if migration is not None and migration.max_changed_nodes is not None:
        terms = [
            (frame.first[block] + j, float(column.size))
            for block in (Block.ADDED, Block.REMOVED)
            for j, column in enumerate(frame.columns)
        ]
        limit = Limit(kind=LimitKind.CHANGES)
        yield Row(subject=limit, terms=terms, upper=float(migration.max_changed_nodes))
