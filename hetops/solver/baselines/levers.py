"""Our own model with one lever held: what deciding it is worth.

Each function answers the problem as well as can be done without one of the three decisions of the ICML 2025 paper:
which GPUs (composition), how they are grouped into replicas (deployment), who serves what (assignment). What is held is
held as the paper's ablation holds it; everything else stays exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hetops.solver.baselines.answer import answer, restated
from hetops.solver.baselines.blind import alike, averaged, proportional
from hetops.solver.baselines.composition import evenly_split
from hetops.solver.baselines.homogeneous import best
from hetops.solver.problem import Column, Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve


def uniform_composition(problem: Problem) -> Solution | Infeasible:
    """The budget split evenly over the GPU types; the best deployment and assignment on what that buys."""
    return restated(problem, solve(evenly_split(problem)), "uniform composition")


def uniform_deployment(problem: Problem, kind: Callable[[Column], object]) -> Solution | Infeasible:
    """All replicas deployed alike: the best fleet of columns of one kind, over all kinds, which is generous.

    `kind` says what has to be alike, say the degree of tensor parallelism.
    """
    kinds: dict[object, list[Column]] = {}
    for column in problem.columns:
        kinds.setdefault(kind(column), []).append(column)
    alone = (replace(problem, columns=tuple(columns)) for columns in kinds.values())
    return best(restated(problem, solve(one), "uniform deployment") for one in alone)


def blind_assignment(problem: Problem) -> Solution | Infeasible:
    """Every pool gets the same mix, in proportion to its capacity; the fleet is the best for that."""
    flow = averaged(problem)
    found = solve(flow) if flow is not None else Infeasible()
    if isinstance(found, Infeasible):
        return found
    return answer(problem, found.nodes, proportional(problem, found.nodes), "blind assignment")


def round_robin(problem: Problem) -> Solution | Infeasible:
    """Our own fleet, every replica getting as many requests of each class that it can serve as every other."""
    ours = solve(problem)
    if isinstance(ours, Infeasible):
        return ours
    replicas = {pool.key: pool.nodes * pool.replicas_per_node for pool in ours.pools}
    return answer(problem, ours.nodes, alike(problem, replicas), "round robin")
