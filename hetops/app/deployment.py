"""What every command on a deployment shares: which one is meant, its stack, its inputs, how the user is talked with.

Wires spec, state, plugins and stack; `up`, `diff`, `status` and `down` decide what is done with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from hetops.app.candidates import Asked, engine_settings, load_spec
from hetops.app.launchers import program
from hetops.domain import codec
from hetops.domain.plan import Plan
from hetops.errors import DocumentError, HetopsError, UsageError
from hetops.files import read_bytes
from hetops.plugin import manager
from hetops.plugin.engine import Download
from hetops.plugin.manager import Plugins
from hetops.reports.deployment import Removal
from hetops.spec.fields import LoadedSpec, RouterSpec, Spec
from hetops.stack.changes import Changes, PoolEvent, StepKind
from hetops.stack.diff import FleetDiff, fleet_diff, settled
from hetops.stack.driver import FleetStack, StackPlace
from hetops.stack.engine import choose_engine
from hetops.stack.inputs import FleetInputs, RouterInputs
from hetops.stack.render import EMULATOR
from hetops.stack.survey import survey
from hetops.state.drivers import DriverOf, drivers
from hetops.state.home import DeploymentFolder, Home, home

Tell = Callable[[PoolEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment, up or not, with what works on it."""

    home: Home
    folder: DeploymentFolder
    plugins: Plugins
    stack: FleetStack
    driver_of: DriverOf
    router: RouterInputs
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by engine name."""
    loaded: LoadedSpec | None = None
    """None where it was found by its name or its plan alone."""

    @property
    def name(self) -> str:
        """The deployment's name."""
        return self.folder.name

    def inputs(self, plan: Plan) -> FleetInputs:
        """What the stack program reads to make the plan real."""
        return FleetInputs(plan=plan, engines=self.engines, router=self.router)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What would change, and the plans on both sides. `before` is None where nothing is up."""

    before: Plan | None
    after: Plan
    changes: Changes
    diff: FleetDiff

    @property
    def steps(self) -> Mapping[str, int]:
        """Resources that change, by pool."""
        return Counter(s.pool for s in self.changes.steps if s.kind is not StepKind.SAME)


class Talk(Protocol):
    """How a use case talks with whoever asked for it: on stderr, never on stdout."""

    def say(self, text: str) -> None:
        """One thing worth knowing."""
        ...

    def agrees(self, proposal: Proposal) -> bool:
        """Shows what would change and asks; HetopsError where there is nobody to ask."""
        ...

    def lets_go(self, removal: Removal) -> bool:
        """Shows what would be removed and asks; HetopsError where there is nobody to ask."""
        ...

    def accepts(self, download: Download) -> bool:
        """Shows a licence and asks; HetopsError where there is nobody to ask."""
        ...

    def watching(self, expected: Mapping[str, int]) -> AbstractContextManager[Tell]:
        """Shows progress while the block runs; `expected` is how many steps each pool will have."""
        ...


def of_spec(asked: Asked) -> Deployment:
    """The deployment that the spec names.

    Raises:
        HetopsError: the spec is wrong, or there is no Pulumi engine.
    """
    loaded = load_spec(asked)
    state = home(asked.environment, beside=loaded.folder)
    return _opened(asked, state, state.deployment(loaded.spec.deployment.name), loaded)


def of_plan(asked: Asked, plan: Plan) -> Deployment:
    """The deployment of a plan that was made before; a spec beside it says how engines and router are set.

    Raises:
        HetopsError: as `of_spec`, or the spec is another deployment's.
    """
    if asked.file is None and not (asked.folder / Spec.FILE_NAME).is_file():
        return by_name(asked, plan.deployment)
    deployment = of_spec(asked)
    if deployment.name != plan.deployment:
        raise UsageError(
            f"the plan is for {plan.deployment}, the spec for {deployment.name}",
            hint="name the plan's own spec with -f",
        )
    return deployment


def by_name(asked: Asked, name: str) -> Deployment:
    """A deployment by its name, whatever became of its spec; the spec is read where it is sound and names the same.

    Raises:
        UsageError: no name of a deployment.
        HetopsError: there is no Pulumi engine.
    """
    try:
        loaded = load_spec(asked)
    except HetopsError:
        loaded = None
    state = home(asked.environment, beside=loaded.folder if loaded else _beside(asked))
    own = loaded if loaded and loaded.spec.deployment.name == name else None
    return _opened(asked, state, state.deployment(name), own)


def saved_plan(folder: DeploymentFolder) -> Plan | None:
    """The plan that an `up` last asked for; None where there is none that this version reads."""
    try:
        return _decoded(folder.plan) if folder.plan.exists() else None
    except DocumentError:
        return None


def _decoded(path: Path) -> Plan:
    return codec.decode(Plan, read_bytes(path, what="plan"), source=str(path))


def propose(deployment: Deployment, plan: Plan) -> Proposal:
    """What an `up` of the plan would change: the stack's preview and the survey of what runs, side by side.

    Raises:
        HetopsError: the preview fails, or a provider does not say what it has.
    """
    before = standing(deployment)
    after = settled(before, plan)
    known = deployment.stack.known_nodes()
    with ThreadPoolExecutor(max_workers=1) as side:
        drift = side.submit(survey, deployment.folder, known, deployment.driver_of)
        changes = deployment.stack.preview(deployment.inputs(after))
        diff = fleet_diff(before, after, changes, drift.result())
    return Proposal(before=before, after=after, changes=changes, diff=diff)


def standing(deployment: Deployment) -> Plan | None:
    """The plan that is up; where a first `up` stopped part-way, as much of its plan as the state knows nodes of.

    Raises:
        HetopsError: the state cannot be read.
    """
    plan = deployment.stack.outputs().plan
    saved = None if plan else saved_plan(deployment.folder)
    if saved is None:
        return plan
    counts = Counter(node.pool for node in deployment.stack.known_nodes())
    pools = tuple(replace(p, nodes=counts[p.name]) for p in saved.pools if counts[p.name])
    return replace(saved, pools=pools, shares=()) if pools else None


def from_running(asked: Asked) -> Asked:
    """The question from the fleet that runs.

    Raises:
        HetopsError: nothing runs, the state cannot be read, or there is no Pulumi engine.
    """
    deployment = of_spec(asked)
    running = standing(deployment)
    if running is None or not running.pools:
        raise UsageError(
            f"{deployment.name} does not run: there is no fleet to plan from",
            hint="bring it up with `hetops up`, or plan from nothing: leave --from-running out",
        )
    return replace(asked, running=running)


def as_policy_wants(deployment: Deployment, asked: Asked) -> Asked:
    """The question from the fleet that runs where the spec has `[policy.migration]`, from nothing elsewhere.

    Raises:
        HetopsError: the state cannot be read.
    """
    wanted = deployment.loaded is not None and deployment.loaded.spec.policy.migration is not None
    return replace(asked, running=standing(deployment) if wanted else None)


def _beside(asked: Asked) -> Path:
    """The folder that the state lies in where the spec cannot be read."""
    if asked.file is None:
        return asked.folder
    return asked.file if asked.file.is_dir() else asked.file.parent


def _opened(asked: Asked, state: Home, folder: DeploymentFolder, loaded: LoadedSpec | None) -> Deployment:
    spec = loaded.spec if loaded else None
    plugins = manager.load(spec.plugins.allow if spec else None)
    place = StackPlace(
        home=state,
        folder=folder,
        engine=choose_engine(asked.environment),
        backend=spec.state.backend if spec else "",
        environment=asked.environment,
    )
    names = (*spec.engine.settings, EMULATOR) if spec else ()
    return Deployment(
        home=state,
        folder=folder,
        plugins=plugins,
        stack=FleetStack(place, program(plugins)),
        driver_of=drivers(plugins, state),
        router=_router(folder, loaded),
        engines={name: engine_settings(loaded, name) for name in names} if loaded else {},
        loaded=loaded,
    )


def _router(folder: DeploymentFolder, loaded: LoadedSpec | None) -> RouterInputs:
    router = loaded.spec.router if loaded else RouterSpec()
    own_keys = loaded.folder / router.api_keys_file if loaded and router.api_keys_file else folder.api_keys
    return RouterInputs(
        host=router.host,
        port=router.port,
        config_path=str(folder.router_config.absolute()),
        api_keys_file=str(own_keys.absolute()),
        observations_file=str(folder.observations.absolute()),
        origin=router.origin,
    )
