"""The user's own benchmarks on disk, and the machine that they are valid for."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hetops.domain import codec
from hetops.domain.performance import Measurement
from hetops.errors import HetopsError
from hetops.state import host, measurements


def measurement(concurrency: int = 1) -> Measurement:
    """One benchmark result."""
    return Measurement(
        configuration="tiny/llamacpp/CPU/tp1/q8_0/s4",
        offer_sku="cpu-1",
        host="a machine",
        input_tokens=64.0,
        output_tokens=16.0,
        concurrency=concurrency,
        requests=10,
        requests_per_second=2.0,
        ttft_seconds=(0.1, 0.2, 0.2, 0.3),
        tpot_seconds=(0.01, 0.02, 0.02, 0.03),
        measured_at="2026-11-24T12:00:00Z",
    )


def file_line(one: Measurement) -> str:
    """As the file has it."""
    return msgspec.json.encode(codec.to_builtins(one)).decode()


def test_nothing_measured_is_nothing_read(tmp_path: Path) -> None:
    assert measurements.read(tmp_path / "measurements") == ()


def test_what_was_appended_is_read_back_oldest_first(tmp_path: Path) -> None:
    measurements.append(tmp_path / "m", [measurement(1), measurement(2)])
    measurements.append(tmp_path / "m", [measurement(4)])
    assert [m.concurrency for m in measurements.read(tmp_path / "m")] == [1, 2, 4]
    assert measurements.read(tmp_path / "m")[0] == measurement(1)


def test_a_torn_line_costs_itself_only(tmp_path: Path) -> None:
    measurements.append(tmp_path, [measurement(1)])
    with (tmp_path / "measurements.jsonl").open("ab") as torn:
        torn.write(b'{"format": "hetops.measurement", "format_ver')
    measurements.append(tmp_path, [measurement(2)])
    with (tmp_path / "measurements.jsonl").open("a") as file:
        file.write(file_line(measurement(3)).replace('"concurrency":3', '"concurrency":NaN') + "\n")
    found = measurements.recorded(tmp_path)
    assert [m.concurrency for m in found.measurements] == [1, 2]
    torn_line, nan = found.left_out
    assert torn_line.startswith(f"{tmp_path}/measurements.jsonl:2: not JSON")
    assert nan.startswith(f"{tmp_path}/measurements.jsonl:4: not JSON")


@pytest.mark.parametrize(
    "slip",
    [
        ('"requests":10', '"requests":0'),
        ('"concurrency":1', '"concurrency":-1'),
        ('"requests_per_second":2.0', '"requests_per_second":1e300'),
        ('"ttft_seconds":[0.1,0.2,0.2,0.3]', '"ttft_seconds":[]'),
        ('"tpot_seconds":[0.01,0.02,0.02,0.03]', '"tpot_seconds":[0.0]'),
    ],
)
def test_a_line_whose_figure_is_none_costs_itself_only(tmp_path: Path, slip: tuple[str, str]) -> None:
    measurements.append(tmp_path, [measurement(2)])
    line = file_line(measurement(1))
    assert slip[0] in line
    with (tmp_path / "measurements.jsonl").open("a") as file:
        file.write(line.replace(*slip) + "\n")
    found = measurements.recorded(tmp_path)
    assert [m.concurrency for m in found.measurements] == [2]
    (told,) = found.left_out
    assert "measurements.jsonl:2" in told
    assert slip[0].partition(":")[0].strip('"') in told


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(HetopsError, match="cannot be written"):
        measurements.append(tmp_path / "file" / "m", [measurement()])


def test_the_fingerprint_of_a_machine_is_one_line_and_stays_the_same() -> None:
    found = host.fingerprint()
    assert found == host.fingerprint()
    assert found.endswith("cores")
    assert "\n" not in found
