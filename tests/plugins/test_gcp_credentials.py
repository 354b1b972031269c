"""As a new user comes to Google Cloud: with no credentials, half of them, wrong ones, and right ones that allow too little."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hetops_gcp import cloud
from hetops_gcp.credentials import Access

from hetops.errors import ErrorKind
from hetops.plugin import Patience, Secret
from tests.cli.process import hetops, told
from tests.doubles import specs
from tests.doubles.fake_api import TOKEN, Fault, FaultKind
from tests.doubles.gcp import PROJECT
from tests.plugins.gcp_cloud import Project, project

NOBODY = {"HETOPS_PLUGINS": "gcp,local", "CLOUDSDK_CONFIG": "/nonexistent/gcloud"}
NO_TOKEN = {"GOOGLE_OAUTH_ACCESS_TOKEN": "", "GOOGLE_CLOUD_PROJECT": ""}


@pytest.fixture
def gcp(tmp_path: Path) -> Iterator[Project]:
    """A project that is well."""
    with project(tmp_path) as standing:
        yield standing


@pytest.fixture(scope="module")
def key() -> str:
    """The private key of a service account, made here."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


def service_account(gcp: Project, key: str, **fields: Any) -> Path:
    """A key file as Google's console makes it."""
    path = gcp.folder / "key.json"
    told_of = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "1",
        "private_key": key,
        "client_email": "hetops@acme-inference-1.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{gcp.api.url}/token",
        **fields,
    }
    path.write_text(json.dumps(told_of), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("environment", "said", "fix"),
    [
        ({}, "no credentials: looked at GOOGLE_OAUTH_ACCESS_TOKEN", "gcloud auth application-default login"),
        (
            {"GOOGLE_APPLICATION_CREDENTIALS": "/nonexistent/key.json"},
            "GOOGLE_APPLICATION_CREDENTIALS names /nonexistent/key.json, which is no file",
            "gcloud auth",
        ),
        (
            {"GOOGLE_OAUTH_ACCESS_TOKEN": "x"},
            "no project: looked at providers.gcp.project",
            "set project under",
        ),
    ],
    ids=["none", "no such file", "no project"],
)
def test_without_credentials_a_plan_is_made_from_list_prices(
    environment: dict[str, str], said: str, fix: str, tmp_path: Path
) -> None:
    specs.written(tmp_path)
    variables = {**NOBODY, **environment}
    run = hetops(tmp_path, "plan", "--json", variables=variables)
    assert run.returncode == 0, run.stderr
    offers = told(hetops(tmp_path, "offers", "--provider", "gcp", "--json", variables=variables))
    (source,) = offers["sources"]
    assert (source["state"], source["error_kind"]) == ("refused", "auth")
    assert said in source["detail"]
    assert fix in source["hint"]
    assert {o["offer"]["basis"] for o in offers["offers"]} == {"list"}


def test_all_is_well_with_a_token(gcp: Project) -> None:
    results = gcp.checked({"capacity_advice": ["g2-*"]})
    assert all(r.ok for r in results.values()), results
    assert results["credentials"].detail == f"project {PROJECT}, from GOOGLE_OAUTH_ACCESS_TOKEN"
    assert set(results) == {
        "settings",
        "credentials",
        "prices",
        "compute.machineTypes.list",
        "compute.acceleratorTypes.list",
        "compute.regions.list",
        "compute.projects.get",
        "compute.advice.capacity",
    }


def test_a_service_accounts_key_is_turned_into_a_token_and_names_the_project(gcp: Project, key: str) -> None:
    path = service_account(gcp, key)
    environment = NO_TOKEN | {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}
    results = gcp.checked(**environment)
    assert results["credentials"].detail == f"project {PROJECT}, from GOOGLE_APPLICATION_CREDENTIALS"
    assert all(r.ok for r in results.values()), results
    (asked, *_) = [seen for seen in gcp.api.seen if seen.path == "/token"]
    assert asked.body["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"


def test_the_sign_in_of_gcloud_is_found_in_its_folder(gcp: Project, key: str) -> None:
    folder = gcp.folder / ".config" / "gcloud"
    folder.mkdir(parents=True)
    service_account(gcp, key).rename(folder / "application_default_credentials.json")
    results = gcp.checked(**NO_TOKEN)
    assert results["credentials"].detail.endswith("from gcloud's application default credentials")
    assert results["prices"].ok


def test_the_project_of_gclouds_configuration_counts_last(gcp: Project) -> None:
    folder = gcp.folder / ".config" / "gcloud"
    (folder / "configurations").mkdir(parents=True)
    (folder / "active_config").write_text("work\n", encoding="utf-8")
    (folder / "configurations" / "config_work").write_text(f"[core]\nproject = {PROJECT}\n", encoding="utf-8")
    results = gcp.checked(GOOGLE_CLOUD_PROJECT="")
    assert f"project {PROJECT}," in results["credentials"].detail
    named = gcp.checked({"project": "another-project"}, GOOGLE_CLOUD_PROJECT="")
    assert "project another-project," in named["credentials"].detail


def test_a_google_machine_asks_its_metadata_server(gcp: Project) -> None:
    environment = NO_TOKEN | {"GCE_METADATA_HOST": gcp.api.url.removeprefix("http://")}
    results = gcp.checked({"project": PROJECT}, **environment)
    assert results["credentials"].detail == f"project {PROJECT}, from the metadata server"
    assert results["compute.regions.list"].ok


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds no credentials"),
        ('{"type": "service_account", "client_email": "a@b"}', "broken.json lacks private_key, token_uri"),
        ('{"type": "authorized_user", "client_id": "a"}', "broken.json lacks client_secret, refresh_token"),
        ('{"type": "house key"}', "it was refused, or is no credentials"),
    ],
)
def test_a_file_that_holds_no_credentials_says_so(gcp: Project, text: str, said: str) -> None:
    path = gcp.folder / "broken.json"
    path.write_text(text, encoding="utf-8")
    results = gcp.checked(**NO_TOKEN | {"GOOGLE_APPLICATION_CREDENTIALS": str(path)})
    found = results["credentials"]
    assert (found.ok, found.kind) == (False, ErrorKind.AUTH)
    assert said in found.detail


def test_a_token_server_that_is_away_is_no_matter_of_credentials(gcp: Project, key: str) -> None:
    path = service_account(gcp, key, token_uri="http://127.0.0.1:9/token")
    found = gcp.checked(**NO_TOKEN | {"GOOGLE_APPLICATION_CREDENTIALS": str(path)})["credentials"]
    assert (found.ok, found.kind) == (False, ErrorKind.TRANSIENT)
    assert "could not be reached" in found.detail


@pytest.mark.parametrize("kind", [FaultKind.ERROR_500, FaultKind.RESET, FaultKind.DEAD])
def test_a_token_server_that_is_ill_is_not_waited_for(kind: FaultKind, key: str, tmp_path: Path) -> None:
    """`hetops doctor` has two seconds; a busy machine takes more, and a dead server a minute."""
    with project(tmp_path, faults=(Fault(kind=kind, path="/token", times=10**6),)) as ill:
        path = service_account(ill, key)
        began = time.monotonic()
        found = ill.checked(**NO_TOKEN | {"GOOGLE_APPLICATION_CREDENTIALS": str(path)})["credentials"]
        took = time.monotonic() - began
    assert (found.ok, found.kind) == (False, ErrorKind.TRANSIENT)
    assert took < 10


@pytest.mark.parametrize("payer", ["", "payer-1"])
def test_a_person_names_who_answers_for_the_questions(gcp: Project, payer: str) -> None:
    """Google asks for a quota project where a person has signed in."""
    access = Access(token=Secret(TOKEN), project=PROJECT, source="test", quota_project=payer)

    async def asked() -> None:
        async with cloud.billing(access, gcp.surroundings, Patience()) as api:
            await cloud.first_sku(api)

    asyncio.run(asked())
    assert gcp.api.seen[-1].headers.get("x-goog-user-project", "") == payer


def test_a_clock_that_is_off_is_told_where_google_refuses_what_it_signed(key: str, tmp_path: Path) -> None:
    skew = Fault(kind=FaultKind.CLOCK_SKEW, seconds=-720.0, times=10**6)
    with project(tmp_path, faults=(skew,)) as early:
        path = service_account(early, key)
        found = early.checked(**NO_TOKEN | {"GOOGLE_APPLICATION_CREDENTIALS": str(path)})["credentials"]
    assert (found.ok, found.kind) == (False, ErrorKind.AUTH)
    assert "this machine's clock is 12 min ahead of Google's" in found.detail
    assert found.fix.startswith("set the clock")


def test_a_wrong_token_is_a_matter_of_credentials(gcp: Project) -> None:
    results = gcp.checked(GOOGLE_OAUTH_ACCESS_TOKEN="wrong")
    assert set(results) == {"settings", "credentials"}, "one finding, not one for each permission"
    found = results["credentials"]
    assert (found.ok, found.kind) == (False, ErrorKind.AUTH)
    assert found.detail == "refused the credentials of GOOGLE_OAUTH_ACCESS_TOKEN: wrong, or expired"
    assert found.fix.endswith("export GOOGLE_OAUTH_ACCESS_TOKEN=$(gcloud auth print-access-token)")


def test_a_project_that_is_not_there_is_told_by_its_name(gcp: Project) -> None:
    found = gcp.checked(GOOGLE_CLOUD_PROJECT="not-my-project")["compute.regions.list"]
    assert (found.ok, found.kind) == (False, ErrorKind.INVALID)
    assert "there is no project not-my-project" in found.detail
    assert "gcloud projects list" in found.fix


def test_each_missing_permission_is_named_with_its_role_and_what_is_lost(tmp_path: Path) -> None:
    with project(tmp_path, denied=("compute.regions.list", "compute.machineTypes.list")) as denied:
        results = denied.checked()
    for permission, lost in (
        ("compute.regions.list", "how many can be had is not known"),
        ("compute.machineTypes.list", "no offer at all"),
    ):
        found = results[permission]
        assert (found.ok, found.kind) == (False, ErrorKind.AUTH)
        assert f"PERMISSION_DENIED {permission}; without it, {lost}" in found.detail
        assert found.fix.startswith(f"grant roles/compute.viewer, which has {permission}")
    assert results["prices"].ok


def test_an_api_that_is_not_enabled_is_told_with_the_command_that_enables_it(tmp_path: Path) -> None:
    with project(tmp_path, disabled=("cloudbilling.googleapis.com",)) as disabled:
        found = disabled.checked()["prices"]
    assert (found.ok, found.fix) == (False, "gcloud services enable cloudbilling.googleapis.com")


def test_hetops_offers_and_doctor_show_it_and_keep_no_secret(gcp: Project, tmp_path: Path, key: str) -> None:
    path = service_account(gcp, key)
    variables = {
        **NOBODY,
        **gcp.api.environment(),
        **NO_TOKEN,
        "GOOGLE_APPLICATION_CREDENTIALS": str(path),
        "HETOPS_STATE": str(tmp_path / "state"),
    }
    run = hetops(tmp_path, "offers", "--provider", "gcp", variables=variables)
    assert "1 of 1 source live (gcp)" in run.stdout, run.stderr
    assert re.search(r"a3-highgpu-8g +8 x H100-SXM +us-central1 +on_demand", run.stdout)
    specs.written(tmp_path)
    plan = told(
        hetops(tmp_path, "plan", "--json", "--set", "providers.aws.enabled=false", variables=variables)
    )
    assert {(p["offer"]["provider"], p["offer"]["basis"]) for p in plan["pools"]} == {("gcp", "live")}
    kept = b"".join(p.read_bytes() for p in (tmp_path / "state").rglob("*") if p.is_file())
    assert b"a3-highgpu-8g" in kept, "the answer was kept"
    secrets = (TOKEN, key.splitlines()[1])
    assert not [s for s in secrets if s in run.stdout + run.stderr or s.encode() in kept]
