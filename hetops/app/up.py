"""Use case: bring a deployment up, or to what its spec says now. Plans, refuses, asks, applies, waits, probes.

Order matters: nothing is created before prices, budget and port were looked at and the user agreed; the plan and the
keys are on disk before the first node is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from hetops.app.candidates import Asked
from hetops.app.day import fleet_of
from hetops.app.day_file import read_plan
from hetops.app.deployment import (
    Deployment,
    Proposal,
    Talk,
    as_policy_wants,
    of_plan,
    of_spec,
    propose,
)
from hetops.app.gateway import Gateway
from hetops.app.plan import write_plan
from hetops.app.preconditions import (
    check_budget,
    check_engines,
    check_markets,
    check_port,
    check_prices,
    check_providers,
    check_service_keys,
    check_single_nodes,
    check_whole_nodes,
    check_whole_requests,
    ensure_keys,
    first_key,
)
from hetops.app.weights import ensure_weights
from hetops.domain import codec
from hetops.domain.plan import Plan
from hetops.errors import (
    CancelledError,
    EngineError,
    HetopsError,
    InfeasibleError,
    ProvisioningError,
)
from hetops.reports.deployment import Probe, Raised
from hetops.stack.changes import DriftKind
from hetops.stack.render import ROUTER, ROUTER_PROVIDER
from hetops.stack.survey import remove_strays, survey
from hetops.state import history, provider_settings
from hetops.state.history import Action, HistoryEntry
from hetops.state.lock import hold

_MOST_REPLANS = 3
"""How often another fleet is looked for where an offer has no capacity left."""
_ROUTER_SECONDS = 15.0
"""How long a router may take to go by a new plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpAsked:
    """`hetops up` as it was asked."""

    spec: Asked
    plan_file: Path | None = None
    """A plan made before; None plans anew."""


def up(asked: UpAsked, talk: Talk) -> Raised:
    """The deployment, up as planned and answering.

    Raises:
        HetopsError: declined, or the spec, the plan or the port is wrong.
        PolicyError: prices that nothing can be rented at, or a fleet beyond the budget.
        InfeasibleError: no fleet meets the targets.
        LockError: another command works on the deployment.
        ProvisioningError: stopped part-way; what was made is in the state.
        CancelledError: the user stopped it.
    """
    given = read_plan(asked.plan_file, asked.spec) if asked.plan_file else None
    deployment = of_plan(asked.spec, given) if given else of_spec(asked.spec)
    with hold(deployment.folder.create().lock, command="hetops up"):
        with talk.watching({}) as tell:
            deployment.stack.recover(tell)
        plan = given or fleet_of(as_policy_wants(deployment, asked.spec))
        if given and deployment.loaded and given.spec_digest != deployment.loaded.digest:
            talk.say("note: the plan was made from another state of the spec")
        return _Run(asked=asked, deployment=deployment, talk=talk).raised(plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One `up` under the deployment's lock."""

    asked: UpAsked
    deployment: Deployment
    talk: Talk

    def raised(self, plan: Plan) -> Raised:
        """The plan made real; another one where an offer of it has too little capacity left."""
        stock: dict[str, int] = {}
        for attempt in range(_MOST_REPLANS + 1):
            try:
                return self._raise(plan)
            except ProvisioningError as fault:
                standing = Counter(node.pool for node in self.deployment.stack.known_nodes())
                left = stock_left(plan, fault.short_of, standing)
                if not left or self.asked.plan_file or attempt == _MOST_REPLANS:
                    raise
                stock |= left
                self.talk.say("\n".join((fault.message, *(_told(*known) for known in left.items()))))
                plan = self._within(stock, fault)
        raise AssertionError("the last attempt returns or raises")

    def _within(self, stock: Mapping[str, int], fault: ProvisioningError) -> Plan:
        try:
            return fleet_of(as_policy_wants(self.deployment, replace(self.asked.spec, stock=stock)))
        except InfeasibleError as none:
            raise ProvisioningError(
                fault.message, details=(*fault.details, f"with what is left: {none.message}"), hint=fault.hint
            ) from none

    def _raise(self, plan: Plan) -> Raised:
        deployment, talk = self.deployment, self.talk
        self._check(plan)
        proposal = propose(deployment, plan)
        if proposal.diff.has_changes and not talk.agrees(proposal):
            raise HetopsError("declined: nothing was changed")
        keys = Path(deployment.router.api_keys_file)
        ensure_keys(keys, deployment.folder.api_keys)
        if proposal.diff.has_changes:
            ensure_weights(
                (p.configuration for p in plan.pools if not p.offer.emulated),
                deployment.plugins,
                talk.accepts,
            )
            self._apply(proposal)
        probes = self._answering(proposal.after, Gateway(url=deployment.router.url, key=first_key(keys)))
        return self._result(proposal, probes)

    def _check(self, plan: Plan) -> None:
        deployment = self.deployment
        check_prices(plan, self.asked.spec.now)
        check_markets(plan)
        check_whole_nodes(plan)
        check_whole_requests(plan)
        check_single_nodes(plan)
        check_providers(plan, deployment.plugins.providers)
        check_engines(plan, deployment.plugins.engines)
        check_service_keys(plan, self.asked.spec.environment)
        if deployment.loaded:
            check_budget(plan, deployment.loaded.spec.budget)
        check_port(deployment.router, _endpoints_of_ours(deployment))

    def _apply(self, proposal: Proposal) -> None:
        """The stack changed to the plan; whatever comes of it stands in the history."""
        deployment, plan = self.deployment, proposal.after
        write_plan(plan, deployment.folder.plan)
        if deployment.loaded:
            settings = deployment.loaded.spec.provider_settings
            provider_settings.write(deployment.folder.provider_settings, settings)
        try:
            with self.talk.watching(proposal.steps) as tell:
                deployment.stack.up(deployment.inputs(plan), tell)
                known = deployment.stack.known_nodes()
                for name in remove_strays(deployment.folder, known, deployment.driver_of):
                    self.talk.say(f"removed {name}, which no state knew")
        except (CancelledError, KeyboardInterrupt) as stopped:
            self._remember(Action.CANCELLED, plan, str(stopped))
            raise
        except HetopsError as fault:
            standing = self._standing()
            nothing = proposal.before is None and not standing
            self._remember(Action.ROLLED_BACK if nothing else Action.FAILED, plan, fault.message)
            raise _with_what_stands(fault, standing) from fault
        self._remember(Action.UP, plan, proposal.diff.summary)

    def _standing(self) -> tuple[str, ...]:
        """Names of the nodes that the state knows, and of those that run and that it does not know."""
        deployment = self.deployment
        known = deployment.stack.known_nodes()
        found = survey(deployment.folder, known, deployment.driver_of)
        return (*(node.name for node in known), *(d.node for d in found if d.kind is DriftKind.STRAY))

    def _answering(self, plan: Plan, gateway: Gateway) -> dict[str, Probe]:
        """What each model answers, by its name."""
        try:
            gateway.await_plan(codec.digest(plan), _ROUTER_SECONDS)
            return {model: gateway.probe(model) for model in plan.models}
        except EngineError as fault:
            self._remember(Action.FAILED, plan, fault.message)
            raise ProvisioningError(
                f"{self.deployment.name} is there and does not answer: {fault.message}",
                details=fault.details,
                hint="look at `hetops status`, and run up again",
            ) from fault

    def _remember(self, action: Action, plan: Plan, message: str) -> None:
        """A line in the history: what runs from now on, as the state knows it. Without it, all else goes on."""
        try:
            self._append(action, plan, message)
        except HetopsError as fault:
            self.talk.say(f"note: {fault.message}")

    def _append(self, action: Action, plan: Plan, message: str) -> None:
        counts = Counter(node.pool for node in self.deployment.stack.known_nodes() if node.pool != ROUTER)
        history.append(
            self.deployment.home.history,
            HistoryEntry(
                at=datetime.now(UTC),
                deployment=self.deployment.name,
                action=action,
                usd_per_hour=_cost(plan, counts),
                nodes=dict(counts),
                plan_digest=codec.digest(plan),
                message=message,
            ),
        )

    def _result(self, proposal: Proposal, probes: Mapping[str, Probe]) -> Raised:
        deployment, plan = self.deployment, proposal.after
        return Raised(
            deployment=deployment.name,
            at=datetime.now(UTC),
            changed=proposal.diff.has_changes,
            summary=proposal.diff.summary,
            endpoint=deployment.router.url,
            api_keys_file=deployment.router.api_keys_file,
            model=plan.model,
            nodes={pool.name: pool.nodes for pool in plan.pools},
            usd_per_hour=plan.usd_per_hour,
            emulated=any(pool.offer.emulated for pool in plan.pools),
            probe=next(iter(probes.values())),
            notes=plan.warnings,
            probes=probes if len(probes) > 1 else {},
        )


def stock_left(plan: Plan, short_of: Iterable[str], standing: Mapping[str, int]) -> dict[str, int]:
    """Nodes that can be had of each offer that a plan's pools were short of: those that stand, by pool, and never all
    that the plan wanted of it, or the same plan would be made again."""
    short = set(short_of)
    offers = {pool.offer.id for pool in plan.pools if pool.name in short}
    on_offer = {offer: [pool for pool in plan.pools if pool.offer.id == offer] for offer in sorted(offers)}
    return {
        offer: min(sum(standing.get(p.name, 0) for p in pools), sum(p.nodes for p in pools) - 1)
        for offer, pools in on_offer.items()
    }


def _told(offer: str, left: int) -> str:
    if left == 0:
        return f"no capacity left for {offer}: planning without"
    return f"no more than {left} of {offer} can be had: planning with so many"


def _with_what_stands(fault: HetopsError, standing: tuple[str, ...]) -> HetopsError:
    """The failure, with the nodes that were made or were there before and are kept."""
    if not isinstance(fault, ProvisioningError):
        return fault
    if standing:
        told = f"kept: {', '.join(standing)}", "run up again to go on, or down to remove what stands"
    else:
        told = "nothing is left running", "mend it and run up again"
    return ProvisioningError(
        fault.message, details=(*fault.details, *told), hint=fault.hint, short_of=fault.short_of
    )


def _endpoints_of_ours(deployment: Deployment) -> tuple[str, ...]:
    """Where the deployment's own processes on this host listen, whether a state knows them or not."""
    nodes = asyncio.run(deployment.driver_of(ROUTER_PROVIDER, deployment.name).list(deployment.name))
    return tuple(endpoint for node in nodes for endpoint in node.endpoints if endpoint)


def _cost(plan: Plan, counts: Mapping[str, int]) -> Decimal:
    """What the nodes cost that a plan of ours knows the price of."""
    prices = {pool.name: pool.offer.total_usd_per_hour for pool in plan.pools}
    return sum((prices.get(name, Decimal(0)) * count for name, count in counts.items()), Decimal(0))
