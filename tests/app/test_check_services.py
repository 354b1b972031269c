"""Doctor asks services whether they would serve us: a finding for whatever is wrong, and never a key."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from hetops.app.check_services import services_of
from hetops.reports.doctor import Finding, Verdict
from hetops.spec.fields import OverflowSpec
from tests.router.stand import Asked, Engine, engines

KEY = "sk-of-the-account"


def found(url: str, environment: Mapping[str, str]) -> Finding:
    """What is said of one service."""
    one = OverflowSpec(
        name="paygo",
        url=f"{url}/v1",
        api_key_variable="PAYGO_KEY",
        usd_per_million_input_tokens=Decimal(1),
        usd_per_million_output_tokens=Decimal(1),
        requests_per_minute=60,
        ttft_seconds=1.0,
        tpot_seconds=0.1,
    )
    (finding,) = services_of((one,), environment)
    assert KEY not in f"{finding.detail} {finding.fix}"
    return finding


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.OK),
        (404, Verdict.OK),
        (401, Verdict.CREDENTIALS),
        (403, Verdict.CREDENTIALS),
        (503, Verdict.FAULT),
    ],
)
def test_a_service_is_judged_by_its_answer_to_our_key(status: int, verdict: Verdict) -> None:
    with engines(_never) as (service,):
        service.health = status
        assert found(service.url, {"PAYGO_KEY": KEY}).verdict is verdict


def test_without_a_key_nobody_is_asked() -> None:
    with engines(_never) as (service,):
        finding = found(service.url, {})
        assert service.connections == 0
    assert (finding.verdict, finding.fix.split("=")[0]) == (Verdict.CREDENTIALS, "export PAYGO_KEY")


@pytest.mark.parametrize("key", [KEY, f"{KEY}\nx: y"])
def test_a_service_that_is_gone_or_a_key_that_cannot_be_sent_is_a_fault(key: str) -> None:
    dead = Engine()
    dead.close()
    assert found(dead.url, {"PAYGO_KEY": key}).verdict is Verdict.FAULT


def _never(asked: Asked) -> None:
    raise AssertionError(f"no token may be asked for: {asked.path}")
