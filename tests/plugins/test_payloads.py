"""Sample payloads of the clouds are understood, and the fakes speak in the same fields."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hetops_hyperbolic import cloud as hyperbolic_cloud
from hetops_hyperbolic import offers as hyperbolic
from hetops_lambda import cloud as lambda_cloud
from hetops_lambda import offers as lambda_offers
from hetops_runpod import cloud as runpod_cloud
from hetops_runpod import offers as runpod
from hetops_runpod.settings import RunPodSettings, Tier

from hetops.domain.offer import AvailabilityState, Offer
from hetops.domain.plan import Refusal
from hetops.errors import ErrorKind
from hetops.plugin import Refused
from tests.doubles.fake_api import Answer, Seen, running
from tests.doubles.hyperbolic import OPTIONS, RENTALS, Hyperbolic
from tests.doubles.lambda_cloud import LambdaCloud
from tests.doubles.runpod import CATALOG, RunPod
from tests.plugins.clouds import NOW

FOLDER = Path(__file__).parents[1] / "doubles" / "payloads"


def payload(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"), parse_float=Decimal)


def told(things: tuple[Offer | Refusal, ...]) -> list[Any]:
    """Each offer as SKU, region, GPU and price; each refusal as its reason."""
    return [
        (t.sku, t.region, t.gpu, str(t.usd_per_hour)) if isinstance(t, Offer) else t.reason for t in things
    ]


def test_lambdas_instance_types() -> None:
    found = lambda_offers.offers(payload("lambda_instance_types")["data"], NOW)
    assert told(found) == [
        ("gpu_1x_a10", "us-west-1", "A10", "1.29"),
        ("gpu_1x_gh200", "us-east-3", "GH200-96GB", "2.29"),
        ("gpu_8x_h100_sxm5", "any", "H100-SXM", "31.92"),
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lambda_launch_insufficient_capacity", ErrorKind.CAPACITY),
        ("lambda_quota_exceeded", ErrorKind.QUOTA),
    ],
)
def test_lambdas_refusals(name: str, kind: ErrorKind) -> None:
    found = lambda_cloud.meaning(Refused(status=400, method="POST", path="/", said=payload(name)))
    assert found is not None
    assert found.kind is kind


def test_runpods_catalogue() -> None:
    rows = payload("runpod_catalog_gpus_availability")["gpus"]
    assert told(runpod.offers(rows, Tier.SECURE, 1, RunPodSettings(), NOW)) == [
        ("NVIDIA GeForce RTX 4090", "EU-RO-1", "RTX4090", "0.69"),
        ("NVIDIA GeForce RTX 4090", "US-KS-2", "RTX4090", "0.69"),
        ("NVIDIA H100 80GB HBM3", "any", "H100-SXM", "3.49"),
    ]
    assert told(runpod.offers(rows, Tier.COMMUNITY, 1, RunPodSettings(), NOW))[-1] == (
        "a price of zero means that it is not sold"
    )


def test_runpods_refusal_of_a_pod_for_want_of_capacity() -> None:
    said = payload("runpod_create_pod_no_capacity")
    found = runpod_cloud.meaning(Refused(status=400, method="POST", path="/v2/pods", said=said))
    assert found is not None
    assert found.kind is ErrorKind.CAPACITY


def test_hyperbolics_options() -> None:
    found = hyperbolic.offers(payload("hyperbolic_on_demand_rental_options"), NOW)
    assert told(found) == [
        ("h100 (virtual-machine, 1 GPU)", "us-east-1", "H100-SXM", "3.19"),
        "bare-metal: hetops rents virtual machines only",
    ]
    assert isinstance(found[0], Offer)
    assert (found[0].availability.state, found[0].limits.max_count) == (AvailabilityState.AVAILABLE, 6)


@pytest.mark.parametrize(
    ("meaning", "method", "path", "status", "said", "kind", "hint"),
    [
        (runpod_cloud.meaning, "GET", "/v2/pods", 403, {"detail": "access denied"}, ErrorKind.AUTH, "read access to /v2/pods"),
        (runpod_cloud.meaning, "POST", "/v2/pods", 403, {"detail": "access denied"}, ErrorKind.AUTH, "read and write access to /v2/pods"),
        (runpod_cloud.meaning, "POST", "/v2/pods", 403, {"detail": "GPU pool not allowed"}, ErrorKind.QUOTA, "pool of GPUs"),
        (runpod_cloud.meaning, "POST", "/v2/pods", 400, {"detail": "spend limit reached"}, ErrorKind.QUOTA, "spend limit"),
        (runpod_cloud.meaning, "POST", "/v2/pods", 402, {"detail": "no money"}, ErrorKind.BALANCE, "add credit"),
        (hyperbolic_cloud.meaning, "POST", RENTALS, 400, {"message": "Insufficient balance"}, ErrorKind.BALANCE, "add credit"),
        (hyperbolic_cloud.meaning, "POST", RENTALS, 400, {"message": "not available"}, ErrorKind.CAPACITY, "another region"),
        (hyperbolic_cloud.meaning, "GET", RENTALS, 403, {}, ErrorKind.AUTH, "new key"),
        (lambda_cloud.meaning, "POST", "/", 403, {"error": {"code": "global/account-inactive"}}, ErrorKind.BALANCE, "payment method"),
        (lambda_cloud.meaning, "GET", "/", 403, {"error": {"code": "global/forbidden"}}, ErrorKind.AUTH, "may do this"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_do(
    meaning: Any, method: str, path: str, status: int, said: Any, kind: ErrorKind, hint: str
) -> None:
    found = meaning(Refused(status=status, method=method, path=path, said=said))
    assert (found.kind, hint in found.hint) == (kind, True), found


@pytest.mark.parametrize("meaning", [runpod_cloud.meaning, hyperbolic_cloud.meaning, lambda_cloud.meaning])
@pytest.mark.parametrize(
    "said", [None, [], "no", {}, {"error": "x"}, {"error": {"code": 3}}, {"detail": None}]
)
def test_a_refusal_that_says_nothing_known_is_left_to_its_status(meaning: Any, said: Any) -> None:
    assert meaning(Refused(status=418, method="GET", path="/", said=said)) is None


def shape(value: Any) -> Any:
    """The fields of a document, however often they come and whatever they hold."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


def ask(fake: Any, method: str, path: str, **query: str) -> Any:
    """What the fake's API says, without the way there."""
    with running(fake) as api:
        answer: Answer = api.answer(Seen(method=method, path=path, query=query, body=None, authorization=""))
    return answer.said


def test_the_fakes_speak_in_the_fields_of_the_samples() -> None:
    types = ask(LambdaCloud, "GET", "/api/v1/instance-types")["data"]
    assert shape(types["gpu_1x_a10"]) == shape(payload("lambda_instance_types")["data"]["gpu_1x_a10"])
    said = ask(RunPod, "GET", CATALOG, include="AVAILABILITY", product="POD", cloud="SECURE")
    ours, sample = shape(said["gpus"][0]), shape(payload("runpod_catalog_gpus_availability")["gpus"][0])
    assert ours == {name: fields for name, fields in sample.items() if name != "cudaVersions"}
    options = ask(Hyperbolic, "GET", OPTIONS)
    assert shape(options[0]) == shape(payload("hyperbolic_on_demand_rental_options")[0])
