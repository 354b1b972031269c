"""A search that is stopped before it has an answer says what is lost, that nothing was changed, and what brings one sooner."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from hetops.app.day import answer_to
from hetops.app.solve import solve_file
from hetops.app.what_if import pose_under, restrictions
from hetops.domain import codec
from hetops.errors import CancelledError
from hetops.solver.solve import Effort
from tests.doubles import specs
from tests.solver.problems import TOY

DAY = "[policy.day]\nboot_minutes = 5\nhours = 24\n"


@pytest.fixture(autouse=True)
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every search is stopped at once, as Ctrl-C stops it."""

    def stop(*_args: object, **_more: object) -> NoReturn:
        raise KeyboardInterrupt

    for caller in ("hetops.app.plan.solve", "hetops.app.solve.solve"):
        monkeypatch.setattr(caller, stop)


def test_of_a_day_fewer_periods_bring_an_answer_sooner_and_of_one_fleet_fewer_offers(tmp_path: Path) -> None:
    for text, sooner in (
        (specs.TRACED + "[providers.aws]\n" + DAY, "fewer periods (workload.periods)"),
        (specs.LISTED, "fewer offers ([offers]) and classes"),
    ):
        spec = specs.asked(tmp_path, text)
        with pytest.raises(CancelledError, match="cancelled before there was an answer") as caught:
            answer_to(pose_under(spec, restrictions((), ())), Effort(limit_seconds=5.0), spec)
        assert caught.value.details == ("what was searched until then is lost; nothing was changed",)
        assert sooner in caught.value.hint
        assert caught.value.exit_code == 8


def test_of_a_problem_of_ones_own_it_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "problem.json").write_bytes(codec.encode(TOY))
    with pytest.raises(CancelledError, match="cancelled before there was an answer") as caught:
        solve_file(tmp_path / "problem.json")
    assert "fewer columns, classes or periods" in caught.value.hint
