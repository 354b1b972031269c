"""What the contract suite is held against: one provider, its settings and the small server that answers in its cloud's place.

Decides nothing about right or wrong. Whatever a subject cannot bring about is skipped by name, never passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from unittest import SkipTest

from hetops.errors import ProviderError
from hetops.plugin.provider import NodeDriver, NodeRequest, OfferQuery, Provider


class Trouble(StrEnum):
    """What the service does from now on."""

    KEY_REFUSED = "key_refused"
    """It does not know the key."""
    THROTTLED = "throttled"
    """It is asked too often: every request is refused."""
    SERVER_ERROR = "server_error"
    """Every request ends in a 500."""
    HALF_AN_ANSWER = "half_an_answer"
    """Every answer breaks off."""
    LOGIN_PAGE = "login_page"
    """Something else answers, with a page for people and status 200."""
    SILENCE = "silence"
    """It takes every request and never answers."""
    SHORT_PAGES = "short_pages"
    """It is well, and answers lists in the shortest pages that it has."""
    SOLD_OUT = "sold_out"
    """Its lists still show what somebody else has just taken: the next create finds no capacity."""
    LOST_CREATE = "lost_create"
    """The next create happens, and its answer does not arrive."""


class Subject:
    """One provider with the service that it asks. Say what differs; `provider` at least.

    Called again within a test, `provider` and `driver` see the same service: nothing may live in an object alone.
    """

    name = ""
    """Of the provider."""

    def provider(self) -> Provider:
        """A fresh provider, able to answer."""
        raise NotImplementedError("say which provider is tested")

    def query(self) -> OfferQuery:
        """What it is asked for. With `gpu_types` of the catalogue, offers of other GPU types are found out."""
        return OfferQuery(now=datetime.now(UTC), gpu_types=(), settings=self.settings())

    def settings(self) -> Mapping[str, Any]:
        """Settings that are right."""
        return {}

    def wrong_settings(self) -> Mapping[str, Any]:
        """Settings that must be refused."""
        return {"no-such-field": 1}

    def secrets(self) -> tuple[str, ...]:
        """Values that may stand in nothing that is shown: the keys that the provider was given."""
        return ()

    def meets(self, trouble: Trouble) -> None:
        """Brings the trouble about, for every provider and driver that is made from now on."""
        raise SkipTest(f"nothing brings about: {trouble}")

    def driver(self) -> NodeDriver:
        """A driver of the provider's nodes."""
        raise SkipTest("it drives no nodes")

    def request(self, name: str) -> NodeRequest:
        """A request for a node of that name that can be met, all in one deployment."""
        raise NotImplementedError("say what a node is")

    def impossible_request(self, name: str) -> NodeRequest:
        """A request that cannot be met."""
        raise SkipTest(f"nothing is impossible for {name}")


Promise = Callable[[Subject], None]
"""Something that a subject must hold to, named by a sentence. Raises AssertionError where it does not."""


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """Everything that is logged in the block, whoever logs it and however little it matters."""
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    root, handler = logging.getLogger(), Keeping(logging.DEBUG)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def no_secret_in(subject: Subject, *shown: object) -> None:
    """None of the subject's secrets stands in the text or the representation of these."""
    texts = [thing if isinstance(thing, str) else repr(thing) for thing in shown]
    for secret in subject.secrets():
        assert not any(secret in text for text in texts), "a secret is shown"


def refusal(subject: Subject, call: Callable[[], Awaitable[Any]]) -> ProviderError:
    """The ProviderError that the call must raise: of this provider, with words, and without a secret."""

    async def called() -> object:
        return await call()

    with logged() as log:
        try:
            answer = asyncio.run(called())
        except ProviderError as fault:
            error = fault
        except Exception as fault:
            raise AssertionError(f"{type(fault).__name__} is no ProviderError: {fault}") from fault
        else:
            raise AssertionError(f"nothing was refused: {answer!r}")
    assert error.provider == subject.name, f"the error is of provider {error.provider!r}"
    assert error.message, "the error says nothing"
    no_secret_in(subject, error, "".join(traceback.format_exception(error)), error.hint, *error.details, *log)
    return error
