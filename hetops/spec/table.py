"""What the tables of hetops.toml are made of: the kinds of values that fields have. No I/O."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
Rate = Annotated[float, Meta(gt=0, le=1e6)]
"""A million requests a second are more than any fleet of a spec serves: a larger number is a wrong unit."""
Scale = Annotated[float, Meta(gt=0, le=1e6)]
Percentile = Annotated[float, Meta(gt=0, lt=100)]
Share = Annotated[float, Meta(ge=0, lt=1)]
Recovery = Annotated[float, Meta(gt=0, le=1)]
Name = Annotated[str, Meta(pattern=r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$")]
Part = Annotated[float, Meta(ge=0, le=1)]
Money = Annotated[Decimal, Meta(description="USD", extra_json_schema={"exclusiveMinimum": 0})]
Cost = Annotated[Decimal, Meta(description="USD, 0 too", extra_json_schema={"minimum": 0})]
Hours = Annotated[float, Meta(gt=0, le=8760)]
PeriodName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9:._-]{0,31}$")]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of hetops.toml; keys it does not know are errors."""
