"""A provider that is down, slow, stuck or talks nonsense costs its own offers at most, and is named."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from hetops.domain.offer import Offer, PriceBasis
from hetops.errors import ErrorKind, ProviderError
from hetops.offers.collect import Freshness, Source, Terms, collect
from hetops.offers.sources import Collected, SourceState
from hetops.plugin.provider import Capability, OfferQuery
from tests.doubles.providers import NOW, TellingProvider, answering, failing, list_offer, live_offer

DEADLINE_SECONDS = 5.0
GOOD = live_offer("good")


def asked(*providers: TellingProvider, listed: tuple[Offer, ...] = (), seconds: float = 5.0) -> Collected:
    sources = [Source(name=p.name, provider=p) for p in providers]
    query = OfferQuery(now=NOW, gpu_types=(), list_prices=listed)
    return collect(sources, query, Terms(deadline_seconds=seconds))


def report_of(collected: Collected, provider: str):
    return {s.provider: s for s in collected.sources}[provider]


def test_all_providers_are_asked_at_once() -> None:
    together = threading.Barrier(3)

    def waiting(name: str) -> TellingProvider:
        async def tell(_query: OfferQuery):
            together.wait(DEADLINE_SECONDS)  # passes only while the two others wait as well
            return (live_offer(name),)

        return TellingProvider(name, tell)

    found = asked(waiting("a"), waiting("b"), waiting("c"))
    assert [o.provider for o in found.offers] == ["a", "b", "c"]
    assert found.coverage == "3 of 3 sources live (a, b, c)"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (RuntimeError("socket closed"), "failed: RuntimeError: socket closed"),
        (KeyError("price"), "failed: KeyError: 'price'"),
        (TimeoutError(), "failed: TimeoutError"),
        (asyncio.CancelledError(), "failed: CancelledError"),
        (SystemExit(3), "failed: SystemExit: 3"),
    ],
)
def test_a_provider_that_raises_is_named_and_the_others_stay(fault: BaseException, said: str) -> None:
    found = asked(answering("good", GOOD), failing("bad", fault))
    assert found.offers == (GOOD,)
    assert (report_of(found, "bad").state, report_of(found, "bad").detail) == (SourceState.REFUSED, said)
    assert found.coverage == f"1 of 2 sources live (good); bad refused: {said}"
    assert [(r.subject, r.reason) for r in found.refusals] == [("provider bad", said)]


def test_what_a_provider_says_of_its_refusal_is_kept() -> None:
    refusal = ProviderError("no API key", provider="bad", kind=ErrorKind.AUTH, hint="export BAD_API_KEY=...")
    report = report_of(asked(failing("bad", refusal)), "bad")
    assert (report.error_kind, report.detail, report.hint) == (ErrorKind.AUTH, "no API key", refusal.hint)


@contextlib.contextmanager
def stuck(name: str, *, deaf: bool) -> Iterator[TellingProvider]:
    """A provider that blocks its thread, or waits and will not be cancelled, until the test is over."""
    over = threading.Event()

    async def tell(_query: OfferQuery):
        if not deaf:
            over.wait()
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        return ()

    try:
        yield TellingProvider(name, tell)
    finally:
        over.set()


@pytest.mark.parametrize("deaf", [True, False], ids=["swallows its cancellation", "blocks"])
def test_a_provider_that_is_stuck_is_left_behind_at_the_deadline(deaf: bool) -> None:
    with stuck("slow", deaf=deaf) as slow:
        began = time.monotonic()
        found = asked(answering("good", GOOD), slow, seconds=0.3)
        assert time.monotonic() - began < DEADLINE_SECONDS
    assert found.offers == (GOOD,)
    assert report_of(found, "slow").detail == "no answer within 0.3 s"
    assert "--offline" in report_of(found, "slow").hint


def test_a_provider_that_only_waits_is_cancelled_at_the_deadline() -> None:
    cancelled = threading.Event()

    async def tell(_query: OfferQuery):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    found = asked(TellingProvider("slow", tell), seconds=0.2)
    assert report_of(found, "slow").detail == "no answer within 0.2 s"
    assert cancelled.wait(DEADLINE_SECONDS)


@pytest.mark.parametrize("answer", [None, 7, "offers", {"offers": []}])
def test_an_answer_that_is_no_collection_is_a_refusal(answer: object) -> None:
    async def tell(_query: OfferQuery):
        return answer

    report = report_of(asked(TellingProvider("odd", tell)), "odd")
    assert report.state is SourceState.REFUSED
    assert report.error_kind is ErrorKind.INVALID
    assert report.detail == f"answered with {type(answer).__name__}, not with offers"


def test_an_answer_that_breaks_off_is_a_refusal() -> None:
    async def tell(_query: OfferQuery):
        def pages() -> Iterator[Offer]:
            yield live_offer("odd")
            raise OSError("connection reset")

        return pages()

    found = asked(TellingProvider("odd", tell))
    assert found.offers == ()
    assert report_of(found, "odd").detail == "failed: OSError: connection reset"


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (object(), "of type object"),
        ("offer", "of type str"),
        (live_offer("else"), "belongs to provider 'else'"),
        (live_offer("odd", usd_per_hour="Infinity"), "its price is Infinity"),
        (live_offer("odd", extra_usd_per_hour=Decimal(-1)), "its price is 2.00"),
        (live_offer("odd", gpu_count=1.5), "Expected `int`, got `float` - at `$.gpu_count`"),
        (live_offer("odd", gpu=None), "Expected `str`, got `null` - at `$.gpu`"),
        (live_offer("odd", market="rented"), "Invalid enum value 'rented' - at `$.market`"),
        (live_offer("odd", limits=None), "Expected `object`, got `null` - at `$.limits`"),
        (live_offer("odd", observed_at=NOW + timedelta(days=1)), "which is to come"),
    ],
)
def test_a_thing_that_is_no_sound_offer_is_refused_and_the_sound_ones_stay(thing: object, said: str) -> None:
    sound = live_offer("odd")
    found = asked(answering("odd", thing, sound, thing))
    assert found.offers == (sound,)
    (refusal,) = found.refusals
    assert refusal.subject == "offers of odd"
    assert said in refusal.reason
    assert refusal.count == 2
    assert "odd answers: 2 of 3 are no offers" in found.coverage


def test_a_price_of_another_number_type_becomes_a_decimal() -> None:
    offer = live_offer("odd")
    object.__setattr__(offer, "usd_per_hour", 2.5)  # what a plugin gets by leaving Decimal() out
    (read,) = asked(answering("odd", offer)).offers
    assert read.usd_per_hour == Decimal("2.5")
    assert isinstance(read.usd_per_hour, Decimal)


def test_each_provider_gets_its_own_settings_and_the_common_rest() -> None:
    one, two = answering("one"), answering("two")
    sources = [
        Source(name="one", provider=one, settings={"region": "x"}),
        Source(name="two", provider=two),
    ]
    collect(sources, OfferQuery(now=NOW, gpu_types=(), settings={"no": 1}), Terms())
    assert (one.queries[0].settings, two.queries[0].settings) == ({"region": "x"}, {})
    assert one.queries[0].now == NOW


def test_a_name_that_nobody_can_ask_stands_on_list_prices() -> None:
    listed = (list_offer("cloud"), list_offer("other"))
    query = OfferQuery(now=NOW, gpu_types=(), list_prices=listed)
    found = collect([Source(name="cloud")], query, Terms())
    assert found.offers == listed[:1]
    assert found.coverage == "cloud at list prices of 2026-01-19, plan only"


def test_list_prices_stand_in_for_a_refusal_and_say_so() -> None:
    refusal = ProviderError("no API key", provider="cloud", kind=ErrorKind.AUTH)
    listed = (
        list_offer("cloud"),
        list_offer("cloud", sku="b", observed_at=NOW.replace(month=3)),
    )
    found = asked(answering("good", GOOD), failing("cloud", refusal), listed=listed)
    assert found.offers == (GOOD, *listed)
    assert found.coverage == (
        "1 of 2 sources live (good); cloud refused: no API key; "
        "cloud at list prices of 2026-01-19 to 2026-03-24, plan only"
    )


def test_live_and_list_prices_never_mix_in_one_source() -> None:
    found = asked(answering("cloud", live_offer("cloud")), listed=(list_offer("cloud", sku="old"),))
    assert {o.basis for o in found.offers} == {PriceBasis.LIVE}


def test_a_provider_that_is_sold_out_is_live_with_nothing() -> None:
    found = asked(answering("cloud"), listed=(list_offer("cloud"),))
    assert (found.offers, found.coverage) == ((), "1 of 1 source live (cloud)")


def test_offline_nobody_is_asked_but_providers_on_this_host() -> None:
    far = answering("far", live_offer("far"))
    near = answering("near", live_offer("near"), capabilities=frozenset({Capability.PROCESS}))
    sources = [Source(name=p.name, provider=p) for p in (far, near)]
    query = OfferQuery(now=NOW, gpu_types=(), list_prices=(list_offer("far"),))
    found = collect(sources, query, Terms(freshness=Freshness.OFFLINE))
    assert (len(far.queries), len(near.queries)) == (0, 1)
    assert [(o.provider, o.basis) for o in found.offers] == [
        ("far", PriceBasis.LIST),
        ("near", PriceBasis.LIVE),
    ]
