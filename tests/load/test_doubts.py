"""What of a measurement is to be doubted."""

from __future__ import annotations

from dataclasses import replace

from hetops.load import doubts
from hetops.load.open_loops import OpenLoop
from hetops.load.samples import Failure, Sample, figures
from hetops.load.schedule import Lengths
from hetops.load.stopping import Interval
from hetops.load.trials import Trial, TrialResult

LENGTHS = Lengths(input_tokens=100, output_tokens=10)
TRIAL = Trial(workload_class="chat", lengths=LENGTHS, concurrency=4)
GOOD = Sample(
    due=0.0,
    started=0.0,
    ended=1.0,
    asked=LENGTHS,
    input_tokens=100,
    output_tokens=10,
    ttft_seconds=0.1,
    tpot_seconds=0.01,
)
TOGETHER = replace(GOOD, tpot_seconds=None)


def result(sample: Sample) -> TrialResult:
    """A trial all of whose answers were alike."""
    return TrialResult(
        trial=TRIAL,
        configuration="c",
        replicas=1,
        figures=figures([sample] * 3),
        requests_per_second=Interval(mean=1.0, low=None, high=None),
    )


def test_a_good_load_is_not_doubted() -> None:
    assert list(doubts.of_load(TRIAL, [GOOD] * 5, late_seconds=0.001)) == []
    assert list(doubts.of_lengths("vllm", [result(GOOD)])) == []


def test_failures_are_counted_by_kind() -> None:
    failed = replace(GOOD, failure=Failure.THROTTLED, ttft_seconds=None, tpot_seconds=None)
    (told,) = doubts.of_load(TRIAL, [GOOD, GOOD, failed], late_seconds=0.0)
    assert told == "chat at 4: of 3 requests failed 1 x throttled (429)"


def test_those_that_time_did_not_suffice_for_are_told() -> None:
    assert list(doubts.of_end(TRIAL, 0)) == []
    (told,) = doubts.of_end(TRIAL, 3)
    assert told.startswith("chat at 4: 3 requests had no answer when the time was over")


def test_a_client_that_is_late_says_by_how_much() -> None:
    (told,) = doubts.of_load(TRIAL, [GOOD] * 5, late_seconds=0.05)
    assert "50 ms late" in told


def test_tokens_that_come_together_are_told_where_most_do() -> None:
    assert doubts.together([TOGETHER, TOGETHER, GOOD])
    assert not doubts.together([TOGETHER, GOOD, GOOD])
    assert not doubts.together([replace(TOGETHER, output_tokens=1)] * 3), "one token has nothing between"
    (told,) = doubts.of_load(TRIAL, [TOGETHER] * 3, late_seconds=0.0)
    assert "TPOT is unknown" in told


def test_answers_of_other_lengths_are_told_with_both() -> None:
    short = result(replace(GOOD, output_tokens=2))
    (told,) = doubts.of_lengths("vllm", [short])
    assert "chat 2 instead of 10 tokens" in told


def test_a_rate_that_was_not_kept_says_whom_its_latencies_leave_out() -> None:
    kept = OpenLoop(
        configuration="c",
        offered_requests_per_second=20.0,
        sent=3,
        unanswered=0,
        answered_requests_per_second=20.0,
        figures=figures([GOOD] * 3),
    )
    assert list(doubts.of_rate(kept)) == []
    left, late = doubts.of_rate(replace(kept, sent=9, unanswered=6, late_seconds=0.5))
    assert "c at 20 requests/s: 6 of 9 requests were unanswered" in left
    assert "sent 500 ms late" in late
