"""Use case: remove a deployment: its nodes, those that only intents or providers know, its files. Its history stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from hetops.app.candidates import Asked
from hetops.app.deployment import Deployment, Talk, by_name, of_spec, saved_plan
from hetops.domain import codec
from hetops.domain.plan import Plan
from hetops.errors import CancelledError, DocumentError, HetopsError, ProvisioningError
from hetops.reports.deployment import Removal, Removed
from hetops.stack.changes import DriftKind
from hetops.stack.render import ROUTER
from hetops.stack.survey import remove_strays, survey
from hetops.state import history
from hetops.state.history import Action, HistoryEntry
from hetops.state.lock import hold


@dataclass(frozen=True, slots=True, kw_only=True)
class DownAsked:
    """`hetops down` as it was asked."""

    spec: Asked
    deployment: str = ""
    """A deployment by its name, whatever became of its spec; empty takes the spec's."""


def down(asked: DownAsked, talk: Talk) -> Removed:
    """The deployment, gone.

    Raises:
        HetopsError: declined, or the spec is wrong and no deployment is named.
        LockError: another command works on the deployment.
        ProvisioningError: something could not be removed; the rest is gone.
        CancelledError: the user stopped it.
    """
    deployment = by_name(asked.spec, asked.deployment) if asked.deployment else of_spec(asked.spec)
    if not deployment.folder.exists:
        return Removed(deployment=deployment.name, at=datetime.now(UTC), changed=False)
    with hold(deployment.folder.lock, command="hetops down"):
        with talk.watching({}) as tell:
            deployment.stack.recover(tell)
        removal = _removal(deployment)
        if removal.names and not talk.lets_go(removal):
            raise HetopsError("declined: nothing was changed")
        names = _removed(deployment, removal, talk)
        deployment.folder.remove()
    return Removed(
        deployment=deployment.name,
        at=datetime.now(UTC),
        changed=bool(names),
        nodes=names,
        usd_per_hour_saved=removal.usd_per_hour or Decimal(0),
    )


def _removal(deployment: Deployment) -> Removal:
    known = deployment.stack.known_nodes()
    strays = tuple(
        drift
        for drift in survey(deployment.folder, known, deployment.driver_of)
        if drift.kind is DriftKind.STRAY
    )
    prices = {p.name: p.offer.total_usd_per_hour for plan in _plans(deployment) for p in plan.pools}
    pools = [pool for pool in (*(n.pool for n in known), *(s.pool for s in strays)) if pool != ROUTER]
    return Removal(
        deployment=deployment.name,
        nodes=tuple((n.pool, n.name) for n in known),
        strays=tuple(s.node for s in strays),
        usd_per_hour=sum((prices.get(p, Decimal(0)) for p in pools), Decimal(0)) if prices else None,
    )


def _plans(deployment: Deployment) -> Iterator[Plan]:
    """The plans that tell prices: the one last asked for, then the one that is up. One that nobody reads tells none."""
    try:
        up = deployment.stack.outputs().plan
    except DocumentError:
        up = None
    yield from (plan for plan in (saved_plan(deployment.folder), up) if plan is not None)


def _removed(deployment: Deployment, removal: Removal, talk: Talk) -> tuple[str, ...]:
    """The names of all nodes, once they are gone and the history says so."""
    plan = next(_plans(deployment), None)
    expected: dict[str, int] = {}
    for pool, _ in removal.nodes:
        expected[pool] = expected.get(pool, 0) + 1
    try:
        with talk.watching(expected) as tell:
            deployment.stack.down(tell)
        strays = remove_strays(deployment.folder, (), deployment.driver_of)
    except (CancelledError, KeyboardInterrupt) as stopped:
        _remember(deployment, Action.CANCELLED, plan, removal, str(stopped))
        raise
    except ProvisioningError as fault:
        _remember(deployment, Action.FAILED, plan, removal, fault.message)
        raise ProvisioningError(
            fault.message, details=fault.details, hint="run down again: it goes on with what is left"
        ) from fault
    names = tuple(dict.fromkeys((*removal.names, *strays)))
    if names:
        _remember(deployment, Action.DOWN, plan, Removal(deployment=deployment.name, nodes=()), "")
    return names


def _remember(deployment: Deployment, action: Action, plan: Plan | None, left: Removal, message: str) -> None:
    counts: dict[str, int] = {}
    for pool, _ in left.nodes:
        counts[pool] = counts.get(pool, 0) + 1
    history.append(
        deployment.home.history,
        HistoryEntry(
            at=datetime.now(UTC),
            deployment=deployment.name,
            action=action,
            usd_per_hour=left.usd_per_hour or Decimal(0),
            nodes=counts,
            plan_digest=codec.digest(plan) if plan else "",
            message=message,
        ),
    )
