"""`python -m tests.solver.scip FOLDER SECONDS`: SCIP's answers to the problems and models in a folder, on standard output.

A problem (`*.json`) is formulated by `second_model`, a model (`*.mps`) is read as it is. A line of JSON each: the file's
name, what SCIP proved, and the best it found; both null where it proved that there is no answer. In a process of its
own: no other solver is loaded into it, and whoever started it may end it.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

from pyscipopt import Model

from hetops.domain import codec
from hetops.solver.problem import Problem
from tests.solver.second_model import SecondModel


def main() -> None:
    """Every file, one after another, each within the seconds."""
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    for path in sorted(folder.iterdir()):
        print(json.dumps({"name": path.name, **answer(_model(path), seconds)}), flush=True)


def _model(path: Path) -> Model:
    if path.suffix == ".json":
        return SecondModel(codec.decode(Problem, path.read_text(encoding="utf-8"), source=path.name)).model
    model = Model()
    model.hideOutput()
    model.readProblem(str(path))
    return model


def answer(model: Model, seconds: float) -> dict[str, float | None]:
    """Bound and objective of a model, to tolerances ten times smaller than SCIP's own; null for infinite."""
    model.hideOutput()
    model.setParam("limits/time", seconds)
    model.setParam("limits/gap", 1e-7)
    model.setParam("numerics/feastol", 1e-7)
    model.optimize()
    if model.getStatus() == "infeasible":
        return {"bound": None, "objective": None}
    found = model.getObjVal() if model.getNSols() else math.nan
    return {"bound": model.getDualbound(), "objective": found}


if __name__ == "__main__":
    main()
