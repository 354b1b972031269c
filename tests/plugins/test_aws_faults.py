"""What fails of AWS costs what it would have told and is named; nothing of it becomes a wrong price, or a secret told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from hetops_aws.failures import meaning_of
from hetops_aws.provider import AwsProvider
from hetops_aws.settings import AwsSettings

from hetops.domain.offer import Market
from hetops.errors import ErrorKind, ProviderError, Scope
from hetops.offers.collect import Source, Terms, collect
from hetops.offers.sources import SourceState
from tests.doubles import aws, aws_account
from tests.doubles.aws_account import AwsFault, AwsScenario, Denied
from tests.doubles.fake_api import FaultKind
from tests.doubles.providers import list_offer
from tests.plugins.aws_questions import Told, ask, enter, query

FEW = AwsScenario(only_types=("g6.xlarge", "p5.48xlarge"), regions=("us-east-1", "eu-west-1"))
SICK = "eu-west-1"

OF_AN_INSTANT = {
    FaultKind.TRUNCATED_JSON: "answered ec2:DescribeInstanceTypeOfferings with what is no answer of AWS",
    FaultKind.LOGIN_PAGE: "answered ec2:DescribeInstanceTypeOfferings with what is no answer of AWS",
    FaultKind.CLOCK_SKEW: "refused: RequestExpired, the clock of this machine or the key is wrong",
}
TRIED_AGAIN = {
    FaultKind.THROTTLED: "throttled ec2:DescribeInstanceTypeOfferings (RequestLimitExceeded)",
    FaultKind.THROTTLED_BARE: "throttled ec2:DescribeInstanceTypeOfferings (RequestLimitExceeded)",
    FaultKind.ERROR_500: "failed: 500",
    FaultKind.RESET: "could not be reached for ec2:DescribeInstanceTypeOfferings",
    FaultKind.LOST_ANSWER: "could not be reached for ec2:DescribeInstanceTypeOfferings",
    FaultKind.SHORT_BODY: "",
    FaultKind.REDIRECT: "",
}
"""Boto3 tries these again for some seconds; the last two fail in one of several ways."""
HANGING = (FaultKind.DEAD, FaultKind.SLOW_BODY, FaultKind.SILENT_SUCCESS)


@pytest.fixture(scope="module")
def healthy() -> Iterator[Told]:
    """What is told where nothing fails."""
    with aws.running(FEW) as cloud, pytest.MonkeyPatch.context() as patch:
        enter(cloud, patch)
        yield ask()


def sick(kind: FaultKind, monkeypatch: pytest.MonkeyPatch, seconds: float = 20.0) -> Told:
    """What is told where every request to one region meets the fault."""
    with aws.running(replace(FEW, faults=(AwsFault(kind=kind, region=SICK),))) as cloud:
        enter(cloud, monkeypatch)
        return ask(seconds=seconds)


def unharmed(told: Told, healthy: Told) -> None:
    """The other region's offers are as ever, and the sick one has none, and is named."""
    assert {o.id: o.usd_per_hour for o in told.offers} == {
        o.id: o.usd_per_hour for o in healthy.offers if o.region != SICK
    }
    assert told.failures
    assert all(f.message.startswith(SICK) for f in told.failures)


@pytest.mark.parametrize(("kind", "said"), OF_AN_INSTANT.items(), ids=lambda v: str(v)[:12])
def test_a_region_that_answers_nonsense_costs_itself_alone(
    kind: FaultKind, said: str, monkeypatch: pytest.MonkeyPatch, healthy: Told
) -> None:
    told = sick(kind, monkeypatch)
    unharmed(told, healthy)
    assert [f.message for f in told.failures] == [f"{SICK} {said}"]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "said"), TRIED_AGAIN.items(), ids=lambda v: str(v)[:12])
def test_a_region_that_keeps_failing_costs_itself_alone(
    kind: FaultKind, said: str, monkeypatch: pytest.MonkeyPatch, healthy: Told
) -> None:
    told = sick(kind, monkeypatch)
    unharmed(told, healthy)
    assert said in told.failures[0].message
    assert told.failures[0].kind is (ErrorKind.THROTTLED if "throttled" in kind else ErrorKind.TRANSIENT)


@pytest.mark.slow
@pytest.mark.parametrize("kind", HANGING)
def test_a_region_that_hangs_is_left_at_the_deadline(
    kind: FaultKind, monkeypatch: pytest.MonkeyPatch, healthy: Told
) -> None:
    began = time.monotonic()
    told = sick(kind, monkeypatch, seconds=6.0)
    assert time.monotonic() - began < 8.0
    unharmed(told, healthy)


def test_a_wrong_content_type_does_not_matter_to_what_is_read(
    monkeypatch: pytest.MonkeyPatch, healthy: Told
) -> None:
    told = sick(FaultKind.WRONG_CONTENT_TYPE, monkeypatch)
    assert {o.id for o in told.offers} == {o.id for o in healthy.offers}


@pytest.mark.parametrize("kind", [FaultKind.THROTTLED, FaultKind.ERROR_500, FaultKind.RESET])
def test_what_passes_is_asked_again_and_costs_nothing(
    kind: FaultKind, monkeypatch: pytest.MonkeyPatch, healthy: Told
) -> None:
    fault = AwsFault(kind=kind, action="pricing:GetProducts", times=1)
    with aws.running(replace(FEW, faults=(fault,))) as cloud:
        enter(cloud, monkeypatch)
        told = ask()
        assert cloud.actions().count("pricing:GetProducts") == 3
    assert told.failures == ()
    assert {o.id for o in told.offers} == {o.id for o in healthy.offers}


def test_half_of_a_price_list_is_no_price_list(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = AwsFault(kind=FaultKind.TRUNCATED_JSON, action="pricing:GetProducts")
    with aws.running(replace(FEW, faults=(fault,))) as cloud:
        enter(cloud, monkeypatch)
        told = ask()
    assert told.on(Market.ON_DEMAND) == ()
    assert [f.message for f in told.failures] == [
        f"{SICK}, us-east-1 answered pricing:GetProducts with what is no answer of AWS"
    ]


def test_each_denied_permission_is_named_with_its_regions_and_costs_what_it_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with aws.running(aws_account.scenario("denied")) as cloud:
        enter(cloud, monkeypatch)
        told = ask()
    assert sorted(f.message for f in told.failures) == [
        "eu-west-1 refused: AccessDeniedException servicequotas:ListServiceQuotas",
        "eu-west-1, us-east-1 refused: AccessDeniedException pricing:GetProducts",
        "us-west-2 refused: UnauthorizedOperation ec2:DescribeInstanceTypeOfferings",
    ]
    assert {f.hint for f in told.failures if "pricing" in f.message} == {
        "allow pricing:GetProducts to this user or role: docs/providers-aws.md has the policy"
    }
    assert {(o.region, o.market) for o in told.offers} == {
        ("us-east-1", Market.SPOT),
        ("eu-west-1", Market.SPOT),
    }
    quotas = {o.region: o.limits.quotas for o in told.offers}
    assert quotas["us-east-1"]
    assert quotas["eu-west-1"] == (), "unknown is not unlimited: nothing is said"


def test_a_description_that_one_region_refuses_is_asked_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = AwsFault(kind=FaultKind.LOGIN_PAGE, action="ec2:DescribeInstanceTypes", times=1)
    with aws.running(replace(FEW, faults=(fault,))) as cloud:
        enter(cloud, monkeypatch)
        assert {o.region for o in ask().offers} == {"us-east-1", "eu-west-1"}


def test_with_every_region_refused_the_provider_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = Denied(action="ec2:DescribeInstanceTypeOfferings")
    with aws.running(replace(FEW, denied=(denied,))) as cloud:
        enter(cloud, monkeypatch)
        with pytest.raises(ProviderError) as raised:
            ask()
    assert raised.value.kind is ErrorKind.AUTH
    assert raised.value.message.startswith("eu-west-1, us-east-1 refused: UnauthorizedOperation")


def test_a_provider_that_refuses_is_planned_from_list_prices_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with aws.running(FEW) as cloud:
        enter(cloud, monkeypatch)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
        asked = replace(query(), list_prices=(list_offer("aws"),))
        found = collect([Source(name="aws", provider=AwsProvider())], asked, Terms(deadline_seconds=20))
    (report,) = found.sources
    assert report.state is SourceState.REFUSED
    assert report.error_kind is ErrorKind.AUTH
    assert report.detail == "us-east-1 refused the credentials: AuthFailure"
    assert "AWS_PROFILE" in report.hint
    assert [o.provider for o in found.offers] == ["aws"]


def test_a_dead_price_list_leaves_the_spot_offers_within_the_deadline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fault = AwsFault(kind=FaultKind.DEAD, action="pricing:GetProducts")
    with aws.running(replace(FEW, faults=(fault,))) as cloud:
        enter(cloud, monkeypatch)
        began = time.monotonic()
        terms = Terms(deadline_seconds=6.0, cache_folder=tmp_path)
        found = collect([Source(name="aws", provider=AwsProvider())], query(), terms)
        assert time.monotonic() - began < 20, "the list would be silent for a minute"
    assert {o.market for o in found.offers} == {Market.SPOT}
    assert "did not answer pricing:GetProducts in time" in found.coverage
    assert list(tmp_path.iterdir()) == [], "what may mend is asked again, not kept"


@pytest.mark.parametrize(
    ("code", "status", "kind", "scope"),
    [
        ("AccessDeniedException", 400, ErrorKind.AUTH, Scope.REGION),
        ("UnauthorizedOperation", 403, ErrorKind.AUTH, Scope.REGION),
        ("OptInRequired", 401, ErrorKind.AUTH, Scope.REGION),
        ("ExpiredToken", 400, ErrorKind.AUTH, Scope.PROVIDER),
        ("SignatureDoesNotMatch", 403, ErrorKind.AUTH, Scope.PROVIDER),
        ("RequestTimeTooSkewed", 403, ErrorKind.AUTH, Scope.PROVIDER),
        ("RequestLimitExceeded", 503, ErrorKind.THROTTLED, Scope.REGION),
        ("TooManyRequestsException", 429, ErrorKind.THROTTLED, Scope.REGION),
        ("", 429, ErrorKind.THROTTLED, Scope.REGION),
        ("MaxConfigLimitExceeded", 400, ErrorKind.QUOTA, Scope.PROVIDER),
        ("InternalError", 500, ErrorKind.TRANSIENT, Scope.REGION),
        ("InvalidParameterValue", 400, ErrorKind.INVALID, Scope.PROVIDER),
    ],
)  # fmt: skip
def test_aws_error_codes_have_one_meaning_each(code: str, status: int, kind: ErrorKind, scope: Scope) -> None:
    message = f"Canonical request: x-amz-security-token:{aws_account.TOKEN}"
    answer = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    meaning = meaning_of(ClientError(answer, "GetProducts"), "pricing:GetProducts", AwsSettings())
    assert (meaning.kind, meaning.scope) == (kind, scope)
    assert aws_account.TOKEN not in repr(meaning)


def test_quotas_that_a_region_does_not_tell_are_an_error_not_none(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = Denied(action="servicequotas:ListServiceQuotas", regions=(SICK,))
    with aws.running(replace(FEW, denied=(denied,))) as cloud:
        enter(cloud, monkeypatch)
        with pytest.raises(ProviderError, match="eu-west-1 refused: AccessDeniedException"):
            asyncio.run(AwsProvider().quota({}))
