"""The models of a spec: which class asks for which, and what of each can run where. Wires; decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hetops.app.offers import Gathered
from hetops.app.quality import floors_of
from hetops.app.requests import Requests, check_context
from hetops.catalog.tables import Catalog
from hetops.configurations.enumerate import (
    Enumeration,
    Rules,
    Space,
    context_needed,
    enumerate_configurations,
)
from hetops.configurations.pipelines import over_nodes
from hetops.domain.configuration import Configuration, Speculation
from hetops.domain.gpu import GpuType
from hetops.domain.model import Checkpoint, Model
from hetops.domain.performance import StepTimes
from hetops.domain.workload import WorkloadClass
from hetops.errors import SpecError, UnknownNameError
from hetops.performance.estimate import step_times
from hetops.performance.memory import fit
from hetops.performance.pipelines import holds
from hetops.performance.rate import gpu_seconds
from hetops.plugin.engine import Engine, EngineNeeds
from hetops.plugin.provider import Capability, Provider
from hetops.spec.fields import LoadedSpec, SpeculativeSpec
from hetops.spec.load import place
from hetops.workloads.error import CostOf
from hetops.workloads.trace import Floats

_ON_ONE_MACHINE = ("file:", "package:")
"""How references of checkpoints begin that no GPU of a cloud can fetch by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """An engine that may be chosen; GPU engines that no plugin registers can be planned with all the same."""

    name: str
    needs: EngineNeeds
    plugin: Engine | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the models of a spec can be made of."""

    loaded: LoadedSpec
    catalog: Catalog
    engines: tuple[EngineChoice, ...]
    gathered: Gathered
    cutting: frozenset[str] = frozenset()
    """Providers whose GPUs may be cut into slices."""

    @property
    def gpus(self) -> Mapping[str, GpuType]:
        """GPU types and their slices by name."""
        return self.catalog.devices


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model with the configurations that it may have."""

    model: Model
    enumeration: Enumeration
    rules: Rules
    """What the configurations had to keep."""
    without_floors: Enumeration
    """The configurations without quality floors; the same where the spec sets none."""

    @property
    def told(self) -> Enumeration:
        """The configurations, with what was refused told of this model among others."""
        name, of = self.model.name, self.enumeration
        refusals = (replace(one, subject=f"{name} on {one.subject}") for one in of.refusals)
        return replace(of, refusals=tuple(refusals))

    @property
    def unfloored(self) -> ServedModel:
        """The model as if no quality were asked of it."""
        return replace(self, enumeration=self.without_floors, rules=replace(self.rules, floors=()))

    def narrowed(self, of: Callable[[Enumeration], Enumeration]) -> ServedModel:
        """The model with fewer configurations."""
        return replace(self, enumeration=of(self.enumeration), without_floors=of(self.without_floors))

    def of_own(self, classes: Iterable[WorkloadClass]) -> tuple[WorkloadClass, ...]:
        """Those of the classes that ask for it."""
        return tuple(one for one in classes if one.asks_for(self.model.name))


def demand_models(loaded: LoadedSpec) -> None:
    """Every class asks for a model of the spec, and every model is asked for.

    Raises:
        SpecError: a model twice, one that no class asks for, a class that does not say, or a model without a trace.
        UnknownNameError: something asks for a model that the spec does not have.
    """
    spec, names = loaded.spec, [one.name for one in loaded.spec.served]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise SpecError(
                f"{place(loaded, 'models', index, 'name')}: there is another model {name}",
                hint="give each model one table; one that is to be called something else wants its own `config`",
            )
    for index, override in enumerate(spec.targets.overrides):
        if override.model and override.model not in names:
            where = place(loaded, "targets", "overrides", index, "model")
            raise UnknownNameError("model of this spec", override.model, names, where=where)
    if spec.workload.classes:
        _demand_classes(loaded, names)
    elif spec.workload.traces:
        _demand_traces(loaded, names)


def _demand_classes(loaded: LoadedSpec, names: Sequence[str]) -> None:
    spec = loaded.spec
    for index, one in enumerate(spec.workload.classes):
        where = ("workload", "classes", index)
        if one.model and one.model not in names:
            raise UnknownNameError(
                "model of this spec", one.model, names, where=place(loaded, *where, "model")
            )
        if len(names) > 1 and not one.model:
            raise SpecError(
                f"{place(loaded, *where)}: class {one.name} does not say which model it asks for",
                hint=f'add model = "{names[0]}", or another of {", ".join(names)}',
            )
    asked = {one.model for one in spec.workload.classes}
    for index, name in enumerate(names):
        if len(names) > 1 and name not in asked:
            raise SpecError(
                f"{place(loaded, 'models', index, 'name')}: no class asks for {name}",
                hint=f'leave it out, or give a class model = "{name}"',
            )


def _demand_traces(loaded: LoadedSpec, names: Sequence[str]) -> None:
    """Each model has a file, and each file a model."""
    files = loaded.spec.workload.traces
    for name in files:
        if name not in names:
            where = place(loaded, "workload", "traces", name)
            raise UnknownNameError("model of this spec", name, names, where=where)
    for index, name in enumerate(names):
        if name not in files:
            table = ("model",) if loaded.spec.model else ("models", index)
            raise SpecError(
                f"{place(loaded, *table, 'name')}: no trace has requests for {name}",
                hint=f'leave it out, or name a file under [workload.traces]: "{name}" = "FILE"',
            )


def may_be_cut(loaded: LoadedSpec, providers: Iterable[Provider]) -> frozenset[str]:
    """The providers whose GPUs may be cut into slices: none unless the spec lets models share GPUs."""
    able = (p.name for p in providers if Capability.GPU_SLICES in p.capabilities)
    return frozenset(able) if loaded.spec.policy.share_gpus else frozenset()


def served_models(found: Found, requests: Requests) -> tuple[ServedModel, ...]:
    """The models of the spec, in its order, each with the configurations that its own classes may get.

    Raises:
        UnknownNameError: a model that neither the catalogue nor an engine knows.
        HetopsError: a class whose requests its model cannot take.
        SpecError: two models are one checkpoint.
    """
    served = tuple(_served(found, requests, index) for index in range(len(found.loaded.spec.served)))
    _demand_different(found, served)
    return served


def _served(found: Found, requests: Requests, index: int) -> ServedModel:
    model = _model(found, index)
    own = requests.of_model(model.name)
    check_context(own.classes, model)
    rules = _rules(found.loaded, index, model, own)
    enumeration = _configurations(found, model, rules)
    floorless = _configurations(found, model, replace(rules, floors=())) if rules.floors else enumeration
    return ServedModel(model=model, rules=rules, enumeration=enumeration, without_floors=floorless)


def _demand_different(found: Found, served: Sequence[ServedModel]) -> None:
    """No two models are the same file: engine settings that name one for all would serve it under every name."""
    owner: dict[str, str] = {}
    for index, one in enumerate(served):
        for reference in dict.fromkeys(c.checkpoint for c in one.enumeration.configurations):
            first = owner.setdefault(reference, one.model.name)
            if first != one.model.name:
                raise SpecError(
                    f"{place(found.loaded, 'models', index, 'name')}: {first} and {one.model.name} are one checkpoint, {reference}",
                    hint="name a file for each in the engine's settings, or leave one of the models out",
                )


def _model(found: Found, index: int) -> Model:
    """The model of the catalogue or, for a name that it does not know, of an engine's own file."""
    spec = found.loaded.spec
    name = spec.served[index].name
    if name not in {m.name for m in found.catalog.models}:
        for engine in found.engines:
            of_file = getattr(engine.plugin, "model", None)
            own: Model | None = of_file(name, engine.settings) if of_file else None
            if own is not None:
                return own
    table = ("model",) if spec.model else ("models", index)
    return found.catalog.model(name, where=place(found.loaded, *table, "name"))


def _rules(loaded: LoadedSpec, index: int, model: Model, own: Requests) -> Rules:
    spec, asked = loaded.spec, loaded.spec.served[index]
    return Rules(
        precisions=asked.precisions,
        max_context_tokens=context_needed((own.longest_tokens,), asked.max_context_tokens, model),
        input_tokens_p90=max(c.input_tokens.p90 for c in own.classes),
        kv=asked.kv_precision,
        speculation=_speculation(spec.engine.speculative),
        floors=floors_of(asked, spec.workload.classes, own.classes),
    )


def _speculation(asked: SpeculativeSpec | None) -> Speculation | None:
    if asked is None:
        return None
    return Speculation(
        draft_tokens=asked.draft_tokens, acceptance=asked.acceptance, draft_share=asked.draft_share
    )


def _configurations(found: Found, model: Model, rules: Rules) -> Enumeration:
    """Every configuration of every engine on the GPU types on offer."""
    spaces = tuple(_space(engine, found, model) for engine in found.engines)
    return together(
        (
            *(enumerate_configurations(space, rules, _fits(model)) for space in spaces),
            *(_over_nodes(found, space, rules) for space in spaces),
        )
    )


def _over_nodes(found: Found, space: Space, rules: Rules) -> Enumeration:
    """Pipelines over nodes that one place has, where the spec asks for them."""
    if found.loaded.spec.engine.across_nodes is None:
        return Enumeration(configurations=())
    places: dict[str, dict[str, int]] = defaultdict(dict)
    for offer in found.gathered.selection.offers:
        nodes = places[offer.place]
        nodes[offer.gpu] = max(nodes.get(offer.gpu, 0), offer.gpu_count)
    return over_nodes(space, rules, places.values(), lambda one: holds(one, space.model, space.gpus))


def together(each: Iterable[Enumeration]) -> Enumeration:
    """Several enumerations as one."""
    every = tuple(each)
    return Enumeration(
        configurations=tuple(c for e in every for c in e.configurations),
        refusals=tuple(r for e in every for r in e.refusals),
    )


def _space(engine: EngineChoice, found: Found, model: Model) -> Space:
    """Of a slice a replica has one: slices do not reach one another."""
    offers = found.gathered.selection.offers
    largest: dict[str, int] = {}
    for offer in offers:
        largest[offer.gpu] = max(largest.get(offer.gpu, 0), offer.gpu_count)
    cut = {offer.gpu for offer in offers if offer.provider in found.cutting}
    largest |= {one.name: 1 for one in found.catalog.slices if one.mig and one.mig.of in cut}
    return Space(
        model=model,
        checkpoints=_checkpoints(engine, found.catalog, model),
        engines={engine.name: engine.needs},
        gpus=found.gpus,
        largest_node=largest,
    )


def _checkpoints(engine: EngineChoice, catalog: Catalog, model: Model) -> tuple[Checkpoint, ...]:
    """What the engine's own settings name, else what the catalogue knows and the engine can get at."""
    own = engine.plugin.checkpoints(model, engine.settings) if engine.plugin else ()
    return own or checkpoints_for(engine.needs, catalog.checkpoints_of(model.name))


def checkpoints_for(needs: EngineNeeds, known: Iterable[Checkpoint]) -> tuple[Checkpoint, ...]:
    """Those of the catalogue's checkpoints that an engine gets at and reads: the host's cores read what lies on the host, and GGUF is
    llama.cpp's."""
    on_this_machine = "cpu" in needs.gpu_vendors
    return tuple(
        c
        for c in known
        if c.reference.startswith(_ON_ONE_MACHINE) == on_this_machine and c.precision in needs.precisions
    )


def _fits(model: Model) -> Callable[[Configuration, GpuType], str]:
    return lambda configuration, gpu: fit(configuration, model, gpu).reason


def costs_of(one: ServedModel, gpus: Mapping[str, GpuType]) -> Mapping[str, CostOf]:
    """What requests cost on each GPU type, in its smallest configuration: what the classes' error is reckoned on."""
    smallest: dict[str, Configuration] = {}
    whole = (c for c in one.enumeration.configurations if c.mig is None and not c.stages)
    for configuration in sorted(whole, key=lambda c: (c.gpu_count, c.id)):
        smallest.setdefault(configuration.gpu, configuration)

    def cost(times: StepTimes) -> CostOf:
        def of(input_tokens: Floats, output_tokens: Floats) -> Floats:
            return gpu_seconds(times, input_tokens, output_tokens)

        return of

    times = step_times(tuple(smallest.values()), one.model, gpus)
    return {name: cost(found) for name, found in zip(smallest, times, strict=True)}
