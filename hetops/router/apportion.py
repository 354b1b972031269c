"""Decides whose turn it is, so that turns keep to given shares at every moment. Pure; no chance is involved.

After any number of turns the count of each pool differs from its share of them by at most 1 - 1/(2n - 2), n the number of
pools with a share: by half a request for two pools, by less than one for any number. Between two moments it can so differ
by at most twice that: one request for two pools, less than two for more (for three and more, no order keeps to one).

R. Tijdeman, The chairman assignment problem, Discrete Mathematics 32 (1980): among those whose credit is at least
1/(2n - 2), the one who would be the first to have too much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


class Apportionment:
    """The turns of one workload class. Credit is what a pool's share has earned it beyond the turns that it had."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        """Shares may add up to anything above zero; those of zero never have a turn."""
        total = sum(shares.values())
        self._shares = {pool: share / total for pool, share in shares.items() if share > 0}
        self._credit = dict.fromkeys(self._shares, 0.0)
        self._slack = 1.0 / (2 * len(self._shares) - 2) if len(self._shares) > 1 else 0.0

    def next(self, able: Callable[[str], bool]) -> str | None:
        """The pool whose turn it is among those that are able; None where none with a share is.

        A pool that is not able earns nothing meanwhile, so nothing is made up for when it is back.
        """
        shares = {pool: share for pool, share in self._shares.items() if able(pool)}
        total = sum(shares.values())
        if not shares:
            return None
        credit = self._credit
        for pool, share in shares.items():
            credit[pool] += share / total
        # A trillionth of a request: what rounding may do to a credit that is exactly at the limit.
        ripe = [pool for pool in shares if credit[pool] >= self._slack - 1e-12] or list(shares)
        chosen = min(ripe, key=lambda pool: (1.0 - self._slack - credit[pool]) / shares[pool])
        credit[chosen] -= 1.0
        return chosen
