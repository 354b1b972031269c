"""What must hold before an `up` changes anything: prices that can be paid, the budget, a free port, keys.

Looks at prices, the port and the keys' file; starts nothing.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from hetops.domain.configuration import Role
from hetops.domain.offer import Market
from hetops.domain.plan import Plan
from hetops.errors import CredentialsError, HetopsError, PolicyError
from hetops.files import read_bytes, write_whole
from hetops.plugin.engine import Engine
from hetops.plugin.provider import Provider, for_planning_only
from hetops.reports import quantities as q
from hetops.spec.fields import BudgetSpec
from hetops.stack.inputs import RouterInputs

_KEY_BYTES = 24


def check_prices(plan: Plan, now: datetime) -> None:
    """Every offer of the plan has a price that it can be rented at now.

    Raises:
        PolicyError: a list price is for planning only, or a live price is older than it holds.
    """
    offers = {offer.id: offer for pool in plan.pools for offer in pool.offers}.values()
    if listed := [o for o in offers if o.plan_only]:
        raise PolicyError(
            "list prices are for planning only, nothing is rented at them",
            details=(f"{o.id}: {o.source}" for o in listed),
            hint="enable a provider with live prices, or rehearse here: emulate = true under [providers.local]",
        )
    if stale := [o for o in offers if o.stale(now)]:
        raise PolicyError(
            "prices of this plan are out of date",
            details=(
                f"{o.id}: seen {q.seconds(o.age_seconds(now))} ago, holds {o.ttl_seconds} s" for o in stale
            ),
            hint="plan again: run up without the plan file and without --offline",
        )


def check_providers(plan: Plan, providers: Iterable[Provider]) -> None:
    """Every provider of the plan can provision what was planned on it.

    Raises:
        PolicyError: one is for planning only.
    """
    only = {p.name for p in providers if for_planning_only(p)}
    if offers := {pool.offer.id: pool.offer for pool in plan.pools if pool.offer.provider in only}:
        names = ", ".join(sorted({o.provider for o in offers.values()}))
        raise PolicyError(
            f"{names}: for planning only, hetops cannot provision on it yet",
            details=offers,
            hint=f"set enabled = false under [providers.{names.partition(',')[0]}], or --exclude its offers",
        )


def check_whole_nodes(plan: Plan) -> None:
    """No node of the plan is shared by pools, and no GPU is cut.

    Raises:
        PolicyError: one is; a node runs the engines of one pool as yet.
    """
    field = "share_gpus" if any(pool.configuration.mig for pool in plan.pools) else "share_nodes"
    if shared := [pool for pool in plan.pools if pool.parts_per_node > 1]:
        raise PolicyError(
            "nodes that pools share can only be planned with, hetops starts the engines of one pool on a node as yet",
            details=(f"{p.name}: {p.nodes} of {p.parts_per_node} parts of {p.offer.id}" for p in shared),
            hint=f"plan whole nodes for each pool: set {field} = false under [policy]",
        )


def check_whole_requests(plan: Plan) -> None:
    """Every replica of the plan serves whole requests.

    Raises:
        PolicyError: one prefills, or decodes, alone; engines that hand KV caches over are not started yet.
    """
    if apart := [pool for pool in plan.pools if pool.configuration.role is not Role.MIXED]:
        raise PolicyError(
            "prefill and decode apart can only be planned with, hetops starts no engines that hand KV caches over yet",
            details=(f"{p.name}: {p.configuration.role} alone on {p.offer.id}" for p in apart),
            hint="plan replicas that serve whole requests: leave [engine.disaggregation] out",
        )


def check_single_nodes(plan: Plan) -> None:
    """Every replica of the plan is within a node.

    Raises:
        PolicyError: the stages of one are on several; engines over nodes are not started yet.
    """
    if over := [pool for pool in plan.pools if pool.also]:
        raise PolicyError(
            "replicas over several nodes can only be planned with, hetops starts no engine over nodes yet",
            details=(f"{p.name}: {' and '.join(o.id for o in p.offers)}" for p in over),
            hint="plan replicas within nodes: leave [engine.across_nodes] out",
        )


def check_markets(plan: Plan) -> None:
    """Nodes of every market of the plan can be asked for.

    Raises:
        PolicyError: reserved nodes or a capacity block: which of a provider's nodes are those, hetops cannot say yet.
    """
    held = (Market.RESERVED, Market.CAPACITY_BLOCK)
    offers = {p.offer.id: p.offer for p in plan.pools if p.offer.market in held and not p.offer.emulated}
    if offers:
        raise PolicyError(
            "reserved nodes and capacity blocks can only be planned with, hetops cannot provision on them yet",
            details=offers,
            hint="plan without [[reserved]] and with offers.markets of on_demand and spot, or rehearse here: "
            "emulate = true under [providers.local]",
        )


def check_engines(plan: Plan, engines: Iterable[Engine]) -> None:
    """Every engine of the plan is brought by a plugin that can start it; emulated ones are hetops' own.

    Raises:
        PolicyError: one can only be planned with.
    """
    known = {engine.name for engine in engines}
    needed = {p.name: p.configuration.engine for p in plan.pools if not p.offer.emulated}
    if missing := {pool: engine for pool, engine in needed.items() if engine not in known}:
        raise PolicyError(
            f"{', '.join(sorted(set(missing.values())))}: no plugin starts this engine, it can only be planned with",
            details=(f"pool {pool}: {engine}" for pool, engine in missing.items()),
            hint="install a plugin that brings it, or rehearse here: emulate = true under [providers.local]",
        )


def check_service_keys(plan: Plan, environment: Mapping[str, str]) -> None:
    """The router will find the key of every service.

    Raises:
        CredentialsError: a variable is not set, or holds nothing.
    """
    wanted = {s.service.api_key_variable: s.name for s in plan.services if s.service.api_key_variable}
    for variable, name in wanted.items():
        if not environment.get(variable, "").strip():
            raise CredentialsError(
                f"the environment variable {variable} is not set: the router needs the key of {name} there",
                hint=f"export {variable}=..., or leave {name} out of [[overflow]]",
            )


def check_budget(plan: Plan, budget: BudgetSpec) -> None:
    """The fleet costs no more than the spec allows.

    Raises:
        PolicyError: it does.
    """
    limit = budget.limit_usd_per_hour
    if limit is not None and plan.usd_per_hour > limit:
        raise PolicyError(
            f"the fleet costs {q.usd_both(plan.usd_per_hour)}, the budget is {q.usd_both(limit)}",
            hint="raise budget.usd_per_hour, or plan again",
        )


def check_port(router: RouterInputs, own_endpoints: Iterable[str]) -> None:
    """The router's port is free, or taken by this deployment's own router.

    Raises:
        HetopsError: another process listens there, or the host is none of this machine's addresses.
    """
    if router.url in {endpoint.rstrip("/") for endpoint in own_endpoints}:
        return
    try:
        with socket.create_server((router.host, router.port), family=_family(router.host)):
            return
    except OSError as fault:
        raise HetopsError(
            f"the router cannot listen on {router.host} port {router.port}: {_reason(fault)}",
            hint=f"set router.port to a free one, for example {_free_port(router)}",
        ) from fault


def ensure_keys(path: Path, own: Path) -> None:
    """There is a file with the router's API keys; one of ours is made, for its owner alone, where it is missing.

    Raises:
        HetopsError: a file that the spec names is not there, holds no key, or can be read by others.
    """
    if path == own and not path.exists():
        write_whole(path, f"sk-hetops-{secrets.token_urlsafe(_KEY_BYTES)}\n".encode(), mode=0o600)
        return
    if not any(_keys(path)):
        raise HetopsError(
            f"API keys {path} holds no key", hint="write one key a line, or remove router.api_keys_file"
        )
    if path.stat().st_mode & 0o077:
        raise HetopsError(f"API keys {path} can be read by others", hint=f"chmod 600 {path}")


def first_key(path: Path) -> str:
    """The first key of the file; empty where there is none."""
    return next(_keys(path), "")


def _keys(path: Path) -> Iterator[str]:
    lines = (
        line.strip() for line in read_bytes(path, what="API keys").decode("utf-8", "replace").splitlines()
    )
    return (line for line in lines if line and not line.startswith("#"))


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _reason(fault: OSError) -> str:
    return "another process does" if fault.errno == errno.EADDRINUSE else fault.strerror or str(fault)


def _free_port(router: RouterInputs) -> int:
    """A port above the wanted one that nobody listens on; the wanted one's neighbour where none is found."""
    for port in range(router.port + 1, min(router.port + 50, 65536)):
        with (
            contextlib.suppress(OSError),
            socket.create_server((router.host, port), family=_family(router.host)),
        ):
            return port
    return router.port + 1
