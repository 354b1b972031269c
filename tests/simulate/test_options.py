"""What an emulated engine is told: the same as values and as a command line, and how a pool's replica is started."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.errors import SpecError
from hetops.plugin.engine import LaunchContext
from hetops.simulate.launch import emulator_launch
from hetops.simulate.options import EmulatorOptions, Fault, Faults, from_arguments, to_arguments
from tests.doubles import plans
from tests.simulate.engines import STEP_TIMES, options

counts = st.none() | st.integers(0, 1000)
some_faults = st.builds(
    Faults,
    exit_at_start=st.sampled_from(["", "CUDA out of memory", 'it\'s "gone"']),
    start_seconds=st.floats(0, 100),
    die_after_requests=counts,
    hang_after_requests=counts,
    fail_every=st.none() | st.integers(1, 100),
    fail_status=st.integers(400, 599),
)
some_options = st.builds(
    EmulatorOptions,
    model=st.sampled_from(["llama-3.1-8b", "a model with blanks"]),
    gpu=st.sampled_from(["L4", "H100-SXM"]),
    step_times=st.just(STEP_TIMES),
    max_context_tokens=st.integers(1, 1 << 20),
    prefill_tokens_per_step=st.integers(1, 1 << 15),
    default_output_tokens=st.integers(1, 4096),
    speed=st.floats(0.001, 1000),
    drain_seconds=st.floats(0, 600),
    host=st.sampled_from(["127.0.0.1", "::1"]),
    port=st.integers(0, 65535),
    faults=some_faults,
)


@settings(deadline=None)
@given(some_options)
def test_options_survive_the_way_through_a_command_line(given_options: EmulatorOptions) -> None:
    assert from_arguments(to_arguments(given_options)) == given_options


def test_step_times_may_stand_in_a_file(tmp_path) -> None:
    path = tmp_path / "steps.json"
    path.write_bytes(msgspec.json.encode(STEP_TIMES))
    arguments = ["--model", "m", "--gpu", "L4", "--max-context-tokens", "10", "--step-times", str(path)]
    assert from_arguments(arguments).step_times == STEP_TIMES


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--speed": "0"}, "speed must be above zero"),
        ({"--step-times": "{}"}, "missing required field"),
        ({"--step-times": "/nowhere"}, "No such file"),
        ({"--fail-every": "0"}, "fail_every must be at least 1"),
        ({"--fail-status": "200"}, "must be an HTTP error"),
        ({"--max-context-tokens": "0"}, "max_context_tokens must be at least 1"),
        ({"--sped": "2"}, "unrecognized arguments"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_a_word_and_exit_code_two(
    changed: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given_words = dict(zip(*[iter(to_arguments(options()))] * 2, strict=True)) | changed
    with pytest.raises(SystemExit) as ended:
        from_arguments([word for pair in given_words.items() for word in pair])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_of_several_faults_the_worst_counts() -> None:
    faults = Faults(fail_every=2, hang_after_requests=4, die_after_requests=6)
    assert [faults.of(n) for n in range(1, 8)] == [
        *(Fault.NONE, Fault.FAIL, Fault.NONE, Fault.FAIL),
        *(Fault.HANG, Fault.HANG, Fault.DIE),
    ]


def test_a_replica_is_started_with_the_pools_own_timing_and_names() -> None:
    pool = plans.pool()
    launch = emulator_launch(
        LaunchContext(pool=pool, deployment="chat", settings={"speed": 4, "faults": {"start_seconds": 9.0}})
    )
    assert launch.argv[1:3] == ("-m", "hetops.simulate")
    told = from_arguments(launch.argv[3:])
    assert (told.model, told.gpu, told.step_times) == ("llama-3.1-8b", "L4", pool.step_times)
    assert (told.max_context_tokens, told.speed, told.faults.start_seconds) == (8192, 4.0, 9.0)
    assert launch.ready_seconds > 9.0
    assert launch.drain_seconds >= told.drain_seconds


def test_equal_pools_are_started_equally() -> None:
    first, second = (emulator_launch(LaunchContext(pool=plans.pool(), deployment="chat")) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("settings", "said", "hint"),
    [
        ({"sped": 2}, "engine.settings.emulator has no field 'sped'", "did you mean 'speed'?"),
        ({"speed": "fast"}, "Expected `float`, got `str` - at `$.speed`", ""),
        ({"speed": 0}, "speed must be above zero", ""),
        ({"faults": {"fail_every": 0}}, "fail_every must be at least 1", ""),
        (
            {"faults": {"dye_after_requests": 3}},
            "has no field 'faults.dye_after_requests'",
            "die_after_requests",
        ),
        ({"prefill_tokens_per_step": 0}, "prefill_tokens_per_step must be at least 1", ""),
    ],
)
def test_settings_that_cannot_be_are_errors_of_the_spec(settings: dict, said: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        emulator_launch(LaunchContext(pool=plans.pool(), deployment="chat", settings=settings))
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_a_pool_without_step_times_cannot_be_emulated() -> None:
    with pytest.raises(ValueError, match="no step times"):
        emulator_launch(LaunchContext(pool=replace(plans.pool(), step_times=None), deployment="chat"))
