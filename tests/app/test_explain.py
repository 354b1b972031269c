"""Questions about a spec's fleet, through the real catalogue, model and solver."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hetops.app.explain import ExplainAsked, explain
from hetops.app.plan import solved
from hetops.app.pose import pose
from hetops.domain import codec
from hetops.errors import InfeasibleError, UnknownNameError, UsageError
from hetops.solver.questions.explanation import Explanation, Question, Topic
from hetops.solver.solve import PROOF_GAP, Effort
from tests.doubles import specs
from tests.doubles.days import PERIODS
from tests.solver.problems import small


def told(folder: Path, question: Question, subject: str = "", *overrides: str) -> Explanation:
    """The explanation for the small listed spec."""
    spec = specs.asked(folder, specs.LISTED, *overrides)
    return explain(ExplainAsked(spec=spec, question=question, subject=subject)).explanation


def test_why_tells_the_fleet_a_dollar_looser_targets_and_the_losers(tmp_path: Path) -> None:
    why = told(tmp_path, Question.WHY)
    assert {Topic.FLEET, Topic.BUDGET, Topic.TARGETS} <= {s.topic for s in why.statements}
    assert any(a.description.startswith("only ") for a in why.alternatives)
    assert why.solution
    assert all(s.exact for s in why.statements)
    looser = next(s for s in why.statements if s.topic is Topic.TARGETS)
    assert looser.after is not None
    assert looser.after <= why.solution.objective == looser.before


def test_why_not_tells_what_a_gpu_type_costs(tmp_path: Path) -> None:
    first, *_ = told(tmp_path, Question.WHY_NOT, "H100-SXM").statements
    assert first.text.startswith("At least one node of H100-SXM would cost $")
    assert first.before is not None
    assert first.after is not None
    assert first.after > first.before


@pytest.mark.parametrize(
    ("overrides", "begins"),
    [
        (('offers.gpus=["L4", "L40S"]',), "No offer of T4 may be chosen"),
        (("targets.tpot_seconds=0.004",), "Nothing on T4 serves any class within the targets ("),
        (('model.name="llama-3.1-70b"', 'model.precisions=["bf16"]'), "No configuration of llama-3.1-70b"),
    ],
)
def test_why_not_tells_what_ruled_a_gpu_type_out_before_the_solver(
    overrides: tuple[str, ...], begins: str, tmp_path: Path
) -> None:
    told_of = told(tmp_path, Question.WHY_NOT, "T4", *overrides).statements
    assert [s.text[: len(begins)] for s in told_of] == [begins]
    assert told_of[0].after is None


def test_why_not_tells_why_every_offer_of_a_provider_was_refused(tmp_path: Path) -> None:
    (found,) = told(tmp_path, Question.WHY_NOT, "gcp", 'offers.gpus=["L40S"]').statements
    assert found.text.startswith("No offer of gcp may be chosen (gcp/")
    assert "not a GPU type asked for" in found.text


def test_what_nobody_knows_is_answered_with_what_is_near(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown GPU type, offer or provider 'L4O'") as caught:
        told(tmp_path, Question.WHY_NOT, "L4O")
    assert "L4" in caught.value.hint
    with pytest.raises(UnknownNameError, match="unknown class 'shrt'") as caught:
        told(tmp_path, Question.CLASS, "shrt")
    assert caught.value.hint == "did you mean 'short'?"


def test_infeasible_tells_changes_with_the_targets_among_them(tmp_path: Path) -> None:
    changes = told(tmp_path, Question.INFEASIBLE, "", "budget.usd_per_hour=2").statements
    assert changes[0].before is None
    assert {Topic.BUDGET, Topic.DEMAND} <= {s.topic for s in changes}
    assert all(s.after is not None for s in changes)


def test_other_questions_about_a_spec_without_a_fleet_end_with_the_infeasible_error(tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError):
        told(tmp_path, Question.WHY, "", "budget.usd_per_hour=0.5")


def test_breakeven_tells_prices_of_the_fleet_and_of_others(tmp_path: Path) -> None:
    prices = told(tmp_path, Question.BREAKEVEN).statements
    assert any("leaves the fleet above" in s.text for s in prices)
    assert any("enters the fleet below" in s.text for s in prices)
    one = told(tmp_path, Question.BREAKEVEN, prices[0].subject).statements
    assert one == prices[:1]


def test_a_class_is_told_by_its_name(tmp_path: Path) -> None:
    first, *_ = told(tmp_path, Question.CLASS, "short").statements
    assert "of short" in first.text


@pytest.mark.parametrize(
    ("question", "subject", "says"),
    [
        (Question.WHY_NOT, "", "why-not of what"),
        (Question.CLASS, "", "class of what"),
        (Question.WHY, "L4", "why takes no name"),
        (Question.INFEASIBLE, "L4", "infeasible takes no name"),
    ],
)
def test_a_question_wants_its_name_and_no_other(
    question: Question, subject: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        told(tmp_path, question, subject)


def test_a_problem_file_is_explained_without_any_spec(tmp_path: Path) -> None:
    path = tmp_path / "problem.json"
    path.write_bytes(codec.encode(small()))
    asked = ExplainAsked(spec=specs.asked(tmp_path), problem_file=path)
    assert explain(asked).explanation.solution
    with pytest.raises(UnknownNameError):
        explain(
            ExplainAsked(
                spec=specs.asked(tmp_path), problem_file=path, question=Question.WHY_NOT, subject="T4"
            )
        )


@pytest.mark.parametrize("document", ["hetops.plan", "hetops.day", "hetops.solution"])
def test_an_answer_without_its_question_is_not_explained_but_told_where_to_ask(
    document: str, tmp_path: Path
) -> None:
    path = tmp_path / "answer.json"
    path.write_text(f'{{"format": "{document}", "format_version": "1.0"}}', encoding="utf-8")
    with pytest.raises(
        UsageError, match=f"answer.json is a {document}, an answer without the question"
    ) as caught:
        explain(ExplainAsked(spec=specs.asked(tmp_path), problem_file=path))
    assert "--write-problem" in caught.value.hint


def test_what_looser_targets_save_is_what_the_fleet_for_these_targets_costs_less(tmp_path: Path) -> None:
    faster = specs.LISTED.replace("tpot_seconds = 0.08", "tpot_seconds = 0.088")
    for ttft, looser in (("4.0", "4.4"), ("1.0", "1.1")):
        faster = faster.replace(f"ttft_seconds = {ttft}", f"ttft_seconds = {looser}")
    saved = 0.0
    for many in ("workload.rate_scale=3", "workload.rate_scale=10"):
        statements = told(tmp_path, Question.WHY, "", many).statements
        saves = next(s for s in statements if s.topic is Topic.TARGETS)
        _, fleet = solved(pose(specs.asked(tmp_path, faster, many)), Effort(most_gap=PROOF_GAP))
        assert saves.after == pytest.approx(fleet.objective)
        assert saves.before is not None
        saved = max(saved, saves.before - fleet.objective)
    assert saved > 0


def test_a_day_is_told_with_its_starts_and_how_few_and_many_nodes_run(tmp_path: Path) -> None:
    spec = specs.asked(tmp_path, specs.LISTED + PERIODS)
    told_of = explain(ExplainAsked(spec=spec)).explanation
    whole, *pools = (s.text for s in told_of.statements if s.topic is Topic.FLEET)
    assert re.search(
        r"The fleet costs \S+ per hour, \S+ per hour of it for starts; no fleet costs less", whole
    )
    assert any(re.match(r"\d+ to \d+ nodes of .* per hour on average serve ", text) for text in pools)
    assert {"day", "night"} <= {s.subject for s in told_of.statements}
