"""Use case: what one configuration does under one load, and why. Wires catalogue and closed form; decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hetops.app.fitting import SIXTEEN_BIT, Runs, fitting, unstartable
from hetops.app.under_load import NOTHING_MORE, PLACES, Answer, Asked, Known, class_of
from hetops.catalog import hub_config, tables
from hetops.catalog.tables import Catalog
from hetops.configurations.enumerate import attends
from hetops.domain.configuration import Configuration, Speculation, StageGpus
from hetops.domain.gpu import GpuType
from hetops.domain.model import Model, Precision
from hetops.domain.performance import StepTimes
from hetops.domain.units import BYTES_PER_GB
from hetops.errors import HetopsError, UnknownNameError
from hetops.performance.breakdown import Breakdown, Load, Times
from hetops.performance.estimate import calibration, plain_step_times, replica_of, step_times
from hetops.performance.estimators import Estimated as OfForm
from hetops.performance.estimators import Point, answered, points
from hetops.performance.generation import generation, is_known, most_sequences, unread_version
from hetops.performance.memory import MemoryFit, fit, kv_bytes, weight_bytes
from hetops.performance.pipelines import Network, StageShare, pipeline
from hetops.performance.replica import Replica, computes_in
from hetops.performance.roles import Apart, Requests, apart
from hetops.performance.speculation import PLAIN, PerToken, per_token
from hetops.performance.stages import even, slowest_over_mean
from hetops.plugin import manager

_ENGINES = ("vllm", "sglang", "tensorrt-llm", "tgi", "llamacpp")
_MOST_ANSWERS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A configuration as the user names its parts."""

    model: str
    """A name of the catalogue, or the path of a config.json."""
    gpu: str
    engine: str
    tensor_parallel: int
    pipeline_parallel: int
    weights: Precision | None
    """None as the model's makers published them."""
    kv: Precision
    speculation: Speculation | None = None
    stages: tuple[StageGpus, ...] = ()
    """A pipeline over other GPU types than `gpu`: one a stage; empty has equal stages."""
    link_gb_per_second: float | None = None
    """Between stages; without stages, between replicas that prefill and those that decode."""
    attention_data_parallel: int = 1
    """Groups of the GPUs that attend to requests of their own."""
    estimator: str = ""
    """A plugin's, asked in place of the closed form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWeights:
    """The weights that an estimate is of: which checkpoint, how large, and what the GPU multiplies them in."""

    reference: str
    """Where they are fetched from; empty where the catalogue knows no checkpoint of that precision."""
    gigabytes: float
    """All of them: as its makers tell, else as the model's shape makes it."""
    format: str = ""
    """As `Checkpoint.format`: one that no engine reads as it is shipped, where there is no other."""
    multiplied_in: Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """A configuration under a load, and how it lies in memory."""

    answer: Answer
    memory: MemoryFit | None = None
    """None where stages differ: each has its own."""
    layers: tuple[int, ...] = ()
    """Of each stage, where there are several."""
    stages: tuple[StageShare, ...] = ()
    apart: Apart | None = None
    """Prefill and decode on replicas of their own, where a link was told."""
    weights: KnownWeights | None = None
    """None where stages differ."""

    @property
    def breakdown(self) -> Breakdown:
        """Where its time goes."""
        return self.answer.breakdown


def estimate(subject: Subject, load: Load, asked: Asked = NOTHING_MORE) -> Estimated:
    """The estimate, explained.

    Raises:
        UnknownNameError: no such GPU type, model, engine or estimator, with the nearest.
        PluginError: the estimator cannot be used at all.
        HetopsError: it does not fit into memory, with what would; the GPU cannot run the precision; the model cannot be split
            so; the lengths exceed its context; requests come faster than it completes them.
    """
    plugins = manager.load()
    catalog = tables.load(plugins.gpu_types, plugins.models, plugins.checkpoints)
    _demand_engine(subject.engine, [engine.name for engine in plugins.engines])
    estimator = plugins.estimator(subject.estimator) if subject.estimator else None
    model = _model(subject.model, catalog)
    configuration = _configuration(subject, model, catalog, load)
    if subject.stages:
        known, stages = _over_stages(subject, configuration, model, {g.name: g for g in catalog.gpu_types})
        layers = tuple(stage.layers for stage in stages)
        return Estimated(answer=known.answer(load, asked), layers=layers, stages=stages)
    gpu = catalog.device(configuration.gpu)
    memory = fit(configuration, model, gpu)
    if memory.reason:
        others = tuple(fitting(configuration, model, catalog))[:_MOST_ANSWERS]
        raise HetopsError(
            f"it does not fit: {memory.reason}",
            details=tuple(f"would fit: {one}" for one in others),
            hint="take one of these"
            if others
            else "no GPU type of the catalogue holds it: more stages (--pp)",
        )
    gpus = {gpu.name: gpu}
    layers = even(model, subject.pipeline_parallel) if subject.pipeline_parallel > 1 else ()
    times = Times(
        plain=plain_step_times([configuration], model, gpus)[0],
        whole=step_times([configuration], model, gpus)[0],
        slowest_over_mean=slowest_over_mean(model, layers) if layers else 1.0,
        per_token=_per_token(subject),
    )
    replica = replica_of(configuration, model, gpu)
    weights = _known_weights(replica, catalog)
    one = OfForm(configuration=replace(configuration, checkpoint=weights.reference), times=times.whole)
    known = Known(
        name=configuration.id,
        replica=replace(replica, kv_capacity_tokens=float(memory.kv_capacity_tokens)),
        times=times,
        calibration=calibration(),
        by_estimator=answered(estimator, one, model, gpu, _points(one, load)) if estimator else None,
    )
    return Estimated(
        answer=known.answer(load, asked),
        memory=memory,
        layers=layers,
        apart=_apart(known.steps, subject, configuration, load, model),
        weights=weights,
    )


def _points(one: OfForm, load: Load) -> tuple[Point, ...]:
    """What an estimator is asked of a replica: what a plan asks for these requests alone, and this load as far as its KV holds it."""
    inputs, outputs = load.input_tokens, load.output_tokens
    held = max(
        1, min(one.configuration.max_sequences, int(one.times.kv_capacity_tokens / (inputs + outputs)))
    )
    asked = points([class_of(load, NOTHING_MORE)], PLACES, one.times.kv_capacity_tokens)
    here = Point(input_tokens=round(inputs), output_tokens=max(2, round(outputs)), concurrency=held)
    return tuple(dict.fromkeys((*asked, here)))


def _per_token(subject: Subject) -> PerToken:
    return per_token(subject.speculation) if subject.speculation else PLAIN


def _known_weights(replica: Replica, catalog: Catalog) -> KnownWeights:
    model, stored = replica.model, replica.weights
    alike = SIXTEEN_BIT if stored in SIXTEEN_BIT else (stored,)
    known = (c for c in catalog.checkpoints_of(model.name) if c.precision in alike)
    found = min(known, key=lambda c: bool(c.format), default=None)
    told, computed = found.gigabytes if found else None, computes_in(replica)
    lacks_it = computed is Precision.BF16 and not replica.gpu.bf16_tflops
    return KnownWeights(
        reference=found.reference if found else "",
        gigabytes=told or weight_bytes(model, stored) / BYTES_PER_GB,
        format=found.format if found else "",
        multiplied_in=Precision.FP16 if lacks_it else computed,
    )


def _demand_engine(name: str, of_plugins: Iterable[str]) -> None:
    """A row of a file may name an engine that nobody knows; who types one has a known one in mind."""
    known = {*_ENGINES, *of_plugins}
    if name not in known and not is_known(name):
        raise UnknownNameError("engine", name, known)
    if unread := unread_version(name):
        raise HetopsError(
            f"{unread!r} is no version of an engine",
            hint="--engine 'vllm 0.6.3', or the name alone for today's version",
        )


def _model(name: str, catalog: Catalog) -> Model:
    path = Path(name)
    if path.suffix == ".json" or path.is_dir():
        folder = path.resolve() if path.is_dir() else path.resolve().parent
        of_folder = path.is_dir() or path.name == "config.json"
        return hub_config.read(path, folder.name if of_folder else path.stem).model
    return catalog.model(name)


def _configuration(subject: Subject, model: Model, catalog: Catalog, load: Load) -> Configuration:
    """What is asked about, once it is known to be possible at all but for memory."""
    for gpu_name, tensor in _places(subject):
        _check_gpu(subject, model, catalog.device(gpu_name), tensor)
    _check_groups(subject, model)
    stages = len(subject.stages) or subject.pipeline_parallel
    first = catalog.device(_places(subject)[0][0])
    if model.layers < stages:
        raise HetopsError(
            f"{model.name} has {model.layers} layers, fewer than {stages} stages", hint="lower --pp"
        )
    longest = int(load.input_tokens + load.output_tokens)
    if longest > model.context_tokens:
        raise HetopsError(
            f"requests of {longest:,} tokens exceed the {model.context_tokens:,} that {model.name} takes",
            hint="ask with a smaller --input or --output",
        )
    return Configuration(
        model=model.name,
        engine=subject.engine,
        gpu=first.name,
        tensor_parallel=subject.stages[0].tensor_parallel if subject.stages else subject.tensor_parallel,
        pipeline_parallel=stages,
        weights=subject.weights or model.native,
        kv=subject.kv,
        checkpoint="",
        max_sequences=max(1, int(min(load.concurrency, _most_at_once(subject)))),
        max_context_tokens=longest,
        speculation=subject.speculation,
        mig=first.mig,
        attention_data_parallel=subject.attention_data_parallel,
    )


def _most_at_once(subject: Subject) -> float:
    """Sequences that the engine runs at once, whatever more are kept waiting: these take no memory."""
    of_group = most_sequences(generation(subject.engine).coefficients)
    return subject.attention_data_parallel * of_group


def _places(subject: Subject) -> tuple[tuple[str, int], ...]:
    if subject.stages:
        return tuple((stage.gpu, stage.tensor_parallel) for stage in subject.stages)
    return ((subject.gpu, subject.tensor_parallel),)


def _check_groups(subject: Subject, model: Model) -> None:
    groups = subject.attention_data_parallel
    if groups > 1 and not model.experts:
        raise HetopsError(
            f"{model.name} has no experts, which GPUs would share that attend to requests of their own",
            hint="leave --attention-dp out: several replicas do the same",
        )
    if subject.tensor_parallel % groups:
        possible = ", ".join(
            str(n) for n in range(1, subject.tensor_parallel + 1) if subject.tensor_parallel % n == 0
        )
        raise HetopsError(
            f"{subject.tensor_parallel} GPUs cannot be {groups} groups that attend to requests of their own",
            hint=f"set --attention-dp to a divisor of --tp: {possible}",
        )


def _check_gpu(subject: Subject, model: Model, gpu: GpuType, tensor: int) -> None:
    alone = tensor * max(len(subject.stages), subject.pipeline_parallel) == 1
    if gpu.mig and (not alone or subject.link_gb_per_second is not None):
        raise HetopsError(
            f"{gpu.name} reaches no other GPU",
            hint="leave --stages and --link out and --tp and --pp at 1, or name whole GPUs",
        )
    if model.heads % tensor:
        possible = ", ".join(str(n) for n in range(1, 17) if model.heads % n == 0)
        raise HetopsError(
            f"{model.name} has {model.heads} heads, which {tensor} GPUs cannot share",
            hint=f"set --tp to a divisor of the heads: {possible}",
        )
    weights = subject.weights or model.native
    if lacking := unstartable(subject.engine, gpu):
        raise HetopsError(
            f"{subject.engine} of today has no kernels for {gpu.name}: {lacking}",
            hint=f"ask for a newer GPU, or say which older version it is: --engine '{subject.engine} VERSION'",
        )
    runs = Runs(engine=subject.engine, model=model)
    if not attends(model, gpu):
        raise HetopsError(
            f"no engine has a kernel for {model.name}'s sparse attention on {gpu.name}",
            hint="ask for a GPU of Hopper, Blackwell's data-centre parts (B200, B300) or MI300 and later",
        )
    if not runs(weights, gpu):
        known = ", ".join(p for p in Precision if runs(p, gpu))
        with_engine = f" with {subject.engine}" if runs.of_gguf else ""
        raise HetopsError(f"{gpu.name} cannot run {weights} weights{with_engine}", hint=f"it runs {known}")
    if subject.kv not in SIXTEEN_BIT and not (subject.kv is Precision.FP8 and gpu.fp8_tflops):
        known = "bf16, fp8" if gpu.fp8_tflops else "bf16"
        raise HetopsError(f"{gpu.name} keeps no {subject.kv} KV cache", hint=f"--kv {known}")


def _apart(
    times: StepTimes, subject: Subject, configuration: Configuration, load: Load, model: Model
) -> Apart | None:
    """The pair of such a replica that prefills and one that decodes."""
    if subject.link_gb_per_second is None:
        return None
    requests = Requests(
        input_tokens=load.input_tokens,
        output_tokens=load.output_tokens,
        cached_tokens=load.prefix_share * load.input_tokens,
        kv_bytes_per_token=kv_bytes(model, configuration.kv),
    )
    return apart(times, times, requests, load.concurrency, subject.link_gb_per_second * 1e9)


def _over_stages(
    subject: Subject, configuration: Configuration, model: Model, gpus: Mapping[str, GpuType]
) -> tuple[Known, tuple[StageShare, ...]]:
    """A pipeline whose stages differ, known as one of equal stages like the first, scaled by what the stages change."""
    network = Network(gb_per_second=subject.link_gb_per_second or 12.5)
    try:
        found = pipeline(configuration, subject.stages, network, model, gpus)
    except ValueError as fault:
        raise HetopsError(
            f"it does not fit: {fault}", hint="more GPUs a stage, more stages, or lighter weights"
        ) from fault
    seconds = [stage.seconds for stage in found.stages]
    times = Times(
        plain=plain_step_times([configuration], model, gpus)[0],
        whole=found.times,
        slowest_over_mean=max(seconds) * len(seconds) / sum(seconds),
        per_token=_per_token(subject),
    )
    over = "+".join(f"{stage.gpu}:{stage.tensor_parallel}" for stage in subject.stages)
    nobody_measured = replace(calibration(), families=())
    like_first = replica_of(configuration, model, gpus[configuration.gpu])
    known = Known(
        name="/".join((model.name, subject.engine, over, str(configuration.weights))),
        replica=replace(like_first, kv_capacity_tokens=float(found.times.kv_capacity_tokens)),
        times=times,
        calibration=nobody_measured,
    )
    return known, found.stages
