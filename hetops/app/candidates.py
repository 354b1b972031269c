"""Use case: everything that a fleet can be chosen from: workload, offers, configurations. Wires; decides nothing.

What `plan`, `bench` and every other command that starts from a spec share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hetops.app.holdings import Held, with_held
from hetops.app.naming import demand_known
from hetops.app.offers import Gathered, Surroundings, gather, wanted_by
from hetops.app.origins import by_origin, demand_places_known
from hetops.app.quality import floors_of
from hetops.app.requests import Requests, check_context, requests_of, workload_of
from hetops.catalog import hub_config, tables
from hetops.catalog.tables import Catalog
from hetops.configurations.engines import BUILT_IN
from hetops.configurations.enumerate import (
    Enumeration,
    Rules,
    Space,
    context_needed,
    enumerate_configurations,
)
from hetops.domain.configuration import Configuration, Speculation
from hetops.domain.gpu import GpuType
from hetops.domain.model import Checkpoint, Model
from hetops.domain.offer import Market, Offer, Trait
from hetops.domain.performance import StepTimes
from hetops.domain.plan import Plan
from hetops.domain.workload import Workload
from hetops.errors import UnknownNameError
from hetops.offers.collect import DEADLINE_SECONDS, Freshness
from hetops.performance.estimate import step_times
from hetops.performance.memory import fit
from hetops.performance.rate import gpu_seconds
from hetops.plugin import manager
from hetops.plugin.engine import Engine, EngineNeeds
from hetops.plugin.manager import Plugins
from hetops.spec.fields import LoadedSpec, Spec, SpeculativeSpec
from hetops.spec.load import find, load, place
from hetops.state.home import Home, home
from hetops.workloads.error import CostOf
from hetops.workloads.trace import Floats

_PRECIOUS = ("file:", "package:")
"""Checkpoints that lie on one machine: no GPU of a cloud can fetch them by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A command's question about a spec."""

    file: Path | None
    """The spec that the user named; None takes hetops.toml in `folder`."""
    folder: Path
    environment: Mapping[str, str]
    now: datetime
    overrides: tuple[str, ...] = ()
    """`key.path=value`, each in place of a field of the spec."""
    stock: Mapping[str, int] = field(default_factory=dict)
    """Nodes that can be had of offers, by their ids, where more is known than their providers say; with none left an
    offer may not be chosen."""
    running: Plan | None = None
    """The fleet to plan from, which runs already; None plans from nothing."""
    period: str = ""
    """Which plan of a day is meant, where one is; empty is that of the period which is now, if somebody says when."""
    freshness: Freshness = Freshness.CACHED
    deadline_seconds: float = DEADLINE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What there is to choose from."""

    loaded: LoadedSpec
    plugins: Plugins
    catalog: Catalog
    home: Home
    model: Model
    workload: Workload
    gathered: Gathered
    enumeration: Enumeration
    rules: Rules
    """What the configurations had to keep."""
    without_floors: Enumeration
    """The configurations without quality floors; the same where the spec sets none."""
    now: datetime
    held: Held = field(default_factory=Held)
    recorded_seconds: float | None = None
    """How long the trace took as it was recorded, whatever its rates are scaled by; None where classes are stated."""

    @property
    def spec(self) -> Spec:
        """The spec itself."""
        return self.loaded.spec

    @property
    def gpus(self) -> Mapping[str, GpuType]:
        """GPU types by name."""
        return {g.name: g for g in self.catalog.gpu_types}


def load_spec(asked: Asked) -> LoadedSpec:
    """The spec that is asked about.

    Raises:
        SpecError: there is none, or it says something impossible.
        UsageError: an override that is none.
    """
    return load(find(asked.file, asked.folder), asked.overrides, asked.environment)


def candidates(asked: Asked) -> Candidates:
    """Reads the spec, asks the providers, makes classes, lists configurations.

    Raises:
        HetopsError: the spec, its trace or a name in it is wrong.
        InfeasibleError: no offer or no configuration is left.
    """
    loaded = load_spec(asked)
    plugins = manager.load(loaded.spec.plugins.allow)
    engines = _engines(loaded, plugins)
    catalog = _catalog(loaded, plugins)
    state = home(asked.environment, beside=loaded.folder)
    surroundings = Surroundings(
        plugins=plugins,
        catalog=catalog,
        now=asked.now,
        cache_folder=state.cache / "offers",
        freshness=asked.freshness,
        deadline_seconds=asked.deadline_seconds,
    )
    wanted = wanted_by(loaded, surroundings)
    none_left = (offer for offer, nodes in asked.stock.items() if nodes == 0)
    excluding = replace(wanted.rules, exclude=(*wanted.rules.exclude, *none_left))
    stocked = with_held(loaded, gather(replace(wanted, rules=excluding), surroundings), asked.running)
    gathered = _stocked(stocked.gathered, asked.stock)
    found = _Found(loaded=loaded, catalog=catalog, engines=engines, gathered=gathered)
    stated, names = requests_of(loaded), _names(loaded, plugins, catalog)
    requests = replace(stated, classes=by_origin(loaded, stated.classes))
    demand_known(loaded, gathered, requests.classes, names)
    demand_places_known(loaded, gathered, names[Trait.PROVIDER])
    model = _model(found)
    check_context(requests.classes, model)
    rules = _configuration_rules(loaded.spec, model, requests)
    enumeration = _configurations(found, model, rules)
    return Candidates(
        loaded=loaded,
        plugins=plugins,
        catalog=catalog,
        home=state,
        model=model,
        workload=workload_of(loaded, requests, _costs(enumeration, model, found)),
        gathered=gathered,
        enumeration=enumeration,
        rules=rules,
        without_floors=(
            _configurations(found, model, replace(rules, floors=())) if rules.floors else enumeration
        ),
        now=asked.now,
        held=stocked.held,
        recorded_seconds=requests.recorded_seconds,
    )


def _names(loaded: LoadedSpec, plugins: Plugins, catalog: Catalog) -> Mapping[str, Iterable[str]]:
    """Names of traits that are known though no offer seen has them."""
    services = [service.name for service in loaded.spec.overflow]
    return {
        Trait.OFFER: services,
        Trait.PROVIDER: [*(p.name for p in plugins.providers), *services],
        Trait.GPU: [g.name for g in catalog.gpu_types],
        Trait.MARKET: list(Market),
    }


def _stocked(gathered: Gathered, stock: Mapping[str, int]) -> Gathered:
    """With no more of an offer than is known to be left."""

    def most(offer: Offer) -> Offer:
        if offer.id not in stock:
            return offer
        told = offer.limits.max_count
        left = stock[offer.id] if told is None else min(told, stock[offer.id])
        return replace(offer, limits=replace(offer.limits, max_count=left))

    selection = gathered.selection
    return replace(
        gathered, selection=replace(selection, offers=tuple(most(offer) for offer in selection.offers))
    )


def engine_needs(plugins: Plugins) -> Mapping[str, EngineNeeds]:
    """What every engine that can be planned with wants, by its name; GPU engines first."""
    return {**BUILT_IN, **{engine.name: engine.needs for engine in plugins.engines}}


def checkpoints_for(needs: EngineNeeds, known: Iterable[Checkpoint]) -> tuple[Checkpoint, ...]:
    """Those of the catalogue's checkpoints that an engine gets at: the host's cores read what lies on the host."""
    on_this_machine = "cpu" in needs.gpu_vendors
    return tuple(c for c in known if c.reference.startswith(_PRECIOUS) == on_this_machine)


def _catalog(loaded: LoadedSpec, plugins: Plugins) -> Catalog:
    """What is known, and the model that the spec describes by a file of its own."""
    models, checkpoints = plugins.models, plugins.checkpoints
    if loaded.spec.model.config:
        own = hub_config.read(loaded.folder / loaded.spec.model.config, loaded.spec.model.name)
        models, checkpoints = (*models, own.model), (*checkpoints, own.checkpoint)
    return tables.load(plugins.gpu_types, models, checkpoints)


def engine_settings(loaded: LoadedSpec, engine: str) -> Mapping[str, Any]:
    """`[engine.settings.NAME]`; a text that begins with `./` or `../` is a path beside the spec."""
    settings = loaded.spec.engine.settings.get(engine, {})
    return {key: _beside(value, loaded.folder) for key, value in settings.items()}


def _beside(value: Any, folder: Path) -> Any:
    if isinstance(value, str) and value.startswith(("./", "../")):
        return str((folder / value).resolve())
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _EngineChoice:
    """An engine that may be chosen; GPU engines that no plugin registers can be planned with all the same."""

    name: str
    needs: EngineNeeds
    plugin: Engine | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    loaded: LoadedSpec
    catalog: Catalog
    engines: tuple[_EngineChoice, ...]
    gathered: Gathered


def _engines(loaded: LoadedSpec, plugins: Plugins) -> tuple[_EngineChoice, ...]:
    """The engines that the spec allows, all that are known where it names none."""
    registered = {e.name: e for e in plugins.engines}
    needs = engine_needs(plugins)
    names = loaded.spec.engine.names or tuple(needs)
    for index, name in enumerate(names):
        if name not in needs:
            raise UnknownNameError("engine", name, needs, where=place(loaded, "engine", "names", index))
    return tuple(
        _EngineChoice(
            name=name,
            needs=needs[name],
            plugin=registered.get(name),
            settings=engine_settings(loaded, name),
        )
        for name in names
    )


def _model(found: _Found) -> Model:
    """The model of the catalogue or, for a name that it does not know, of an engine's own file."""
    name = found.loaded.spec.model.name
    if name not in {m.name for m in found.catalog.models}:
        for engine in found.engines:
            of_file = getattr(engine.plugin, "model", None)
            own: Model | None = of_file(name, engine.settings) if of_file else None
            if own is not None:
                return own
    return found.catalog.model(name, where=place(found.loaded, "model", "name"))


def _configuration_rules(spec: Spec, model: Model, requests: Requests) -> Rules:
    return Rules(
        precisions=spec.model.precisions,
        max_context_tokens=context_needed((requests.longest_tokens,), spec.model.max_context_tokens, model),
        input_tokens_p90=max(c.input_tokens.p90 for c in requests.classes),
        kv=spec.model.kv_precision,
        speculation=_speculation(spec.engine.speculative),
        floors=floors_of(spec, requests.classes),
    )


def _speculation(asked: SpeculativeSpec | None) -> Speculation | None:
    if asked is None:
        return None
    return Speculation(
        draft_tokens=asked.draft_tokens, acceptance=asked.acceptance, draft_share=asked.draft_share
    )


def _configurations(found: _Found, model: Model, rules: Rules) -> Enumeration:
    """Every configuration of every engine on the GPU types on offer."""
    spaces = (_space(engine, found, model) for engine in found.engines)
    each = [enumerate_configurations(space, rules, _fits(model)) for space in spaces]
    return Enumeration(
        configurations=tuple(c for e in each for c in e.configurations),
        refusals=tuple(r for e in each for r in e.refusals),
    )


def _space(engine: _EngineChoice, found: _Found, model: Model) -> Space:
    largest: dict[str, int] = {}
    for offer in found.gathered.selection.offers:
        largest[offer.gpu] = max(largest.get(offer.gpu, 0), offer.gpu_count)
    return Space(
        model=model,
        checkpoints=_checkpoints(engine, found.catalog, model),
        engines={engine.name: engine.needs},
        gpus={g.name: g for g in found.catalog.gpu_types},
        largest_node=largest,
    )


def _checkpoints(engine: _EngineChoice, catalog: Catalog, model: Model) -> tuple[Checkpoint, ...]:
    """What the engine's own settings name, else what the catalogue knows and the engine can get at."""
    own = engine.plugin.checkpoints(model, engine.settings) if engine.plugin else ()
    return own or checkpoints_for(engine.needs, catalog.checkpoints_of(model.name))


def _fits(model: Model) -> Callable[[Configuration, GpuType], str]:
    return lambda configuration, gpu: fit(configuration, model, gpu).reason


def _costs(enumeration: Enumeration, model: Model, found: _Found) -> Mapping[str, CostOf]:
    """What requests cost on each GPU type, in its smallest configuration: what the classes' error is reckoned on."""
    gpus = {g.name: g for g in found.catalog.gpu_types}
    smallest: dict[str, Configuration] = {}
    for configuration in sorted(enumeration.configurations, key=lambda c: (c.gpu_count, c.id)):
        smallest.setdefault(configuration.gpu, configuration)

    def cost(times: StepTimes) -> CostOf:
        def of(input_tokens: Floats, output_tokens: Floats) -> Floats:
            return gpu_seconds(times, input_tokens, output_tokens)

        return of

    times = step_times(tuple(smallest.values()), model, gpus)
    return {name: cost(found) for name, found in zip(smallest, times, strict=True)}
