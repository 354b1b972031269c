"""Helix-like (Mei et al., ASPLOS 2025, arXiv:2406.01566): max-flow through a cluster that is given.

The original places layers on nodes by a MILP that maximises the flow of tokens from source to sink at typical lengths,
and routes by interleaved weighted round robin in proportion to the flows. Here the flow is one of average requests, a
node's capacity is that of the layout chosen for it, and every class gets the same weights, as there. A model is spread over
unlike nodes where a column is; a column is a whole replica, so no node's layers are shared by two of them.

Decides layouts and flow, exactly; which GPUs there are is given (`composition`).
"""

from __future__ import annotations

from hetops.solver.baselines.answer import answer
from hetops.solver.baselines.blind import averaged, proportional
from hetops.solver.baselines.composition import as_rented, evenly_split
from hetops.solver.problem import Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve


def helix(problem: Problem) -> Solution | Infeasible:
    """Max-flow over the budget split evenly over the GPU types."""
    return max_flow(problem, evenly_split(problem))


def helix_on_ours(problem: Problem) -> Solution | Infeasible:
    """Max-flow over the GPUs of our own fleet."""
    ours = solve(problem)
    return max_flow(problem, as_rented(problem, ours)) if isinstance(ours, Solution) else ours


def max_flow(problem: Problem, given: Problem) -> Solution | Infeasible:
    """The layouts within `given` whose flow of average requests is largest, as an answer to `problem`."""
    flow = averaged(given)
    found = solve(flow) if flow is not None else Infeasible()
    if not isinstance(found, Solution):
        return found
    return answer(problem, found.nodes, proportional(problem, found.nodes), "helix")
