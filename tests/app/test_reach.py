"""What a spec says may each be allowed, and together lead to what nobody can reckon with: that is an error of the spec."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetops.app.pose import pose
from hetops.errors import SpecError
from tests.doubles import specs
from tests.doubles.days import PERIODS


@pytest.mark.parametrize(
    ("field", "where"),
    [
        ("workload.classes.0.requests_per_second=1e-300", "classes[0].requests_per_second: 1.00e-300"),
        ("workload.classes.0.shed_usd_per_request=1e400", "classes[0].shed_usd_per_request: 1e+400"),
    ],
)
def test_a_number_that_nobody_can_reckon_with_is_told(tmp_path: Path, field: str, where: str) -> None:
    with pytest.raises(SpecError) as caught:
        pose(specs.asked(tmp_path, specs.LISTED, field))
    assert f"makes no sound question: {where} is beyond" in caught.value.message


def test_a_period_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"period '\w+': hours 1e-09 are under a millionth"):
        pose(specs.asked(tmp_path, specs.LISTED + PERIODS, "policy.day.periods.0.hours=1e-9"))
