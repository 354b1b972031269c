"""The HTTP kit waits as it is told, repeats only what does no harm, takes no nonsense and shows no secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import pickle
import time
import traceback
from collections.abc import Callable, Iterator
from decimal import Decimal
from email.utils import formatdate
from typing import Any

import msgspec
import pytest

from hetops.errors import ErrorKind, ProviderError, Scope
from hetops.plugin import (
    Api,
    HttpError,
    KeyFile,
    Meaning,
    Pace,
    Patience,
    Refused,
    Repeat,
    Secret,
    Service,
    Surroundings,
    read_credential,
)
from tests.doubles.fake_api import TOKEN, Answer, FakeApi, Fault, FaultKind, Scenario, Seen, running
from tests.doubles.meanings import EVERY_TIME, MEANS, PASSING

TIMEOUT_SECONDS = 0.3


class Counter(FakeApi):
    """Counts what was created. Knows one path that echoes the key, and one that refuses by a code of its own."""

    created = 0

    def answer(self, seen: Seen) -> Answer:
        if seen.path == "/echo":
            return Answer(
                status=400, said={"error": {"message": f"key {TOKEN}\x1b[31m is\nbad", "code": "x"}}
            )
        if seen.path == "/soldout":
            return Answer(status=400, said={"error": {"code": "sold-out", "message": "none left"}})
        if seen.path == "/status":
            return Answer(status=int(seen.query["is"]), said={"detail": "so it is"})
        if seen.path == "/late":
            return Answer(status=429, said={}, headers={"Retry-After": seen.query["after"]})
        if self.is_create(seen):
            self.created += 1
        return Answer(said={"created": self.created, "price": 0.1})

    def unauthorized(self) -> Answer:
        return Answer(status=401, said={"detail": "no key of ours"})

    def throttled(self) -> Answer:
        return Answer(status=429, said={"detail": "too fast"})

    def is_create(self, seen: Seen) -> bool:
        return seen.method == "POST" and seen.path == "/things"


@pytest.fixture
def fake() -> Iterator[Callable[..., Counter]]:
    """Makes a fake with these faults, running until the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda *faults, **told: stack.enter_context(running(Counter, Scenario(faults=faults, **told)))


def meaning(refused: Refused) -> Meaning | None:
    if isinstance(refused.said, dict) and refused.said.get("error", {}).get("code") == "sold-out":
        return Meaning(kind=ErrorKind.CAPACITY, scope=Scope.REGION, hint="another region")
    return None


def asked(api: Counter, method: str, path: str, *arguments: Any, token: str = TOKEN, **told: Any) -> Any:
    """What one request through the kit answers."""
    service = Service(
        provider="counter",
        base_url=api.url,
        token=Secret(token),
        meaning=meaning,
        patience=Patience(timeout_seconds=TIMEOUT_SECONDS),
    )

    async def ask() -> Any:
        async with Api(service, clock=api.clock) as client:
            return await getattr(client, method)(path, *arguments, **told)

    return asyncio.run(ask())


def refusal(api: Counter, method: str, path: str, *arguments: Any, **told: Any) -> HttpError:
    with pytest.raises(HttpError) as caught:
        asked(api, method, path, *arguments, **told)
    return caught.value


def tried(api: Counter, method: str, path: str, *arguments: Any) -> Any:
    """The answer, or the error."""
    try:
        return asked(api, method, path, *arguments)
    except HttpError as fault:
        return fault


READING = [kind for kind, means in MEANS.items() if means]
"""Faults that do harm where they stay."""


@pytest.mark.parametrize("kind", READING)
def test_a_fault_that_stays_is_named_for_what_it_is(fake: Callable[..., Counter], kind: FaultKind) -> None:
    fault = refusal(fake(Fault(kind=kind, times=EVERY_TIME)), "get", "/things")
    assert (fault.provider, fault.kind) == ("counter", MEANS[kind])
    assert fault.message.startswith("GET /things"), fault.message


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_is_outwaited_by_who_only_reads(
    fake: Callable[..., Counter], kind: FaultKind
) -> None:
    assert asked(fake(Fault(kind=kind)), "get", "/things")["created"] == 0


@pytest.mark.parametrize("kind", READING)
def test_a_create_has_its_effect_at_most_once_whatever_happens(
    fake: Callable[..., Counter], kind: FaultKind
) -> None:
    api = fake(Fault(kind=kind, method="POST"))
    came = tried(api, "post", "/things", {})
    told = came.unknown_outcome if isinstance(came, HttpError) else came["created"] == 1
    assert told, "nobody is told to look whether it exists"
    assert api.created <= 1


@pytest.mark.parametrize("kind", [FaultKind.THROTTLED, FaultKind.THROTTLED_BARE])
def test_a_create_that_was_throttled_is_asked_again(fake: Callable[..., Counter], kind: FaultKind) -> None:
    assert asked(fake(Fault(kind=kind)), "post", "/things", {})["created"] == 1


def test_what_may_be_repeated_is_repeated(fake: Callable[..., Counter]) -> None:
    api = fake(Fault(kind=FaultKind.LOST_ANSWER))
    assert asked(api, "post", "/things", {}, repeat=Repeat.SAFE)["created"] == 2


def test_nobody_listens_to_a_port_and_nothing_was_sent(fake: Callable[..., Counter]) -> None:
    api = fake()
    closed = Service(provider="counter", base_url="http://127.0.0.1:9", token=Secret(TOKEN))

    async def ask() -> None:
        async with Api(closed, clock=api.clock) as client:
            await client.post("/things", {})

    with pytest.raises(HttpError) as caught:
        asyncio.run(ask())
    assert (caught.value.kind, caught.value.unknown_outcome) == (ErrorKind.TRANSIENT, False)


def test_the_wait_is_as_long_as_the_service_says(fake: Callable[..., Counter]) -> None:
    api = fake(Fault(kind=FaultKind.THROTTLED, seconds=3))
    asked(api, "get", "/things")
    assert api.clock.slept == [3]


def test_a_wait_beyond_all_patience_is_not_begun(fake: Callable[..., Counter]) -> None:
    api = fake(Fault(kind=FaultKind.THROTTLED, seconds=120))
    fault = refusal(api, "get", "/things")
    assert (fault.kind, fault.retry_after_seconds, api.clock.slept) == (ErrorKind.THROTTLED, 120, [])


def test_a_date_to_wait_for_is_held_against_the_servers_clock(fake: Callable[..., Counter]) -> None:
    """Whose clock is wrong does not matter then."""
    api = fake(Fault(kind=FaultKind.CLOCK_SKEW, seconds=-86400 * 400, times=EVERY_TIME))
    until = formatdate(time.time() - 86400 * 400 + 60, usegmt=True)
    fault = refusal(api, "get", "/late", {"after": until})
    assert fault.retry_after_seconds == pytest.approx(60, abs=3)


@pytest.mark.parametrize("after", ["soon", "", "-5"])
def test_a_wait_that_cannot_be_read_is_none(fake: Callable[..., Counter], after: str) -> None:
    assert refusal(fake(), "get", "/late", {"after": after}).retry_after_seconds is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ErrorKind.INVALID),
        (401, ErrorKind.AUTH),
        (402, ErrorKind.BALANCE),
        (403, ErrorKind.AUTH),
        (404, ErrorKind.INVALID),
        (422, ErrorKind.INVALID),
        (429, ErrorKind.THROTTLED),
        (503, ErrorKind.TRANSIENT),
    ],
)
def test_a_status_means_something_without_the_providers_reading(
    fake: Callable[..., Counter], status: int, kind: ErrorKind
) -> None:
    fault = refusal(fake(), "get", "/status", {"is": str(status)})
    assert (fault.kind, fault.status, fault.message) == (kind, status, "GET /status: so it is")


def test_the_providers_own_reading_comes_first(fake: Callable[..., Counter]) -> None:
    fault = refusal(fake(), "get", "/soldout")
    assert (fault.kind, fault.scope, fault.hint) == (ErrorKind.CAPACITY, Scope.REGION, "another region")
    assert fault.message == "GET /soldout: none left"


def test_fractions_of_an_answer_stay_exact(fake: Callable[..., Counter]) -> None:
    assert asked(fake(), "get", "/things")["price"] == Decimal("0.1")


def test_no_secret_leaves_by_an_error_a_log_or_a_repr(
    fake: Callable[..., Counter], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = []
    for path, kind in (("/echo", None), *(("/things", kind) for kind in READING)):
        api = fake(*(Fault(kind=kind, times=EVERY_TIME),) if kind else ())
        fault = refusal(api, "get", path)
        shown += [repr(fault), "".join(traceback.format_exception(fault)), *fault.details, fault.hint]
    shown += [repr(Secret(TOKEN)), str(Secret(TOKEN)), f"{Secret(TOKEN)}", caplog.text]
    assert "***" in shown[0]
    assert not [text for text in shown if TOKEN in text]


def test_others_words_are_one_line_without_control_characters(fake: Callable[..., Counter]) -> None:
    assert refusal(fake(), "get", "/echo").message == "GET /echo: key *** [31m is bad"


@pytest.mark.parametrize(
    "write", [pickle.dumps, json.dumps, msgspec.json.encode], ids=["pickle", "json", "msgspec"]
)
def test_a_secret_cannot_be_written_down(write: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        write(Secret(TOKEN))


@pytest.mark.parametrize("url", ["http://api.example", "ftp://api.example", "api.example"])
def test_a_key_is_not_sent_over_an_open_line(url: str) -> None:
    with pytest.raises(HttpError) as caught:
        Api(Service(provider="counter", base_url=url, token=Secret(TOKEN)))
    assert (caught.value.kind, "no https address" in caught.value.message) == (ErrorKind.INVALID, True)


def test_requests_of_one_pace_are_never_closer_than_it_allows(fake: Callable[..., Counter]) -> None:
    api = fake(seconds_between_requests=1.0)
    pace = Pace(1.0, api.clock)
    service = Service(
        provider="counter", base_url=api.url, token=Secret(TOKEN), patience=Patience(attempts=1)
    )

    async def ask() -> list[Any]:
        async with (
            Api(service, clock=api.clock, pace=pace) as one,
            Api(service, clock=api.clock, pace=pace) as two,
        ):
            return [await client.get("/things") for client in (one, two, one, two)]

    assert len(asyncio.run(ask())) == 4


def of_toml(text: str) -> str:
    return text.partition("key = ")[2]


def surroundings(folder: Any, **environment: str) -> Surroundings:
    return Surroundings(environment={"HOME": str(folder), **environment})


def test_a_key_of_the_environment_comes_before_one_of_a_file(tmp_path: Any) -> None:
    (tmp_path / "keys").write_text("key = from-file\n")
    files = (KeyFile(path="keys", find=of_toml),)
    found = read_credential("p", surroundings(tmp_path), ("P_KEY",), files)
    assert (found.secret.reveal(), found.source) == ("from-file", "~/keys")
    found = read_credential("p", surroundings(tmp_path, P_KEY=" from-environment\n"), ("P_KEY",), files)
    assert (found.secret.reveal(), found.source) == ("from-environment", "P_KEY")
    assert "from-environment" not in repr(surroundings(tmp_path, P_KEY="from-environment"))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "no API key: looked at P_KEY, ~/keys"),
        ({"P_KEY": "clé"}, "P_KEY holds characters that no API key has"),
        ({"P_KEY": "two\nlines"}, "P_KEY holds characters that no API key has"),
    ],
)
def test_a_key_that_is_missing_or_none_is_a_matter_of_credentials(
    tmp_path: Any, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        read_credential(
            "p", surroundings(tmp_path, **environment), ("P_KEY",), (KeyFile(path="keys", find=of_toml),)
        )
    assert (caught.value.kind, caught.value.message) == (ErrorKind.AUTH, said)
    assert "P_KEY" in caught.value.hint
