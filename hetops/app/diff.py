"""Use case: what an `up` would change. Changes nothing."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from hetops.app.candidates import Asked
from hetops.app.day import fleet_of
from hetops.app.day_file import read_plan
from hetops.app.deployment import Proposal, as_policy_wants, of_plan, of_spec, propose
from hetops.app.preconditions import (
    check_engines,
    check_markets,
    check_providers,
    check_single_nodes,
    check_whole_nodes,
    check_whole_requests,
)
from hetops.state.lock import hold


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffAsked:
    """`hetops diff` as it was asked."""

    spec: Asked
    plan_file: Path | None = None
    """A plan made before; None plans anew."""


def diff(asked: DiffAsked) -> Proposal:
    """What an `up` would change: the real preview of the stack, and the drift of what runs.

    Raises:
        HetopsError: the spec or the plan is wrong, or the preview fails.
        PolicyError: a fleet that can be planned with and not brought up has no preview.
        InfeasibleError: no fleet meets the targets.
        LockError: another command changes the deployment.
    """
    given = read_plan(asked.plan_file, asked.spec) if asked.plan_file else None
    deployment = of_plan(asked.spec, given) if given else of_spec(asked.spec)
    folder = deployment.folder
    alone = hold(folder.lock, command="hetops diff") if folder.exists else contextlib.nullcontext()
    with alone:
        plan = given or fleet_of(as_policy_wants(deployment, asked.spec))
        check_markets(plan)
        check_whole_nodes(plan)
        check_whole_requests(plan)
        check_single_nodes(plan)
        check_providers(plan, deployment.plugins.providers)
        check_engines(plan, deployment.plugins.engines)
        return propose(deployment, plan)
