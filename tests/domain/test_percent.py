"""Per cent is written one way, by one function."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import hetops
from hetops.domain.percent import percent, signed_percent

PACKAGE = Path(hetops.__file__).parent


def test_a_blank_stands_before_the_sign() -> None:
    assert percent(0.1234) == "12 %"
    assert percent(Decimal("0.1234"), 1) == "12.3 %"
    assert signed_percent(-0.015, 1) == "-1.5 %"
    assert signed_percent(0.22) == "+22 %"


def test_no_text_writes_per_cent_in_a_way_of_its_own() -> None:
    own = re.compile(r":[^{}\"]*%\}|\} ?%[\"']")
    found = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(
            own.search(line) and not re.search(r"%[YmdHMSb]", line) for line in path.read_text().splitlines()
        )
    ]
    assert own.search('f"{share:.1%}"')
    assert found == []
