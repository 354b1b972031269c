"""Faults as written, the replicas that they hit, and arrivals that are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from hetops.errors import HetopsError, UnknownNameError, UsageError
from hetops.simulate.arrivals import Arrivals, burst, poisson, redrawn
from hetops.simulate.faults import Burst, Lose, Reclaim, from_option, from_toml, in_short, until
from hetops.simulate.fleet import VirtualFleet
from hetops.simulate.timeline import Happening, changes
from tests.simulate.fleets import arrivals, pool

FLEET = VirtualFleet(
    [
        pool(
            "a", nodes=2, replicas_per_node=2, zone="us-east-1a", provider="aws", region="us-east-1", gpu="L4"
        ),
        pool("b", nodes=3, zone="us-east-1b", provider="aws", region="us-east-1", gpu="H100"),
        pool("c", provider="gcp", region="us-central1", gpu="L4"),
    ]
)


def hit(text: str, seed: int = 0) -> list[tuple[float, Happening, tuple[int, ...]]]:
    """What a fault does to the fleet, in short."""
    found = changes(FLEET, [from_option(text)], 1000.0, np.random.default_rng(seed))
    return [(c.at_seconds, c.what, c.replicas) for c in found]


@pytest.mark.parametrize(
    ("place", "replicas"),
    [
        ("pool=b", (4, 5, 6)),
        ("zone=us-east-1a", (0, 1, 2, 3)),
        ("zone=us-central1", (7,)),  # no zone is told: the region is one
        ("provider=aws", (0, 1, 2, 3, 4, 5, 6)),
        ("region=us-central1", (7,)),
        ("gpu=L4", (0, 1, 2, 3, 7)),
    ],
)
def test_a_fault_hits_every_node_of_its_name(place: str, replicas: tuple[int, ...]) -> None:
    assert hit(f"lose,{place},at_seconds=10,for_seconds=5") == [
        (10.0, Happening.GONE, replicas),
        (15.0, Happening.BACK, replicas),
    ]


def test_whole_nodes_go_and_the_seed_says_which() -> None:
    drawn = {hit("lose,pool=a,at_seconds=1,nodes=1", seed)[0][2] for seed in range(20)}
    assert drawn == {(0, 1), (2, 3)}
    assert hit("lose,gpu=L4,at_seconds=1,nodes=2", 3) == hit("lose,gpu=L4,at_seconds=1,nodes=2", 3)


def test_a_reclaimed_node_leaves_goes_and_is_replaced_once_it_has_booted() -> None:
    found = hit("reclaim,pool=c,at_seconds=100,notice_seconds=20,boot_seconds=200")
    assert [(at, what) for at, what, _ in found] == [
        (100.0, Happening.LEAVING),
        (120.0, Happening.GONE),
        (320.0, Happening.BACK),
        (320.0, Happening.STAYING),
    ]
    assert until(Reclaim(pool="c", at_seconds=100, notice_seconds=20, boot_seconds=200)) == 320.0


@pytest.mark.parametrize(
    "text",
    [
        "lose,at_seconds=600,zone=us-east-1a",
        "lose,at_seconds=600,pool=7,for_seconds=30,nodes=2",
        "reclaim,at_seconds=1.5,gpu=L4,nodes=3,boot_seconds=60",
        "slow,at_seconds=0,offer=aws/us-east-1/g6.xlarge/spot,factor=3",
        "burst,at_seconds=10,factor=2.5",
    ],
)
def test_a_fault_in_short_reads_back_as_itself(text: str) -> None:
    assert in_short(from_option(text)) == text


WRONG = {
    "los,zone=a,at_seconds=1": ("no such kind of fault 'los'", "did you mean 'lose'?"),
    "": ("no kind", "there are lose, reclaim, slow, burst"),
    "lose,zone=a": ("at_seconds is missing", ""),
    "lose,zone=a,at_secnds=3": ("unknown field 'at_secnds'", "did you mean 'at_seconds'?"),
    "lose,at_seconds=3": ("exactly one of pool, offer, provider, region, zone, gpu says what it hits", ""),
    "lose,zone=a,pool=b,at_seconds=3": ("exactly one of", ""),
    "slow,pool=a,at_seconds=soon": ("at_seconds: expected `float`, got `str`", ""),
    "burst,at_seconds=-1": ("at_seconds must be a number of at least 0, not -1", ""),
    "burst,at_seconds=1,factor=nan": ("factor must be a number of at least 0, not nan", ""),
    "burst,at_seconds=1,factor=0.5": ("factor must lie between 1 and 1000", ""),
    "slow,pool=a,at_seconds=1,factor=0.5": ("factor must be at least 1", ""),
    "slow,pool=a,at_seconds=1,nodes=0": ("nodes must be above 0", ""),
    "slow,pool=a,at_seconds=1,nodes=1.5": ("nodes: expected `int", ""),
    "lose,zone": ("'zone' is no FIELD=VALUE", "for example lose,zone=us-east-1a,at_seconds=600"),
    "burst,at_seconds=1,at_seconds=2": ("at_seconds stands there twice", ""),
}


@pytest.mark.parametrize("text", WRONG)
def test_an_option_that_is_no_fault_says_which_field_and_what_was_meant(text: str) -> None:
    message, hint = WRONG[text]
    with pytest.raises(UsageError) as told:
        from_option(text)
    assert told.value.message.startswith(f"--fault {text}: {message}")
    assert told.value.hint == hint


def test_a_file_holds_the_same_faults() -> None:
    text = """
[[fault]]
kind = "lose"
zone = "us-east-1a"
at_seconds = 600
for_seconds = 300

[[fault]]
kind = "burst"
at_seconds = 30
"""
    assert from_toml(text, "f.toml") == (
        Lose(zone="us-east-1a", at_seconds=600.0, for_seconds=300.0),
        Burst(at_seconds=30.0),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.toml: no fault in it"),
        ("[[faults]]\nkind = 'lose'", "f.toml: unknown field 'faults'"),
        ("\n[[fault]\n", "f.toml:2: not TOML"),
        ("[[fault]]\nkind='lose'\nzone='a'\nat_seconds=1\n[[fault]]\nkind='slow'\npool=3\nat_seconds=3",
         "f.toml: fault[1]: pool: expected `str`, got `int`"),
        ("fault = [1]", "f.toml: fault[0]: a fault is a table"),
    ],
    ids=["empty", "misspelt", "not TOML", "wrong type", "no table"],
)  # fmt: skip
def test_a_file_without_sound_faults_says_where(text: str, message: str) -> None:
    with pytest.raises(HetopsError) as told:
        from_toml(text, "f.toml")
    assert told.value.message.startswith(message)


def test_a_name_that_no_pool_has_is_told_with_those_that_they_have() -> None:
    with pytest.raises(UnknownNameError) as told:
        hit("lose,zone=us-east-1c,at_seconds=1")
    assert told.value.hint == "did you mean 'us-east-1b' or 'us-east-1a'?"
    with pytest.raises(UnknownNameError) as told:
        hit("lose,provider=azure,at_seconds=1")
    assert told.value.hint == "known: aws, gcp"


def test_more_nodes_than_there_are_and_times_after_the_end_are_refused() -> None:
    with pytest.raises(HetopsError, match="pool b has 3 nodes of the plan"):
        hit("lose,pool=b,at_seconds=1,nodes=4")
    with pytest.raises(HetopsError, match="nothing comes after 1,000 s"):
        hit("lose,pool=b,at_seconds=1000")


RECORDED = arrivals(np.linspace(0.0, 599.0, 1200).tolist(), [100, 900] * 600, [10, 90] * 600)


def pairs(found: Arrivals) -> set[tuple[int, int]]:
    """The different lengths of requests."""
    return set(zip(found.input_tokens.tolist(), found.output_tokens.tolist(), strict=True))


def test_poisson_arrivals_have_the_rate_and_the_lengths_of_the_record() -> None:
    drawn = poisson(RECORDED, 20.0, np.random.default_rng(0))
    assert len(drawn) == pytest.approx(20.0 * 600.0, rel=0.05)
    gaps = np.diff(drawn.at_seconds)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert pairs(drawn) == {(100, 10), (900, 90)}
    with pytest.raises(ValueError, match="at least one request"):
        poisson(RECORDED, 1e-9, np.random.default_rng(0))


def test_minutes_drawn_anew_keep_rate_and_lengths_and_differ_by_seed() -> None:
    drawn = [redrawn(RECORDED, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert len(drawn[0]) == pytest.approx(1200, rel=0.02)
    assert drawn[0].at_seconds.tolist() == drawn[1].at_seconds.tolist() != drawn[2].at_seconds.tolist()
    assert pairs(drawn[0]) == {(100, 10), (900, 90)}


def test_a_burst_brings_so_many_times_the_requests_of_its_stretch_and_leaves_the_rest() -> None:
    fault = Burst(at_seconds=120.0, for_seconds=60.0, factor=10.0)
    more = burst(RECORDED, fault, np.random.default_rng(0))

    def within(found: Arrivals) -> int:
        return int(((found.at_seconds >= 120) & (found.at_seconds < 180)).sum())

    assert within(more) == 10 * within(RECORDED)
    assert len(more) - within(more) == len(RECORDED) - within(RECORDED)
    assert (np.diff(more.at_seconds) >= 0).all()
