"""Which words of a publisher say that attention is in data parallel, over how many groups of GPUs. Pure."""

from __future__ import annotations

import re

from hetops.performance.meant import plain

NO_NUMBER = 0
"""Told, but not over how many groups."""

_NAMES = (
    r"(?:attention|attn)(?:[ _-]+(?:is[ _-]+)?in)?[ _-]*(?:dp|data[ _-]*parallel(?:ism)?)",
    r"(?<![a-z])dp[ _-]*(?:attention|attn)",
    r"(?<![a-z])adp(?![a-z])",
    r"(?<![a-z])dep(?=[ _-]?\d)",
    r"(?-i:\bDEP\b)",
)
_DENIED = r"(?P<denied>\b(?:no|not|without|w/o|disabled?)[ _-]+)?"
_VALUE = r"(?:[ _-]*size)?(?:\s*(?:[=: _-]|over)?\s*(?P<value>\d+|true|false|on|off|yes|no|none|enabled|disabled)\b)?"
_TOLD = re.compile(f"{_DENIED}(?:{'|'.join(_NAMES)}){_VALUE}", re.IGNORECASE)
_LEFT_OUT = re.compile(r"[^.;]*\b(?:left out|excluded|omitted|skipped)\b[^.;]*", re.IGNORECASE)
"""A clause that tells of what a row is not."""
_SIZE = r"(?<![a-z])(?:dp|data[ _-]parallel)(?:[ _-]size)?[ =]*(?P<value>\d+)"
_GROUPS = re.compile(_SIZE, re.IGNORECASE)
_ENGINES = re.compile(rf"{_SIZE}[ +,/x-]+.*(?<![a-z])(?:ep\d*|expert[ _-]parallel)\b", re.IGNORECASE)
"""vLLM's own words: engines in data parallel that share the experts."""
_OFF = frozenset({"false", "off", "no", "none", "disabled", "0", "1"})


def groups_told(text: str) -> int | None:
    """Over how many groups a text says that attention goes in data parallel (`DEP8`, `attention DP`, `dp_attention=4`, `ADP`); 1 where it
    says that it does not, `NO_NUMBER` where it tells no number, None where it says nothing of it."""
    seen = _LEFT_OUT.sub(" ", plain(text))
    found = _TOLD.search(seen)
    if found is None:
        engines = _ENGINES.search(seen)
        return max(int(engines["value"]), 1) if engines else None
    value = (found["value"] or "").lower()
    if found["denied"] or value in _OFF:
        return 1
    groups = value if value.isdecimal() else _beside(seen)
    return int(groups) if groups else NO_NUMBER


def _beside(text: str) -> str:
    """The size of data parallelism that stands beside the words (`--dp-size 4 --enable-dp-attention`)."""
    found = _GROUPS.search(text)
    return found["value"] if found else ""
