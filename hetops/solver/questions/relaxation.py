"""Relaxation: one change of a limit, or of the question, that lets a fleet exist. Values; finds none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from hetops.solver.formulate import at_rate
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.matrix import INFINITY
from hetops.solver.problem import Problem
from hetops.solver.questions import lift

Loosen = Callable[[float], Problem]
"""The problem with every latency target multiplied by a factor."""


class QuestionKind(StrEnum):
    """What is changed of a question that is no limit."""

    ASSUMED_STOCK = "assumed stock"
    DEADLINE = "deadline"
    HEADROOM = "headroom"
    DEMAND = "demand"
    TARGETS = "targets"


RelaxationKind = LimitKind | QuestionKind
"""What is changed: a limit, or the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """A change of one limit that makes the problem solvable.

    `current` and `needed` are in the limit's own unit (a factor of 1 for targets, a share of 1 for demand);
    `change_share` is the relative change of the limit, `factor` how many times what can be planned with it grows or
    the demand shrinks: what relaxations of different kinds are compared by. `smallest` is False where the time ran out before no smaller one was left.
    """

    kind: RelaxationKind
    subject: str = ""
    current: Decimal
    needed: Decimal
    change_share: float
    factor: float
    text: str
    """What to do, in words with both numbers."""
    smallest: bool = True

    @classmethod
    def of(
        cls, kind: RelaxationKind, now: Decimal, needed: Decimal, *, text: str, subject: str = ""
    ) -> Relaxation:
        """From one value to another, as far as the values alone say how much that is."""
        small, large = sorted((needed, now))
        return cls(
            kind=kind,
            subject=subject,
            current=now,
            needed=needed,
            change_share=float(needed / now) - 1 if now else INFINITY,
            factor=float(large / small) if small > 0 else INFINITY,
            text=text,
        )


def relaxed(problem: Problem, change: Relaxation, loosen: Loosen | None = None) -> Problem:
    """The problem with the change made.

    Raises:
        ValueError: looser targets without `loosen`.
    """
    needed = change.needed
    match change.kind:
        case QuestionKind.TARGETS:
            if loosen is None:
                raise ValueError("targets can be loosened only where they are known")
            return loosen(float(needed))
        case QuestionKind.DEMAND:
            return at_rate(problem, problem.requests_per_second * float(needed))
        case QuestionKind.HEADROOM:
            return replace(problem, headroom=float(needed))
        case QuestionKind.ASSUMED_STOCK:
            return replace(problem, assumed_max_nodes=int(needed))
        case QuestionKind.DEADLINE:
            return waiting(problem, change.subject, float(needed))
        case limit:
            return lift.having(problem, Limit(kind=limit, subject=change.subject), needed)


def waiting(problem: Problem, name: str, hours: float) -> Problem:
    """The problem in which a class may wait so long."""
    classes = (replace(c, deadline_hours=hours) if c.name == name else c for c in problem.classes)
    return replace(problem, classes=tuple(classes))
