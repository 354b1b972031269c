"""As a new user comes: with no credentials, half of them, wrong ones, and right ones that allow too little.

Planning goes on from list prices, the reason and the fix are told, and no secret is told or kept anywhere.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hetops_aws.checks import checked
from hetops_aws.settings import read_settings

from hetops.errors import ErrorKind
from hetops.plugin.provider import CheckResult
from tests.cli.process import hetops, told
from tests.doubles import aws, aws_account, specs
from tests.doubles.aws import AwsCloud
from tests.doubles.aws_account import AwsFault, AwsScenario, Denied
from tests.doubles.fake_api import FaultKind

NOBODY = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
    "HETOPS_PLUGINS": "aws,local",
}
FEW = AwsScenario(only_types=("g6.xlarge", "g6e.xlarge"), regions=("us-east-1", "eu-west-1"))


@pytest.fixture(scope="module")
def cloud() -> Iterator[AwsCloud]:
    """The double."""
    with aws.running(FEW) as double:
        yield double


def check(cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> dict[str, CheckResult]:
    """What the checks say, by subject, with patience for a busy machine."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    return {r.subject: r for r in checked(read_settings(settings), seconds=30)}


@pytest.mark.parametrize(
    ("environment", "said", "fix"),
    [
        ({}, "no credentials were found", "aws configure"),
        ({"AWS_ACCESS_KEY_ID": "AKIAHALF"}, "AWS_SECRET_ACCESS_KEY is missing", "aws configure"),
        ({"AWS_SECRET_ACCESS_KEY": "half"}, "AWS_ACCESS_KEY_ID is missing", "aws configure"),
        ({"AWS_PROFILE": "nobody"}, "AWS_PROFILE: there is no profile 'nobody'", "list-profiles"),
    ],
    ids=["none", "half", "the other half", "no such profile"],
)
def test_without_credentials_list_prices_stand_in_and_the_reason_is_told(
    environment: dict[str, str], said: str, fix: str, tmp_path: Path
) -> None:
    offers = told(
        hetops(tmp_path, "offers", "--provider", "aws", "--json", variables={**NOBODY, **environment})
    )
    (source,) = offers["sources"]
    assert (source["state"], source["error_kind"]) == ("refused", "auth")
    assert said in source["detail"]
    assert fix in source["hint"]
    assert {o["offer"]["basis"] for o in offers["offers"]} == {"list"}


def test_without_credentials_a_plan_is_made(tmp_path: Path) -> None:
    specs.written(tmp_path, specs.LISTED.replace("[providers.gcp]\n", ""))
    run = hetops(tmp_path, "plan", "--json", variables=NOBODY)
    assert run.returncode == 0, run.stderr
    assert "list prices are for planning only: up needs live offers" in told(run)["warnings"]


def test_a_profile_of_the_settings_that_is_not_there_is_named_by_its_field(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = check(cloud, monkeypatch, profile="work")
    assert results["credentials"].detail == "providers.aws.profile: there is no profile 'work'"


def test_keys_are_taken_from_a_profile_of_the_users_own_files(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {
        "credentials": f"[work]\naws_access_key_id={aws_account.KEY}\naws_secret_access_key={aws_account.SECRET}\n",
        "config": "[profile work]\nregion=eu-west-1\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    environment = {
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    results = {r.subject: r for r in checked(read_settings({"profile": "work"}), seconds=30)}
    assert results["credentials"].detail == "of account 123456789012, from shared-credentials-file"
    assert all(r.ok for r in results.values())


def test_a_sign_in_that_has_expired_names_the_command_that_renews_it(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile work]\nsso_session=s\nsso_account_id=1\nsso_role_name=r\n"
        "[sso-session s]\nsso_start_url=https://example.invalid\nsso_region=us-east-1\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in {**cloud.environment(), "AWS_CONFIG_FILE": str(config)}.items():
        monkeypatch.setenv(name, value)
    (result,) = checked(read_settings({"profile": "work"}), seconds=30)
    assert (result.ok, result.kind) == (False, ErrorKind.AUTH)
    assert "sign-in has expired or cannot be read" in result.detail
    assert result.fix == "aws sso login --profile work"


def test_a_file_that_nobody_can_read_is_named(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "credentials"
    broken.write_text("garbage\n[[[", encoding="utf-8")
    for name, value in {**cloud.environment(), "AWS_SHARED_CREDENTIALS_FILE": str(broken)}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    (result,) = checked(read_settings({}), seconds=30)
    assert (result.ok, result.kind) == (False, ErrorKind.AUTH)
    assert f"{broken} cannot be read" in result.detail


def test_each_permission_is_checked_by_its_name(cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {
        "markets": ["on_demand", "spot", "capacity_block"],
        "placement_scores": ["g6.xlarge", "g6e.xlarge", "g5.xlarge"],
    }
    results = check(cloud, monkeypatch, **wanted)
    assert set(results) == {
        "credentials",
        "ec2:DescribeCapacityBlockOfferings",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeInstances",
        "ec2:DescribeRegions",
        "ec2:DescribeSpotPriceHistory",
        "ec2:GetSpotPlacementScores",
        "pricing:GetProducts",
        "servicequotas:ListServiceQuotas",
    }
    assert all(r.ok for r in results.values()), results


def test_the_policy_of_the_page_allows_what_is_checked_and_nothing_more(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A permission that is added to the code must be added to the page."""
    page = (Path(__file__).parents[2] / "docs" / "providers-aws.md").read_text(encoding="utf-8")
    policy = json.loads(re.search(r"```json\n(\{.*?\n\})\n```", page, re.DOTALL)[1])
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    wanted = {
        "markets": ["on_demand", "spot", "capacity_block"],
        "placement_scores": ["g6.xlarge", "g6e.xlarge", "g5.xlarge"],
    }
    needed = set(check(cloud, monkeypatch, **wanted)) - {"credentials"}
    assert allowed == needed


@pytest.mark.parametrize("action", ["pricing:GetProducts", "ec2:DescribeInstances", "ec2:DescribeRegions"])
def test_a_missing_permission_is_named_with_what_it_costs_and_the_fix(
    action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with aws.running(AwsScenario(regions=("us-east-1",), denied=(Denied(action=action),))) as double:
        results = check(double, monkeypatch)
    (bad,) = (r for r in results.values() if not r.ok)
    assert (bad.subject, bad.kind) == (action, ErrorKind.AUTH)
    assert "; without it, " in bad.detail
    assert bad.fix == f"allow {action} to this user or role: docs/providers-aws.md has the policy"


def test_wrong_keys_are_one_finding_not_one_for_each_permission(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**cloud.environment(), "AWS_ACCESS_KEY_ID": "AKIAWRONG"}.items():
        monkeypatch.setenv(name, value)
    (result,) = checked(read_settings({}), seconds=30)
    assert (result.subject, result.kind) == ("credentials", ErrorKind.AUTH)
    assert result.detail == "refused the credentials: InvalidClientTokenId"


def test_no_secret_is_told_or_kept(cloud: AwsCloud, tmp_path: Path) -> None:
    """Whatever the answer: everything that a run prints and writes is looked through."""
    sick = AwsScenario(
        only_types=FEW.only_types,
        regions=FEW.regions,
        denied=(Denied(action="pricing:GetProducts", regions=("us-east-1",)),),
        faults=(AwsFault(kind=FaultKind.LOGIN_PAGE, region="eu-west-1"),),
    )
    specs.written(tmp_path, specs.LISTED.replace("[providers.gcp]\n", ""))
    said = []
    with aws.running(sick) as double:
        for name, environment in {"well": cloud.environment(), "sick": double.environment()}.items():
            variables = {**NOBODY, **environment, "HETOPS_STATE": str(tmp_path / name)}
            for command in (["offers", "-v", "--refused"], ["plan", "-v"], ["doctor", "providers"]):
                run = hetops(tmp_path, *command, variables=variables)
                said.append(run.stdout + run.stderr)
        assert double.asked
    assert cloud.asked
    kept = [p.read_bytes().decode(errors="replace") for p in tmp_path.rglob("*") if p.is_file()]
    assert any("hetops.offer-cache" in text for text in kept)
    for secret in (aws_account.KEY, aws_account.SECRET, aws_account.TOKEN):
        assert [text for text in (*said, *kept) if secret in text] == []


def test_the_plugin_loads_without_the_sdk() -> None:
    assert importlib.import_module("hetops_aws.plugin").register_providers()


def test_the_clock_of_aws_is_heard_of_its_answers(cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = check(cloud, monkeypatch)["credentials"].clock_ahead_seconds
    assert ahead is not None
    assert abs(ahead) < 5
