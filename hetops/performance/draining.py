"""The end of a benchmark: no request comes after those that run, and the longest answers run nearly alone. Pure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from hetops.performance.physics import Floats

_LONGEST, _LONGEST_TOKENS = 5.0, 1000.0
"""The longest answer of a conversation over the mean, at most: those of ShareGPT have 200 tokens on average, and clients send none that were
to have more than some 1,000, so that where the mean is longer all are."""
_LAST = 0.5
"""From where the sum over those that are left is an integral: the last one runs alone."""
_PARTS = 16


def drained(running: Floats, output_tokens: Floats, completed: Callable[[Floats], Floats]) -> Floats:
    """Seconds until all that run are answered.

    Lengths are as unequal as those of conversations, exponential up to the longest: while n are left one ends every 1 / completed(n)
    seconds, and those that are left of the longest, one in e^5 where that is five times the mean, end together.

    Args:
        running: of each replica, requests that run as the last one has come.
        output_tokens: of each replica's, their mean.
        completed: requests a second of each replica with so many in flight, at least one.
    """
    longest = np.clip(_LONGEST_TOKENS / output_tokens, 1.0, _LONGEST)
    last = np.minimum(np.maximum(running * np.exp(-longest), _LAST), running)
    seconds = np.zeros_like(running)
    for low, high in pairwise(np.linspace(0.0, 1.0, _PARTS + 1)):
        least, left, most = (last * (running / last) ** part for part in (low, (low + high) / 2.0, high))
        at_work = np.maximum(left, 1.0)
        seconds += (most - least) / left * at_work / completed(at_work)
    return seconds
