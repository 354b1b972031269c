"""`hetops offers` as a user calls it: tables and JSON on stdout, usage errors, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from hetops.domain import codec
from hetops.offers.listing import OfferListing
from tests.cli import process
from tests.cli.process import spec, told

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
    ],
)
def test_a_command_line_that_makes_no_sense_ends_with_code_64(
    options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    run = hetops(tmp_path, "offers", *options)
    assert (run.returncode, run.stdout) == (64, "")
    assert said in run.stderr


def test_an_error_is_json_where_json_was_asked_for(tmp_path: Path) -> None:
    run = hetops(tmp_path, "offers", "--gpu", "H100", "--json")
    error = told(run)
    assert (run.returncode, error["format"], error["kind"]) == (1, "hetops.error", "UnknownNameError")
    assert "'H100-SXM'" in error["hint"]
    assert json.loads(run.stdout) == error


def test_nothing_left_is_an_answer_and_says_why(tmp_path: Path) -> None:
    run = hetops(tmp_path, "offers", "--provider", "local", "--max-price", "0.001")
    assert run.returncode == 0
    assert re.match(r"No offer is left: \d+ dearer than 0\.001 usd_per_gpu_hour\n", run.stdout)
