"""Columns of a file of measurements that nobody reads are told, so that a wrong name is seen."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from hetops.app.calibrate import SHIPPED, unread_columns
from hetops.performance import rows, sent


def written(folder: Path, head: str) -> Path:
    path = folder / "cases.csv"
    path.write_text(f"{head}\n", encoding="utf-8")
    return path


def test_of_the_shipped_measurements_every_column_is_read() -> None:
    assert unread_columns(SHIPPED) == ""


def test_a_column_that_nobody_reads_is_named_beside_those_that_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "GPU;model;input tokens;output_tokens;metric;Tensor Parallel")
    assert unread_columns(path).startswith(f"{path}: tensor_parallel not read; columns are id, gpu, ")


def test_every_name_that_the_reader_of_rows_asks_for_is_a_known_column(tmp_path: Path) -> None:
    source = "".join(inspect.getsource(module) for module in (rows, sent))
    asked = re.findall(r'row(?:, |\[|\.get\()"([a-z_]+)"', source)
    assert {"attention_dp", "unit", "requests", "tp", "engine_version"} <= set(asked)
    assert unread_columns(written(tmp_path, ",".join(dict.fromkeys((*rows.NEEDED, *asked))))) == ""
