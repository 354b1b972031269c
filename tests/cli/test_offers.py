"""`hetops offers` as a user calls it: tables and JSON on stdout, usage errors, exit codes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from hetops.domain import codec
from hetops.offers.listing import OfferListing
from tests.cli import process
from tests.cli.process import spec, told
from tests.cli.test_documents import keeps

ALONE = {"HETOPS_PLUGINS": "local"}
"""This machine alone is asked, whatever clouds are installed and whatever keys the tester has."""


def hetops(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs hetops with the local plugin only."""
    return process.hetops(folder, *arguments, variables=ALONE)


def listing(folder: Path, *options: str) -> OfferListing:
    """What `hetops offers --json` tells."""
    run = hetops(folder, "offers", "--json", *options)
    assert run.returncode == 0, run.stderr
    return codec.decode(OfferListing, run.stdout, source="stdout")


def test_without_a_spec_every_source_is_listed_with_its_age_and_basis(tmp_path: Path) -> None:
    run = hetops(tmp_path, "offers")
    assert (run.returncode, run.stderr) == (0, "")
    header, *rows = run.stdout.splitlines()
    assert header.split() == [
        *("PROVIDER", "SKU", "GPU", "REGION", "MARKET", "LEFT"),
        *("$/HOUR", "$/GPU", "$/GB", "$/TFLOPS", "$/TB/S", "PRICE"),
    ]
    assert any(row.startswith("local ") and row.endswith("nominal") for row in rows)
    assert any(row.startswith("aws ") and " list 202" in row for row in rows)
    assert "plan only" in run.stdout
    assert "(--refused says why)" in run.stdout


def test_options_narrow_and_the_json_is_the_document(tmp_path: Path) -> None:
    found = listing(tmp_path, "--provider", "aws", "--gpu", "L4:4", "--market", "on_demand", "--sort", "node")
    assert {(o.offer.provider, o.offer.gpu, o.offer.gpu_count) for o in found.offers} == {("aws", "L4", 4)}
    prices = [o.offer.total_usd_per_hour for o in found.offers]
    assert prices == sorted(prices)
    assert found.refused
    dear = listing(tmp_path, "--provider", "aws", "--gpu", "L4", "--max-price", "0.81")
    assert dear.offers
    assert all(float(o.usd_per_gpu_hour) <= 0.81 for o in dear.offers)


def test_by_gpu_and_refused_are_other_tables_of_the_same_listing(tmp_path: Path) -> None:
    by_gpu = hetops(tmp_path, "offers", "--by-gpu").stdout
    assert by_gpu.splitlines()[0].split() == [
        "GPU",
        "OFFERS",
        "PROVIDERS",
        "$/GPU",
        "AT",
        "MOST",
        "CHEAPEST",
        "MARKET",
    ]
    refused = hetops(tmp_path, "offers", "--refused", "--provider", "aws").stdout
    assert "no speeds are known for the GPU RTXPRO4500-Server" in refused
    assert "not for LLM serving" in refused


def test_a_spec_in_the_folder_counts_and_f_names_another(tmp_path: Path) -> None:
    path = spec(tmp_path)
    assert {s.provider for s in listing(tmp_path).sources} == {"local"}
    (elsewhere := tmp_path / "elsewhere").mkdir()
    assert {s.provider for s in listing(elsewhere, "-f", str(path)).sources} == {"local"}
    assert len(listing(elsewhere).sources) > 1


def test_offline_works_without_any_network(tmp_path: Path) -> None:
    found = listing(tmp_path, "--offline")
    assert {s.provider for s in found.sources} >= {"local", "aws"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--refresh", "--offline"), "--refresh asks everybody and --offline nobody"),
        (("--max-price", "0"), "'0' is not above zero"),
        (("--max-price", "cheap"), "'cheap' is no price"),
        (("--max-price", "nan"), "'nan' is not above zero"),
        (("--deadline", "0"), "0.0 is not in the range"),
        (("--gpu", "L4:0"), "'L4:0' is no GPU type"),
        (("--sort", "colour"), "'colour' is not one of"),
        (("--refresh", "--max-age", "5"), "--refresh asks everybody, whatever --max-age says"),
        (("--watch", "60", "--offline"), "--watch asks again and again"),
        (("--watch", "60", "--history", "L4"), "--watch asks again and again"),
        (("--watch", "0"), "0.0 is not in the range"),
        (("--max-age", "-1"), "-1.0 is not in the range"),
        (("--csv",), "--csv is a form of --history"),
    ],
)
def test_a_command_line_that_makes_no_sense_ends_with_code_64(
    options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    run = hetops(tmp_path, "offers", *options)
    assert (run.returncode, run.stdout) == (64, "")
    assert said in run.stderr


def test_an_error_is_json_where_json_was_asked_for(tmp_path: Path) -> None:
    run = hetops(tmp_path, "offers", "--gpu", "H100-SMX", "--json")
    error = told(run)
    assert (run.returncode, error["format"], error["kind"]) == (1, "hetops.error", "UnknownNameError")
    assert "'H100-SXM'" in error["hint"]
    assert json.loads(run.stdout) == error


def test_nothing_left_is_an_answer_and_says_why(tmp_path: Path) -> None:
    run = hetops(tmp_path, "offers", "--provider", "local", "--max-price", "0.001")
    assert run.returncode == 0
    assert re.match(r"No offer is left: \d+ dearer than 0\.001 usd_per_gpu_hour\n", run.stdout)


def test_prices_are_recorded_and_drawn(tmp_path: Path) -> None:
    for _ in range(2):
        run = hetops(tmp_path, "offers", "--provider", "local", "--record", "prices.jsonl")
        assert run.returncode == 0, run.stderr
    lines = (tmp_path / "prices.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    for line in lines:
        keeps(json.loads(line), "offer-record")
    drawn = hetops(tmp_path, "offers", "--history", "CPU", "--record", "prices.jsonl")
    assert drawn.stdout.startswith("CPU, USD per GPU and hour, 2 looks from 20")
    assert re.search(r"^local +on_demand +▁▁ ", drawn.stdout, flags=re.MULTILINE)
    rows = hetops(tmp_path, "offers", "--history", "CPU", "--record", "prices.jsonl", "--csv").stdout
    assert len(rows.splitlines()) == 3
    told_of = told(hetops(tmp_path, "offers", "--history", "CPU", "--record", "prices.jsonl", "--json"))
    keeps(told_of, "offer-history")


def test_the_record_among_the_state_is_the_usual_one(tmp_path: Path) -> None:
    spec(tmp_path)
    none = hetops(tmp_path, "offers", "--history", "CPU")
    assert (none.returncode, "cannot be read" in none.stderr) == (1, True)
    assert hetops(tmp_path, "offers", "--record", "--by-gpu").returncode == 0
    assert (tmp_path / ".hetops" / "history" / "offers.prices.jsonl").is_file()
    assert "1 look " in hetops(tmp_path, "offers", "--history", "CPU").stdout


def test_a_watch_goes_on_until_it_is_stopped_and_tells_changes_as_json_lines(tmp_path: Path) -> None:
    watching = subprocess.Popen(
        [*process.HETOPS, "offers", "--provider", "local", "--watch", "0.5", "--json"],
        cwd=tmp_path,
        env=process.environment(**ALONE),
        stdout=subprocess.PIPE,
        text=True,
    )
    with watching:
        try:
            assert watching.stdout is not None
            first, second = (json.loads(watching.stdout.readline()) for _ in range(2))
        finally:
            watching.send_signal(signal.SIGINT)
    assert watching.returncode == 8
    keeps(first, "offer-changes")
    assert first["appeared"]
    assert (second["appeared"], second["gone"], second["prices"]) == ([], [], [])
