"""How often an address or a key may ask; counted in the memory of each server process."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.rest.options import for_keys

if TYPE_CHECKING:
    from api.keys import Key
    from api.rest.options import ServeOptions


@dataclass(frozen=True)
class Limited:
    """Whether a request is answered.

    Attributes
    ----------
    allowed : bool
    rule : str
        Such as ``600 per 1 minute``.
    seconds : int
        Until it is worth asking again.
    headers : list of (bytes, bytes)
        ``RateLimit-Limit``, ``RateLimit-Remaining``, ``RateLimit-Reset``.
    """

    allowed: bool
    rule: str = ""
    seconds: int = 0
    headers: list[tuple[bytes, bytes]] | None = None


_FREE = Limited(True)


class Limiter:
    """Counts requests; one process has its share of the limit.

    Parameters
    ----------
    options : ServeOptions
    """

    def __init__(self, options: ServeOptions) -> None:
        self._rules: dict[tuple[bool, bool], Any] = {}
        if options.rate_limit is None and options.compute_limit is None:
            return
        from limits.storage import MemoryStorage
        from limits.strategies import SlidingWindowCounterRateLimiter

        self._strategy = SlidingWindowCounterRateLimiter(MemoryStorage())
        for costly, limit in ((False, options.rate_limit), (True, options.compute_limit)):
            if limit is not None:
                self._rules[costly, False] = _share(limit, options.workers)
                self._rules[costly, True] = _share(limit if costly else for_keys(limit), options.workers)

    def hit(self, address: str, key: Key | None, needed: str) -> Limited:
        """Count a request."""
        if key is not None and "admin" in key.scopes:
            return _FREE
        costly = needed != "read"
        rule = self._rules.get((costly, key is not None))
        if rule is None:
            return _FREE
        who = ("key", key.id) if key is not None else ("address", address)
        names = (*who, "costly" if costly else "plain")
        allowed = self._strategy.hit(rule, *names)
        state = self._strategy.get_window_stats(rule, *names)
        seconds = max(1, math.ceil(state.reset_time - time.time()))
        headers = [
            (b"ratelimit-limit", b"%d" % rule.amount),
            (b"ratelimit-remaining", b"%d" % max(0, state.remaining)),
            (b"ratelimit-reset", b"%d" % seconds),
        ]
        return Limited(allowed, str(rule), seconds, headers)


def _share(limit: str, workers: int) -> Any:
    import limits

    parsed = limits.parse(limit)
    return type(parsed)(max(1, math.ceil(parsed.amount / workers)), parsed.multiples)
