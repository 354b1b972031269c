"""Quality floors: known recoveries decide, unknown ones leave the default rule, and a reason has its numbers."""

from __future__ import annotations

import pytest

from hetops.catalog import tables
from hetops.configurations.quality import BY_DEFAULT, Floor, Quality, Recovery, known_of
from hetops.domain.model import Precision

CATALOG = tables.load()
SMALL = Quality(model=CATALOG.model("llama-3.1-8b"))
LARGE = Quality(model=CATALOG.model("llama-3.1-70b"))
KNOWN = {Precision.FP8: 0.985, Precision.INT4: 0.93}


def floor(share: float | None) -> Floor:
    """A floor of a chat class."""
    return Floor(workload_class="talk", share=share, task="chat", recovery=KNOWN)


def test_what_keeps_less_than_the_floor_is_refused_with_both_numbers() -> None:
    told = SMALL.refused(Precision.FP8, floor(0.99))
    assert "98.5 %" in told
    assert "99.0 %" in told
    assert "talk" in told
    assert SMALL.refused(Precision.FP8, floor(0.98)) == ""


def test_a_known_recovery_above_the_floor_lets_4_bit_in_that_the_default_rule_refuses() -> None:
    assert SMALL.refused(Precision.INT4) == BY_DEFAULT
    assert SMALL.refused(Precision.INT4, floor(0.92)) == ""


@pytest.mark.parametrize("share", [None, 0.5])
def test_what_is_not_known_goes_by_the_default_rule(share: float | None) -> None:
    assert SMALL.refused(Precision.FP4, floor(share)) == BY_DEFAULT
    assert LARGE.refused(Precision.FP4, floor(share)) == ""


def test_for_a_mean_what_is_known_counts_and_lets_in_what_others_may_make_up_for() -> None:
    asked = Floor(workload_class="talk", mean=0.99, recovery={**KNOWN, Precision.INT8: 1.02})
    assert [asked.kept(p) for p in (Precision.INT4, Precision.INT8, Precision.BF16)] == [0.93, 1.0, 1.0]
    assert SMALL.refused(Precision.INT4, asked) == ""
    assert SMALL.refused(Precision.FP4, asked) == BY_DEFAULT
    assert Quality(model=SMALL.model, input_tokens_p90=40_000).refused(Precision.INT4, asked) == BY_DEFAULT


def test_a_floor_beside_a_mean_holds_for_every_request() -> None:
    both = Floor(workload_class="talk", share=0.95, mean=0.99, recovery=KNOWN)
    assert "93.0 %" in SMALL.refused(Precision.INT4, both)
    assert SMALL.refused(Precision.FP8, both) == ""


def test_four_bits_of_the_makers_are_what_the_model_is() -> None:
    published = Quality(model=CATALOG.model("gpt-oss-20b"), input_tokens_p90=40_000)
    assert published.refused(Precision.FP4) == ""
    assert published.refused(Precision.INT4) == BY_DEFAULT


def test_long_inputs_keep_the_default_rule_whatever_short_tests_say() -> None:
    long = Quality(model=SMALL.model, input_tokens_p90=40_000)
    assert long.refused(Precision.INT4, floor(0.9)) == BY_DEFAULT


def test_a_floor_holds_for_precisions_that_the_spec_asks_for_too() -> None:
    asked = Quality(model=SMALL.model, asked=(Precision.INT4,))
    assert asked.refused(Precision.INT4) == ""
    assert "93.0 %" in asked.refused(Precision.INT4, floor(0.95))


def test_16_bit_is_never_refused() -> None:
    assert SMALL.refused(Precision.BF16, floor(1.0)) == ""


def test_a_precision_is_refused_for_all_only_where_no_class_may_get_it() -> None:
    strict, lax = floor(0.99), floor(0.9)
    assert SMALL.refused_for_all(Precision.FP8, (strict, lax)) == ""
    assert "98.5 %" in SMALL.refused_for_all(Precision.FP8, (strict, strict))
    assert SMALL.refused_for_all(Precision.INT4, ()) == BY_DEFAULT


def test_the_least_recovery_of_a_task_counts_and_of_all_tasks_where_the_task_was_not_tested() -> None:
    tested = [
        Recovery(precision=Precision.INT8, task="chat", share=1.02),
        Recovery(precision=Precision.INT8, task="code", share=0.99),
        Recovery(precision=Precision.INT8, task="code", share=0.97),
    ]
    assert known_of(tested, "code") == {Precision.INT8: 0.97}
    assert known_of(tested, "Chat") == {Precision.INT8: 1.02}
    assert known_of(tested, "poetry") == {Precision.INT8: 0.97}


def test_every_published_recovery_names_a_known_model_a_precision_and_its_source() -> None:
    names = {m.name for m in CATALOG.models}
    for row in tables.rows("quality"):
        assert row["model"] in names
        assert 0.5 < float(row["recovery"]) < 1.2
        assert Precision(row["precision"])
        assert row["source"]
        assert row["benchmark"]
