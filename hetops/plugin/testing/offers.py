"""What every provider promises of its offers, its checks, its quota, and of how it tells that its service failed it.

Must not ask for anything that costs money.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from hetops.domain.offer import Offer, PriceBasis
from hetops.domain.plan import Refusal
from hetops.errors import ErrorKind, ProviderError
from hetops.plugin.provider import Capability, CheckResult, OfferOrReason, OfferQuery, Provider
from hetops.plugin.soundness import sound_offer
from hetops.plugin.testing.subject import Promise, Subject, Trouble, logged, no_secret_in, refusal

CHECK_SECONDS = 2.0
"""How long `Provider.check` may take."""

_CANCEL_SECONDS = 1.0
"""How long a question may go on after nobody wants its answer."""

_TURNS_BEFORE_CANCEL = 50
"""Of the event loop: by then a question is on its way."""


def it_is_a_provider_with_a_plain_name_and_known_capabilities(subject: Subject) -> None:
    """The name stands in offers, in `[providers.NAME]` and in the names of resources."""
    provider = subject.provider()
    assert isinstance(provider, Provider), "name, capabilities, check, fetch_offers and quota are needed"
    name = provider.name
    plain = name.isascii() and name == name.lower() and name.replace("-", "").isalnum()
    assert plain, f"{name!r} may hold a-z, 0-9 and '-' only"
    assert name == subject.name, f"the subject calls it {subject.name!r}"
    foreign = [c for c in provider.capabilities if not isinstance(c, Capability)]
    assert not foreign, f"no capabilities: {foreign}"


def its_offers_are_sound(subject: Subject) -> None:
    """What is not sound would be refused one by one, with its reason."""
    provider, query = subject.provider(), subject.query()
    found = _offers(provider, query)
    assert found, "there is none"
    for thing in found:
        try:
            sound_offer(provider.name, thing, now=query.now)
        except ValueError as fault:
            raise AssertionError(f"no offer: {fault}: {thing!r}") from fault


def its_offers_can_be_told_apart_and_keep_their_ids(subject: Subject) -> None:
    """Pools are named after offers: an id that changes replaces machines."""
    provider, query = subject.provider(), subject.query()
    first, second = ([o.id for o in _offers(provider, query)] for _ in range(2))
    assert len(set(first)) == len(first), "two offers have one id"
    assert set(first) == set(second), "asked twice, the ids differ"


def its_offers_are_of_known_gpu_types(subject: Subject) -> None:
    """Says nothing where the query has none."""
    query = subject.query()
    known = {g.name for g in query.gpu_types}
    unknown = {o.gpu for o in _offers(subject.provider(), query)} - known
    assert not known or not unknown, f"not in the catalogue: {sorted(unknown)}"


def a_price_that_holds_for_a_while_says_for_how_long(subject: Subject) -> None:
    """Live prices are refused once they are older than `ttl_seconds`."""
    for offer in _offers(subject.provider(), subject.query()):
        live = offer.basis is PriceBasis.LIVE
        assert not live or offer.ttl_seconds > 0, f"{offer.id} is live and holds no second"
        assert offer.source, f"{offer.id} does not say where its price comes from"


def what_it_checks_is_told_quickly_and_each_fault_has_its_fix(subject: Subject) -> None:
    """`hetops doctor` waits no longer."""
    took, results = _checked(subject)
    if took >= CHECK_SECONDS:  # a busy machine may hold up one; a slow provider is slow again
        took, results = _checked(subject)
    assert took < CHECK_SECONDS, f"check took {took:.1f} s"
    _are_check_results(results)


def _checked(subject: Subject) -> tuple[float, tuple[CheckResult, ...]]:
    """Seconds that a check takes, and what it tells."""
    began = time.monotonic()
    results = subject.provider().check(subject.settings())
    return time.monotonic() - began, results


def wrong_settings_are_a_finding_of_check_and_an_error_of_fetch(subject: Subject) -> None:
    """A misspelt setting would otherwise be one that silently does not hold."""
    wrong = subject.wrong_settings()
    provider, query = subject.provider(), subject.query()
    results = provider.check(wrong)
    _are_check_results(results)
    assert not all(r.ok for r in results), "check finds nothing wrong with wrong settings"
    error = refusal(subject, lambda: provider.fetch_offers(replace(query, settings=wrong)))
    assert error.kind is ErrorKind.INVALID, f"the kind is {error.kind}, not invalid"


def its_quota_is_sound_and_knows_the_groups_of_its_offers(subject: Subject) -> None:
    """Offers share a limit by the name of its group."""
    provider = subject.provider()
    quotas = asyncio.run(provider.quota(subject.settings()))
    for quota in quotas:
        assert quota.limit >= 0, f"{quota.group}: a limit below zero"
        assert quota.used >= 0, f"{quota.group}: less than nothing used"
        assert quota.unit, f"{quota.group} has no unit"
    known = {q.group for q in quotas}
    named = {s.group for o in _offers(provider, subject.query()) for s in o.limits.quotas}
    assert not quotas or named <= known, f"quota() knows nothing of {sorted(named - known)}"


def no_secret_is_in_what_it_hands_over_or_logs(subject: Subject) -> None:
    """Whatever is handed over may be printed, cached, or be part of a plan."""
    provider, query = subject.provider(), subject.query()
    with logged() as log:
        shown = [
            provider.check(subject.settings()),
            asyncio.run(_fetched(provider, query)),
            asyncio.run(provider.quota(subject.settings())),
            provider,
            getattr(provider, "__dict__", {}),
        ]
    no_secret_in(subject, *shown, *log)


def lists_are_read_to_their_last_page(subject: Subject) -> None:
    """The first page of a price list is the cheapest mistake there is."""
    whole = {o.id for o in _offers(subject.provider(), subject.query())}
    subject.meets(Trouble.SHORT_PAGES)
    read = {o.id for o in _offers(subject.provider(), subject.query())}
    assert read == whole, f"lost between pages: {sorted(whole - read)}; new: {sorted(read - whole)}"


def a_key_that_is_refused_is_a_matter_of_credentials(subject: Subject) -> None:
    """Exit code 3 and the fix of credentials; asked of the quota where prices are open to everybody."""
    subject.meets(Trouble.KEY_REFUSED)
    provider, query = subject.provider(), subject.query()
    results = provider.check(query.settings)
    _are_check_results(results)
    assert not all(r.ok for r in results), "check finds nothing wrong with a key that is refused"

    async def asked() -> None:
        await provider.quota(query.settings)
        await provider.fetch_offers(query)

    error = refusal(subject, asked)
    assert error.kind is ErrorKind.AUTH, f"the kind is {error.kind}, not auth: {error.message}"


def being_throttled_is_told_as_that(subject: Subject) -> None:
    """The service is well; it is asked again later."""
    _means(subject, Trouble.THROTTLED, ErrorKind.THROTTLED)


def an_error_of_the_server_is_one_that_passes(subject: Subject) -> None:
    """Nothing is wrong with what was asked."""
    _means(subject, Trouble.SERVER_ERROR, ErrorKind.TRANSIENT)


def half_an_answer_is_none(subject: Subject) -> None:
    """Prices that stood in it are not believed."""
    _means(subject, Trouble.HALF_AN_ANSWER, ErrorKind.TRANSIENT, ErrorKind.INVALID)


def a_page_for_people_is_no_answer(subject: Subject) -> None:
    """A proxy or a captive network answers with status 200."""
    _means(subject, Trouble.LOGIN_PAGE, ErrorKind.TRANSIENT, ErrorKind.INVALID)


def a_question_that_is_cancelled_ends_at_once(subject: Subject) -> None:
    """Ctrl-C and the deadline of `hetops offers` cancel it, whatever the service does."""
    subject.meets(Trouble.SILENCE)
    provider, query = subject.provider(), subject.query()

    async def cancelled() -> float:
        question = asyncio.ensure_future(provider.fetch_offers(query))
        for _ in range(_TURNS_BEFORE_CANCEL):
            await asyncio.sleep(0.001)
        began = time.monotonic()
        question.cancel()
        await asyncio.wait([question])
        assert question.cancelled(), "it goes on, or answers"
        return began

    took = time.monotonic() - asyncio.run(cancelled())
    assert took < _CANCEL_SECONDS, f"it went on for {took:.1f} s"


PROMISES_OF_PROVIDERS: tuple[Promise, ...] = (
    it_is_a_provider_with_a_plain_name_and_known_capabilities,
    its_offers_are_sound,
    its_offers_can_be_told_apart_and_keep_their_ids,
    its_offers_are_of_known_gpu_types,
    a_price_that_holds_for_a_while_says_for_how_long,
    what_it_checks_is_told_quickly_and_each_fault_has_its_fix,
    wrong_settings_are_a_finding_of_check_and_an_error_of_fetch,
    its_quota_is_sound_and_knows_the_groups_of_its_offers,
    no_secret_is_in_what_it_hands_over_or_logs,
    lists_are_read_to_their_last_page,
    a_key_that_is_refused_is_a_matter_of_credentials,
    being_throttled_is_told_as_that,
    an_error_of_the_server_is_one_that_passes,
    half_an_answer_is_none,
    a_page_for_people_is_no_answer,
    a_question_that_is_cancelled_ends_at_once,
)
"""What every provider holds to."""


def _means(subject: Subject, trouble: Trouble, *kinds: ErrorKind) -> None:
    """The trouble becomes a refusal of one of these kinds: no offers, and no crash."""
    subject.meets(trouble)
    provider, query = subject.provider(), subject.query()
    error = refusal(subject, lambda: provider.fetch_offers(query))
    wanted = " or ".join(kinds)
    assert error.kind in kinds, f"the kind is {error.kind}, not {wanted}: {error.message}"


def _offers(provider: Provider, query: OfferQuery) -> tuple[Offer, ...]:
    """What it hands over, less the reasons for what it does not."""
    answer = asyncio.run(_fetched(provider, query))
    return tuple(thing for thing in answer if not isinstance(thing, Refusal | ProviderError))


async def _fetched(provider: Provider, query: OfferQuery) -> tuple[OfferOrReason, ...]:
    return await provider.fetch_offers(query)


def _are_check_results(results: tuple[CheckResult, ...]) -> None:
    for result in results:
        assert isinstance(result, CheckResult), f"check gave {result!r}"
        assert result.subject, f"it does not say what was looked at: {result}"
        assert result.detail, f"{result.subject}: it does not say what was found"
        assert result.ok or result.fix, f"{result.subject}: a fault without a fix"
