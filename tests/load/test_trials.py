"""What a benchmark consists of, and what its results are evidence for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hetops.domain.configuration import Configuration
from hetops.domain.model import Precision
from hetops.load import trials
from hetops.load.samples import Sample, figures
from hetops.load.schedule import Lengths
from hetops.load.trials import Trial, TrialResult
from tests.doubles.plans import workload_class

ONE_THREAD = Configuration(
    model="tiny",
    engine="llamacpp",
    gpu="CPU",
    weights=Precision.GGUF_Q8_0,
    kv=Precision.FP16,
    checkpoint="file:x",
    max_sequences=1,
    max_context_tokens=512,
)
SPACE = [
    replace(ONE_THREAD, tensor_parallel=threads, max_sequences=slots)
    for slots in (1, 2, 4)
    for threads in (1, 2)
]
AT = datetime(2026, 11, 24, tzinfo=UTC)


def sample(seconds: float) -> Sample:
    """An answered request that took so long."""
    return Sample(
        due=0.0,
        started=0.0,
        ended=seconds,
        asked=Lengths(input_tokens=40, output_tokens=8),
        input_tokens=40,
        output_tokens=8,
        ttft_seconds=seconds / 4,
        tpot_seconds=seconds / 16,
    )


def result(concurrency: int, seconds: float, name: str = "chat") -> TrialResult:
    """What a trial with requests of that length measured."""
    found = figures([sample(seconds), sample(seconds)])
    trial = Trial(
        workload_class=name, lengths=Lengths(input_tokens=40, output_tokens=8), concurrency=concurrency
    )
    return TrialResult(
        trial=trial,
        configuration="any",
        replicas=1,
        figures=found,
        requests_per_second=trials.rate(found, concurrency),
    )


def test_one_engine_stands_for_configurations_that_differ_in_their_places_only() -> None:
    one, two = trials.families(SPACE)
    assert [c.tensor_parallel for c in (*one.members, *two.members)] == [1, 1, 1, 2, 2, 2]
    assert one.started.max_sequences == 4
    assert one.levels == (1, 2, 4)


def test_one_configuration_alone_is_measured_between_empty_and_full_too() -> None:
    assert trials.Family(members=(replace(ONE_THREAD, max_sequences=256),)).levels == (1, 16, 256)
    assert trials.Family(members=(ONE_THREAD,)).levels == (1,)


def test_every_class_is_measured_alone_before_anything_is_full() -> None:
    family = trials.families(SPACE)[0]
    classes = [workload_class("a", 1.0, 40.4, 8), workload_class("b", 1.0, 90, 1)]
    planned = trials.trials(family, classes)
    assert [(t.workload_class, t.concurrency) for t in planned] == [
        ("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 4), ("b", 4),
    ]  # fmt: skip
    assert planned[0].lengths == Lengths(input_tokens=40, output_tokens=8)
    assert planned[1].lengths.output_tokens == 2, "a gap between tokens needs two"


def test_the_rate_of_a_full_replica_is_its_places_over_the_time_of_a_request() -> None:
    assert result(4, 2.0).requests_per_second.mean == 2.0


def test_a_result_is_evidence_for_each_configuration_with_as_many_places() -> None:
    family = trials.families(SPACE)[0]
    made = list(trials.measurements(family, result(2, 1.0), offer_sku="cpu-1", host="here", measured_at=AT))
    assert [m.configuration for m in made] == [c.id for c in family.members if c.max_sequences >= 2]
    assert {(m.concurrency, m.host, m.requests) for m in made} == {(2, "here", 2)}


def test_a_fuller_load_is_measured_until_two_in_a_row_bring_nothing() -> None:
    eight = replace(result(8, 8.0).trial, concurrency=8)
    rising = [result(1, 1.0), result(2, 1.8), result(4, 3.0)]
    flat = [result(1, 1.0), result(2, 2.2), result(4, 4.0)]
    assert trials.worth_it(eight, rising)
    assert not trials.worth_it(eight, flat)
    assert trials.worth_it(eight, flat[:2])
    assert trials.worth_it(replace(eight, workload_class="another"), flat)
