"""Edge: searches that know nothing of each other, side by side on the cores that this process may use.

What they find does not depend on how many these are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from hetops.solver.patience import cancelling

Of = TypeVar("Of")
Found = TypeVar("Found")


def side_by_side(search: Callable[[Of], Found], of: Sequence[Of]) -> list[Found]:
    """What `search` finds of each, in their order.

    Raises:
        KeyboardInterrupt: Ctrl-C; searches that have begun are cancelled and waited for, no other begins.
    """
    workers = min(_cores(), len(of))
    if workers <= 1:
        return [search(one) for one in of]
    pool = ThreadPoolExecutor(workers)
    try:
        return list(pool.map(search, of))
    except KeyboardInterrupt:
        with cancelling():
            pool.shutdown(cancel_futures=True)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def each_of(seconds: float, searches: int) -> float:
    """Seconds for each of so many searches that share some: those that go side by side have them at the same time."""
    return seconds / max(searches, 1) * max(min(_cores(), searches), 1)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1
