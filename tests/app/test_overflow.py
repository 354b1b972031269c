"""Services of a spec that are paid by the token: what a plan gives them, what it says of them, which specs are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app.explain import ExplainAsked, explain
from hetops.app.frontier import FrontierAsked, frontier
from hetops.app.plan import make_plan
from hetops.app.played_requests import Stretch
from hetops.app.pose import pose
from hetops.app.preconditions import check_service_keys
from hetops.app.simulate import SimulationAsked, simulate
from hetops.domain import codec
from hetops.domain.plan import Plan
from hetops.domain.service import PlannedService
from hetops.errors import CredentialsError, InfeasibleError, SpecError, UnknownNameError
from hetops.reports import plan as report
from hetops.reports.frontier import as_text as told_frontier
from hetops.solver.questions.explanation import Question
from hetops.solver.recheck.plan import recheck, seal
from tests.doubles import specs

CHEAP = """
[[overflow]]
name = "paygo"
url = "https://api.example.com/v1"
api_key_variable = "PAYGO_KEY"
model = "vendor/llama-8b"
usd_per_million_input_tokens = 0.01
usd_per_million_output_tokens = 0.03
requests_per_minute = 120
ttft_seconds = 0.6
tpot_seconds = 0.03
"""

DEAR = CHEAP.replace("= 0.01", "= 90.0").replace("= 0.03\nrequests", "= 90.0\nrequests")


def planned(folder: Path, more: str = CHEAP) -> Plan:
    """The plan of the spec with more tables, which passes as its file would."""
    plan = make_plan(specs.asked(folder, specs.LISTED + more))
    assert recheck(plan) == ()
    return plan


@pytest.fixture(name="plan", scope="module")
def _plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A plan that gives a service a share."""
    return planned(tmp_path_factory.mktemp("plan"))


def rate(plan: Plan, name: str = "paygo") -> float:
    """Requests per second that a service or pool is planned for."""
    return sum(s.requests_per_second for s in plan.shares if s.pool == name)


def test_of_the_limits_of_a_service_too_the_headroom_stays_free(tmp_path: Path) -> None:
    (service,) = pose(
        specs.asked(tmp_path, specs.LISTED + CHEAP + "tokens_per_minute = 30000\n")
    ).problem.services
    assert service.max_requests_per_second == pytest.approx(120 / 60 * 0.85)
    assert service.max_tokens_per_second == pytest.approx(30000 / 60 * 0.85)
    assert service.tokens_per_request == {"short": 450, "long": 6300}
    assert service.usd_per_request["short"] == Decimal("0.0000075")


def test_a_cheap_service_makes_the_fleet_cheaper_and_is_paid_for_what_it_gets(
    plan: Plan, tmp_path: Path
) -> None:
    free = planned(tmp_path, "")
    (service,) = plan.services
    assert 0 < rate(plan) <= 120 / 60 * 0.85 * (1 + 1e-6)
    assert plan.usd_per_hour < free.usd_per_hour
    assert plan.usd_per_hour == sum(p.usd_per_hour for p in plan.pools) + service.usd_per_hour
    usd = {"short": (300 * 0.01 + 150 * 0.03) / 1e6, "long": (6000 * 0.01 + 300 * 0.03) / 1e6}
    due = sum(usd[s.workload_class] * s.requests_per_second * 3600 for s in plan.shares if s.pool == "paygo")
    assert float(service.usd_per_hour) == pytest.approx(due, abs=2e-6)
    assert float(service.usd_per_hour_at_limits) == pytest.approx(120 * 60 * usd["long"])


def test_a_dear_service_stands_by_and_costs_nothing(tmp_path: Path) -> None:
    free, plan = planned(tmp_path, ""), planned(tmp_path, DEAR)
    (service,) = plan.services
    assert (rate(plan), service.usd_per_hour) == (0.0, 0)
    assert plan.usd_per_hour == free.usd_per_hour
    assert service.serves == ("short", "long")
    assert "paygo stands by" in report.as_text(plan)


def test_a_plan_says_what_a_service_costs_saves_and_may_cost_and_holds_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYGO_KEY", "sk-of-the-account")
    plan = planned(tmp_path)
    told = report.as_text(plan)
    assert "https://api.example.com/v1 by the token" in told
    assert "Overflow to paygo saves" in told
    assert "at its limits (120 requests a minute); its key is read from $PAYGO_KEY" in told
    assert "sk-of-the-account" not in told + codec.encode(plan).decode()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("ttft_seconds = 0.6", "ttft_seconds = 1.5", "TTFT of 1.50 s there, 1.00 s is the target"),
        ("tpot_seconds = 0.03", "tpot_seconds = 0.2", "TPOT of 0.20 s there, 80 ms is the target"),
        ("requests", 'classes = ["long"]\nrequests', "overflow.classes leaves it out"),
        ("requests", "max_context_tokens = 400\nrequests", "takes 400 tokens, its longest requests have 450"),
    ],
)
def test_a_class_that_a_service_must_not_serve_is_refused_with_the_reason(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    plan = planned(tmp_path, CHEAP.replace(old, new))
    assert {r.subject: r.reason for r in plan.refusals}["short on paygo"] == reason
    assert all(s.workload_class == "long" for s in plan.shares if s.pool == "paygo")


def test_a_service_that_may_serve_nobody_is_warned_of(tmp_path: Path) -> None:
    slow = planned(tmp_path, CHEAP.replace("ttft_seconds = 0.6", "ttft_seconds = 60"))
    assert "paygo" not in {one.name for one in slow.services}
    assert [w for w in slow.warnings if w.startswith("paygo may serve no class, and is left out: ")]
    assert not [w for w in planned(tmp_path).warnings if "may serve no class" in w]


def test_what_goes_to_services_can_be_capped_as_what_goes_to_a_market(tmp_path: Path) -> None:
    cap = '[[policy.shares]]\nof = "market"\nnames = ["token"]\nat_most = 0.1\n'
    plan = planned(tmp_path, CHEAP + cap)
    shares = {s.workload_class: s.share for s in plan.shares if s.pool == "paygo"}
    assert shares
    assert all(share <= 0.1 + 1e-9 for share in shares.values())


def test_a_service_may_be_lost_as_a_provider_is_and_may_serve_what_others_lose(tmp_path: Path) -> None:
    survive = '[[policy.survive]]\nlosing = "provider"\nkept_share = 0.2\n'
    plan = planned(tmp_path, CHEAP + survive)
    covers = {cover.lost: {s.pool for s in cover.shares} for cover in plan.covers}
    assert "paygo" not in covers[("paygo",)]
    assert any("paygo" in to for lost, to in covers.items() if lost != ("paygo",))


def test_a_class_that_no_gpu_serves_in_time_can_go_to_a_service(tmp_path: Path) -> None:
    text = specs.LISTED.replace("ttft_seconds = 4.0", "ttft_seconds = 0.0001")
    fast = CHEAP.replace("ttft_seconds = 0.6", "ttft_seconds = 0.0001")
    plan = make_plan(specs.asked(tmp_path, text + fast))
    assert {s.pool for s in plan.shares if s.workload_class == "long"} == {"paygo"}
    assert recheck(plan) == ()


def hurried(ttft_seconds: str, more: str = "") -> str:
    """The spec with targets that no GPU keeps, and a service with that TTFT."""
    text = specs.LISTED.replace("ttft_seconds = 4.0", "ttft_seconds = 0.0002")
    text = text.replace("ttft_seconds = 1.0", "ttft_seconds = 0.0002").replace("[providers.gcp]", more)
    service = CHEAP.replace("_minute = 120", "_minute = 1200")
    return text + service.replace("ttft_seconds = 0.6", f"ttft_seconds = {ttft_seconds}")


@pytest.mark.parametrize("more", ["", '[offers]\ngpus = ["H20"]'])
def test_where_no_gpu_serves_a_service_alone_may_and_its_plan_can_be_played(
    tmp_path: Path, more: str
) -> None:
    plan = make_plan(specs.asked(tmp_path, hurried("0.0001", more)))
    assert recheck(plan) == ()
    assert plan.pools == ()
    assert {s.pool for s in plan.shares} == {"paygo"}
    assert plan.usd_per_hour == plan.services[0].usd_per_hour > 0
    asked = SimulationAsked(
        spec=specs.asked(tmp_path, hurried("0.0001", more)), stretch=Stretch(duration_seconds=20.0)
    )
    played = simulate(asked, print)
    assert played.attainment == 1.0
    assert [p.name for p in played.pools] == ["paygo"]


def test_where_neither_gpu_nor_service_serves_the_error_says_why_of_both(tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError, match="no configuration on any offer") as found:
        make_plan(specs.asked(tmp_path, hurried("0.6")))
    told = "\n".join(found.value.details)
    assert "short: nearest is" in told
    assert "short on paygo: TTFT of 0.60 s there, 0.2 ms is the target" in told


def test_where_services_alone_cannot_take_it_all_the_error_says_how_much_they_can(tmp_path: Path) -> None:
    text = hurried("0.0001").replace("_minute = 1200", "_minute = 60")
    with pytest.raises(InfeasibleError) as found:
        make_plan(specs.asked(tmp_path, text))
    assert any("serve 9.4 % of the demand" in detail for detail in found.value.details)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("https://api", "http://api", "a key is sent over https alone"),
        ("https://api", "ftp://api", "no http or https base URL"),
        ("https://api", "https://me:pass@api", "without user, query or fragment"),
        ('"PAYGO_KEY"', '"sk-abcdef123"', "never the key itself"),
        ("requests_per_minute = 120\n", "", "unknown is never unlimited"),
        ("requests_per_minute = 120", "requests_per_minute = 0", "overflow[0].requests_per_minute"),
        (
            "= 0.01\nusd_per_million_output_tokens = 0.03",
            "= 0\nusd_per_million_output_tokens = 0",
            "'not sold'",
        ),
        ("= 0.01", "= -0.01", "must be at least 0"),
        ("ttft_seconds = 0.6\n", "", "missing ttft_seconds"),
        ('name = "paygo"', 'name = "aws"', "aws is the name of a provider"),
        ('name = "paygo"', 'name = "Pay Go"', "overflow[0].name"),
        ("[[overflow]]", f"{CHEAP}\n[[overflow]]", "two overflow services have one name"),
    ],
)
def test_a_spec_that_says_something_impossible_of_a_service_is_refused(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert old in CHEAP
    with pytest.raises(SpecError) as found:
        pose(specs.asked(tmp_path, specs.LISTED + CHEAP.replace(old, new)))
    assert told in str(found.value)
    assert "hetops.toml:" in str(found.value)
    assert "abcdef" not in str(found.value)
    assert "pass" not in str(found.value)


def test_a_class_that_there_is_not_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"hetops.toml:\d+: overflow\[0\].classes\[0\]"):
        planned(tmp_path, CHEAP.replace("requests", 'classes = ["shrot"]\nrequests'))


def _more(one: PlannedService) -> PlannedService:
    return replace(one, service=replace(one.service, requests_per_minute=60))


def _slow(one: PlannedService) -> PlannedService:
    return replace(one, service=replace(one.service, ttft_seconds=9.0))


def _short(one: PlannedService) -> PlannedService:
    return replace(one, service=replace(one.service, max_context_tokens=100))


def _cheaper(one: PlannedService) -> PlannedService:
    return replace(one, service=replace(one.service, usd_per_million_input_tokens=Decimal("0.001")))


def _for_others(one: PlannedService) -> PlannedService:
    return replace(one, serves=())


@pytest.mark.parametrize(
    ("tamper", "rule"),
    [
        (_more, "services"),
        (_slow, "services"),
        (_short, "services"),
        (_for_others, "services"),
        (_cheaper, "cost"),
    ],
)
def test_a_plan_whose_service_was_touched_does_not_pass(
    plan: Plan, tamper: Callable[[PlannedService], PlannedService], rule: str
) -> None:
    touched = seal(replace(plan, services=tuple(map(tamper, plan.services))))
    assert rule in {violation.rule for violation in recheck(touched)}


def test_a_plan_that_lost_its_service_does_not_pass(plan: Plan) -> None:
    broken = {violation.rule for violation in recheck(seal(replace(plan, services=())))}
    assert "pools" in broken


def test_an_up_without_the_key_is_refused_before_anything_is_made(plan: Plan) -> None:
    check_service_keys(plan, {"PAYGO_KEY": "sk"})
    for environment in ({}, {"PAYGO_KEY": " "}):
        with pytest.raises(CredentialsError, match="PAYGO_KEY is not set"):
            check_service_keys(plan, environment)


def explained(folder: Path, question: Question, subject: str = "", more: str = CHEAP) -> str:
    """What is said, in one text."""
    asked = specs.asked(folder, specs.LISTED + more)
    found = explain(ExplainAsked(spec=asked, question=question, subject=subject))
    return " ".join(s.text for s in found.explanation.statements)


def test_explanations_know_services(tmp_path: Path) -> None:
    told = explained(tmp_path, Question.WHY_NOT, "paygo")
    assert "paygo serves" in told
    assert "Without paygo would cost" in told
    dear = explained(tmp_path, Question.WHY_NOT, "paygo", DEAR)
    assert "1 % of short, long on paygo would cost" in dear
    slow = explained(
        tmp_path, Question.WHY_NOT, "paygo", CHEAP.replace("tpot_seconds = 0.03", "tpot_seconds = 9")
    )
    assert "paygo may serve no class (short on paygo: TPOT of 9.00 s there" in slow
    told = explained(tmp_path, Question.CLASS, "long")
    assert "goes to paygo by the token" in told
    assert "All of long on paygo" in told


def test_break_even_prices_of_a_service_are_by_the_token(tmp_path: Path) -> None:
    told = explained(tmp_path, Question.BREAKEVEN, "paygo")
    assert "paygo leaves the fleet above $" in told
    assert "above its price now, $0.01 and $0.03 per million input and output tokens; within 0.1 %)" in told


def test_a_frontier_names_the_services_of_its_fleets(tmp_path: Path) -> None:
    asked = FrontierAsked(spec=specs.asked(tmp_path, specs.LISTED + CHEAP), target_factors=(1.0,))
    found = frontier(asked, print)
    assert found.points[0].services == ("paygo",)
    assert "+ paygo" in told_frontier(found)
