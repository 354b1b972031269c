"""Edge: whether overflow services would take requests: their keys are there, and they answer to them. Spends no token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx

from hetops.reports.doctor import Finding, Group, Verdict
from hetops.spec.fields import OverflowSpec

_SECONDS = 5.0
_KEY_REFUSED = frozenset({401, 402, 403})
_SERVER_ERRORS = 500


def services_of(overflow: Iterable[OverflowSpec], environment: Mapping[str, str]) -> tuple[Finding, ...]:
    """One finding a service, all asked at once; each has five seconds."""
    wanted = tuple(overflow)
    with ThreadPoolExecutor(max_workers=max(len(wanted), 1)) as side:
        return tuple(side.map(lambda one: _service(one, environment), wanted))


def _service(one: OverflowSpec, environment: Mapping[str, str]) -> Finding:
    variable = one.api_key_variable
    key = environment.get(variable, "").strip() if variable else ""
    if variable and not key:
        fix = f"export {variable}=..., or leave {one.name} out of [[overflow]]"
        return _told(one, Verdict.CREDENTIALS, f"the environment variable {variable} is not set", fix)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        status = httpx.get(f"{one.url.rstrip('/')}/models", headers=headers, timeout=_SECONDS).status_code
    except (httpx.HTTPError, ValueError) as fault:  # ValueError: a key that cannot stand in a header
        detail = f"{one.url} does not answer: {type(fault).__name__}"
        return _told(one, Verdict.FAULT, detail, f"look at url and {variable or 'the service'}")
    if status in _KEY_REFUSED:
        return _told(one, Verdict.CREDENTIALS, f"{one.url} refuses the key ({status})", f"look at {variable}")
    if status >= _SERVER_ERRORS:
        return _told(
            one, Verdict.FAULT, f"{one.url} answers {status}", "ask its operator, or try again later"
        )
    return _told(one, Verdict.OK, f"{one.url} answers", "")


def _told(one: OverflowSpec, verdict: Verdict, detail: str, fix: str) -> Finding:
    return Finding(group=Group.SPEC, subject=f"overflow {one.name}", verdict=verdict, detail=detail, fix=fix)
