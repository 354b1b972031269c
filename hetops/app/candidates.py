"""Use case: everything that a fleet can be chosen from: workload, offers, configurations. Wires; decides nothing.

What `plan`, `bench` and every other command that starts from a spec share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hetops.app.holdings import Held, with_held
from hetops.app.models import (
    EngineChoice,
    Found,
    ServedModel,
    costs_of,
    demand_models,
    may_be_cut,
    served_models,
    together,
)
from hetops.app.naming import demand_known
from hetops.app.offers import Gathered, Surroundings, gather, wanted_by
from hetops.app.origins import by_origin, demand_places_known
from hetops.app.requests import requests_of, workload_of
from hetops.catalog import hub_config, tables
from hetops.catalog.tables import Catalog
from hetops.configurations.engines import BUILT_IN
from hetops.configurations.enumerate import Enumeration
from hetops.configurations.quality import Floor
from hetops.domain.configuration import Configuration
from hetops.domain.gpu import GpuType
from hetops.domain.offer import Market, Offer, Trait
from hetops.domain.plan import Plan
from hetops.domain.workload import Workload
from hetops.errors import UnknownNameError
from hetops.offers.collect import DEADLINE_SECONDS, Freshness
from hetops.plugin import manager
from hetops.plugin.engine import EngineNeeds
from hetops.plugin.manager import Plugins
from hetops.spec.fields import LoadedSpec, Spec
from hetops.spec.load import find, load, place
from hetops.state import measurements
from hetops.state.home import Home, home
from hetops.state.measurements import Recorded


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
    models: tuple[ServedModel, ...]
    """In the order of the spec."""
    workload: Workload
    gathered: Gathered
    now: datetime
    period: str = ""
    """Which of a day is asked for, as `Asked` has it."""
    held: Held = field(default_factory=Held)
    cutting: frozenset[str] = frozenset()
    """Providers whose GPUs may be cut into slices, where the spec lets models share GPUs."""
    recorded: Recorded = field(default_factory=Recorded)
    """The user's own measurements."""
    recorded_seconds: float | None = None
    """How long the trace took as it was recorded, whatever its rates are scaled by; None where classes are stated."""

    @property
    def spec(self) -> Spec:
        """The spec itself."""
        return self.loaded.spec

    @property
    def gpus(self) -> Mapping[str, GpuType]:
        """GPU types and their slices by name."""
        return self.catalog.devices

    @property
    def enumeration(self) -> Enumeration:
        """The configurations of all models; where there are several, what was refused says of which."""
        each = tuple(one.enumeration for one in self.models)
        return each[0] if len(each) == 1 else together(one.told for one in self.models)

    @property
    def floors(self) -> tuple[Floor, ...]:
        """What is asked of quality for each class, of those models for which anything is."""
        return tuple(floor for one in self.models for floor in one.rules.floors)

    @property
    def names(self) -> str:
        """The models' names, as a plan tells them."""
        return ", ".join(one.model.name for one in self.models)

    def served(self, configuration: Configuration) -> ServedModel:
        """The model of a configuration."""
        return next(one for one in self.models if one.model.name == configuration.model)


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
    demand_models(loaded)
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
    cutting = may_be_cut(loaded, plugins.providers)
    found = Found(loaded=loaded, catalog=catalog, engines=engines, gathered=gathered, cutting=cutting)
    stated, names = requests_of(loaded), _names(loaded, plugins, catalog)
    requests = replace(stated, classes=by_origin(loaded, stated.classes))
    demand_known(loaded, gathered, requests.classes, names)
    demand_places_known(loaded, gathered, names[Trait.PROVIDER])
    models = served_models(found, requests)
    return Candidates(
        loaded=loaded,
        plugins=plugins,
        catalog=catalog,
        home=state,
        models=models,
        workload=workload_of(loaded, requests, {m.model.name: costs_of(m, found.gpus) for m in models}),
        gathered=gathered,
        now=asked.now,
        period=asked.period,
        held=stocked.held,
        cutting=cutting,
        recorded=measurements.recorded(state.measurements),
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


def _catalog(loaded: LoadedSpec, plugins: Plugins) -> Catalog:
    """What is known, and the models that the spec describes by files of their own."""
    models, checkpoints = plugins.models, plugins.checkpoints
    for one in (m for m in loaded.spec.served if m.config):
        own = hub_config.read(loaded.folder / one.config, one.name)
        models, checkpoints = (*models, own.model), (*checkpoints, own.checkpoint)
    return tables.load(plugins.gpu_types, models, checkpoints)


def engine_settings(loaded: LoadedSpec, engine: str) -> Mapping[str, Any]:
    """`[engine.settings.NAME]`; a text in it that begins with `./` or `../` is a path beside the spec."""
    settings = loaded.spec.engine.settings.get(engine, {})
    return {key: _beside(value, loaded.folder) for key, value in settings.items()}


def _beside(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: _beside(one, folder) for key, one in value.items()}
    if isinstance(value, str) and value.startswith(("./", "../")):
        return str((folder / value).resolve())
    return value


def _engines(loaded: LoadedSpec, plugins: Plugins) -> tuple[EngineChoice, ...]:
    """The engines that the spec allows; where it names none, all that are known and do not want to be named."""
    registered = {e.name: e for e in plugins.engines}
    needs = engine_needs(plugins)
    names = loaded.spec.engine.names or tuple(name for name, one in needs.items() if not one.only_named)
    for index, name in enumerate(names):
        if name not in needs:
            raise UnknownNameError("engine", name, needs, where=place(loaded, "engine", "names", index))
    return tuple(
        EngineChoice(
            name=name,
            needs=needs[name],
            plugin=registered.get(name),
            settings=engine_settings(loaded, name),
        )
        for name in names
    )
