"""What others do with the same problem, re-implemented from their papers: rivals to be held against, never used to plan.

Each rival is a function from a `Problem` to a `Solution`, `Infeasible` where it finds no fleet. One evaluator
(`answer`) scores all of them on the problem's own rates, and the independent checker of `certify` judges their fleets.
"""
