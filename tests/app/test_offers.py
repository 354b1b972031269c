"""Whose offers may be chosen, with and without a spec, and that nobody's failure costs more than their own offers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app.offers import (
    Question,
    Surroundings,
    Wanted,
    gather,
    list_offers,
    price_history,
    record_prices,
    wanted_by,
    watch,
)
from hetops.catalog import tables
from hetops.domain.offer import Limits, Market, PriceBasis
from hetops.errors import SpecError, UnknownNameError, UsageError
from hetops.offers.collect import Freshness
from hetops.offers.listing import OfferListing
from hetops.offers.select import OfferRules, Reason
from hetops.offers.sources import SourceState
from hetops.plugin.manager import Plugins
from hetops.spec.load import load
from tests.app.specs import written
from tests.doubles.providers import NOW, TellingProvider, answering, failing, live_offer

CATALOG = tables.load()


@pytest.fixture(autouse=True)
def _nobody_far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine alone is asked, whatever clouds are installed and whatever keys the tester has."""
    monkeypatch.setenv("HETOPS_PLUGINS", "local")


def question(folder: Path, **fields) -> Question:
    """Asked in a folder whose state lies beside it."""
    told = {
        "file": None,
        "folder": folder,
        "environment": {"HETOPS_STATE": str(folder / "state")},
        "now": NOW,
    }
    return Question(**(told | fields))


def around(*providers: TellingProvider, **fields) -> Surroundings:
    return Surroundings(plugins=Plugins(statuses=(), providers=providers), catalog=CATALOG, now=NOW, **fields)


def test_without_a_spec_everybody_is_asked_and_list_prices_are_shown_for_planning(tmp_path: Path) -> None:
    listing = list_offers(question(tmp_path))
    by_provider = {s.provider: s.state for s in listing.sources}
    assert by_provider["local"] is SourceState.LIVE
    assert {by_provider[name] for name in ("aws", "gcp", "lambda", "runpod", "hyperbolic")} == {
        SourceState.LIST
    }
    assert len({o.offer.id for o in listing.offers}) == len(listing.offers) > 100
    assert listing.refusals, "rows of the snapshot that are no offer say why"
    assert "aws, gcp, lambda, runpod, hyperbolic at list prices of " in listing.coverage


def test_with_a_spec_only_its_providers_are_asked_and_its_rules_hold(tmp_path: Path) -> None:
    written(
        tmp_path, '[providers.local]\nemulate = true\n[offers]\ngpus = ["L4", "CPU"]\nexclude = ["gcp/*"]\n'
    )
    listing = list_offers(question(tmp_path))
    assert [s.provider for s in listing.sources] == ["local"]
    assert {o.offer.gpu for o in listing.offers} == {"L4", "CPU"}
    assert not any(o.offer.sku.startswith("gcp/") for o in listing.offers)
    assert {r.reason for r in listing.refused} >= {Reason.GPU, Reason.EXCLUDED}


def test_a_disabled_provider_is_not_asked(tmp_path: Path) -> None:
    written(tmp_path, "[providers.local]\n[providers.aws]\nenabled = false\n")
    assert [s.provider for s in list_offers(question(tmp_path)).sources] == ["local"]


def test_the_command_line_stands_in_for_the_specs_rules_field_by_field(tmp_path: Path) -> None:
    written(tmp_path, '[providers.local]\nemulate = true\n[offers]\ngpus = ["L4"]\nexclude = ["gcp/*"]\n')
    listing = list_offers(question(tmp_path, gpus=("T4",), max_usd_per_gpu_hour=Decimal("0.60")))
    assert {o.offer.gpu for o in listing.offers} == {"T4"}
    assert all(o.usd_per_gpu_hour <= Decimal("0.60") for o in listing.offers)
    assert not any(o.offer.sku.startswith("gcp/") for o in listing.offers)
    listing = list_offers(question(tmp_path, providers=("aws",)))
    assert [s.provider for s in listing.sources] == ["aws"]


def test_regions_and_markets_narrow(tmp_path: Path) -> None:
    listing = list_offers(question(tmp_path, regions=("us-*",), markets=(Market.SPOT,)))
    assert listing.offers
    assert {o.offer.market for o in listing.offers} == {Market.SPOT}
    assert all(o.offer.region.startswith("us-") for o in listing.offers)


def test_offline_asks_only_this_machine(tmp_path: Path) -> None:
    listing = list_offers(question(tmp_path, freshness=Freshness.OFFLINE))
    assert {s.provider for s in listing.sources if s.state is SourceState.LIVE} == {"local"}


@pytest.mark.parametrize(
    ("fields", "said", "hint"),
    [
        ({"providers": ("awss",)}, "unknown provider 'awss'", "did you mean 'aws'?"),
        ({"gpus": ("H100-SMX",)}, "unknown GPU type 'H100-SMX'", "'H100-SXM'"),
        ({"gpus": ("NOPE",)}, "unknown GPU type 'NOPE'", "known: "),
    ],
)
def test_a_name_on_the_command_line_that_nobody_knows_gets_the_nearest(
    fields: dict, said: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError) as caught:
        list_offers(question(tmp_path, **fields))
    assert caught.value.message == said
    assert hint in caught.value.hint


def test_a_count_of_gpus_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'H100-SXM:x' is no GPU type"):
        list_offers(question(tmp_path, gpus=("H100-SXM:x",)))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[providers.awss]\n", "unknown provider 'awss' at {path}:16: providers.awss"),
        ('[providers.local]\n[offers]\ngpus = ["L4", "H1000"]\n', "unknown GPU type 'H1000' at {path}:18: offers.gpus[1]"),
    ],
)  # fmt: skip
def test_a_name_in_the_spec_that_nobody_knows_has_its_place(more: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, more)
    with pytest.raises(UnknownNameError) as caught:
        list_offers(question(tmp_path))
    assert caught.value.message == said.format(path=path)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("0", "must be a price above zero, found 0"),
        ("1e30", "a thousand million and more limits nothing: leave it out"),
        ("-1", "must be a price above zero, found -1"),
        ('"much"', "must be a price above zero, found much"),
        ("true", "must be a price above zero, found True"),
        ("nan", "expected a finite number, found nan"),
    ],
)
def test_a_providers_limit_that_is_no_price_is_an_error_of_the_spec(
    limit: str, said: str, tmp_path: Path
) -> None:
    path = written(tmp_path, f"[providers.local]\nusd_per_hour = {limit}\n")
    with pytest.raises(SpecError) as caught:
        wanted_by(load(path), around(answering("local")))
    assert caught.value.message == f"{path}:17: providers.local.usd_per_hour: {said}"


def test_a_spec_that_is_wrong_or_was_named_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    written(tmp_path, "[providers.local\n")
    with pytest.raises(SpecError, match=r"hetops\.toml:16: not TOML"):
        list_offers(question(tmp_path))
    with pytest.raises(SpecError, match=r"other\.toml does not exist"):
        list_offers(question(tmp_path, file=tmp_path / "other.toml"))


def test_what_a_provider_may_cost_is_a_limit_of_its_offers_and_the_tighter_one_counts(tmp_path: Path) -> None:
    cloud = answering(
        "cloud",
        live_offer("cloud", "free"),
        live_offer("cloud", "tight", limits=Limits(spend_usd_per_hour=Decimal(2))),
        live_offer("cloud", "loose", limits=Limits(spend_usd_per_hour=Decimal(90))),
    )
    path = written(tmp_path, "[providers.cloud]\nusd_per_hour = 5\nregion = 'x'\n")
    wanted = wanted_by(load(path), around(cloud))
    assert wanted.settings == {"cloud": {"region": "x"}}, "what is ours is not handed on"
    limits = {o.sku: o.limits.spend_usd_per_hour for o in gather(wanted, around(cloud)).selection.offers}
    assert limits == {"free": 5, "tight": 2, "loose": 5}


def test_a_provider_that_fails_costs_its_own_offers_and_is_named() -> None:
    providers = answering("good", live_offer("good")), failing("bad", RuntimeError("socket closed"))
    gathered = gather(Wanted(settings={"good": {}, "bad": {}}), around(*providers))
    assert [o.provider for o in gathered.selection.offers] == ["good"]
    assert ("provider bad", "failed: RuntimeError: socket closed") in [
        (r.subject, r.reason) for r in gathered.refusals
    ]
    assert gathered.unpriced == (), "nobody here stands on the snapshot"


def test_list_prices_stand_in_for_a_known_cloud_that_refuses_with_what_is_no_offer_told_by_reason() -> None:
    gathered = gather(Wanted(settings={"aws": {}}), around(failing("aws", RuntimeError("no key"))))
    assert {o.basis for o in gathered.selection.offers} == {PriceBasis.LIST}
    told = {r.reason: r.count for r in gathered.refusals if r.subject == "list prices"}
    assert told["no speeds are known for the GPU RTXPRO4500-Server"] == 6


def test_a_gpu_type_that_no_table_knows_is_refused_never_guessed() -> None:
    gathered = gather(Wanted(settings={"c": {}}), around(answering("c", live_offer("c", gpu="H100"))))
    assert gathered.selection.offers == ()
    assert [r.reason for r in gathered.selection.refused] == [Reason.UNKNOWN_GPU]


def test_an_answer_that_holds_is_not_asked_for_again(tmp_path: Path) -> None:
    cloud = answering("cloud", live_offer("cloud", ttl_seconds=300))
    surroundings = around(cloud, cache_folder=tmp_path / "cache")
    first = gather(Wanted(settings={"cloud": {}}), surroundings)
    second = gather(Wanted(settings={"cloud": {}}), surroundings)
    assert first.selection.offers == second.selection.offers
    assert len(cloud.queries) == 1
    gather(Wanted(settings={"cloud": {}}), replace(surroundings, freshness=Freshness.ASKED))
    assert len(cloud.queries) == 2


def test_rules_without_a_match_are_told() -> None:
    rules = OfferRules(regions=("moon-*",), exclude=("no-such-sku",))
    gathered = gather(Wanted(settings={"c": {}}, rules=rules), around(answering("c", live_offer("c"))))
    assert "no offer is in region 'moon-*'" in gathered.selection.warnings
    assert any("'no-such-sku' excludes nothing" in w for w in gathered.selection.warnings)


def test_a_watch_asks_anew_each_time_and_says_what_changed(tmp_path: Path) -> None:
    asked: list[Question] = []
    waited: list[float] = []

    def ask(each: Question) -> OfferListing:
        asked.append(each)
        return list_offers(replace(each, gpus=("CPU",) if len(asked) == 2 else ("L4",)))

    written(tmp_path, "[providers.local]\nemulate = true\n")
    looks = watch(question(tmp_path), seconds=60, wait=waited.append, now=lambda: NOW, ask=ask)
    first, second = (next(looks)[1] for _ in range(2))
    assert {o.gpu for o in first.appeared} == {"L4"}
    assert {g.reason for g in second.gone} == {"not a GPU type asked for"}
    assert {o.gpu for o in second.appeared} == {"CPU"}
    assert waited == [60]
    assert {q.freshness for q in asked} == {Freshness.ASKED}


def test_a_watch_that_may_use_prices_of_some_age_asks_the_others_only(tmp_path: Path) -> None:
    asked: list[Question] = []

    def ask(each: Question) -> OfferListing:
        asked.append(each)
        return list_offers(each)

    watched = question(tmp_path, max_age_seconds=300.0)
    next(watch(watched, seconds=60, wait=lambda _: None, now=lambda: NOW, ask=ask))
    assert [(q.freshness, q.max_age_seconds) for q in asked] == [(Freshness.CACHED, 300.0)]


def test_prices_are_recorded_where_it_was_said_or_among_the_state(tmp_path: Path) -> None:
    told = question(tmp_path)
    listing = list_offers(told)
    named = record_prices(listing, told, tmp_path / "prices.jsonl")
    kept = record_prices(listing, told, None)
    assert (named, kept) == (
        tmp_path / "prices.jsonl",
        tmp_path / "state" / "history" / "offers.prices.jsonl",
    )
    assert named.read_bytes() == kept.read_bytes()
    history = price_history("CPU", told, None)
    assert [(s.provider, len(s.points)) for s in history.series] == [("local", 1)]
    with pytest.raises(UnknownNameError):
        price_history("H100-SXM", told, None)
