"""
Token buckets: how much of something may happen.

Knows numbers and no clock: it is told the time.
"""

from __future__ import annotations

import attrs


@attrs.define(eq=False)
class Bucket:
    """
    Tokens of which there is one more after each interval.

    @ivar _interval: that, in seconds.
    @ivar _burst: the most there are.
    """

    _interval: float
    _burst: int
    _tokens: float = attrs.field(init=False)
    _at: float = 0.0

    def __attrs_post_init__(self) -> None:
        """
        It is full.
        """
        self._tokens = float(self._burst)

    def take(self, now: float) -> bool:
        """
        Take one.

        @param now: in seconds; it never falls.
        @return: whether there was one.
        """
        tokens = self._tokens + (now - self._at) / self._interval
        self._at = now
        self._tokens = min(tokens, float(self._burst))
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def giveBack(self) -> None:
        """
        One was taken for nothing.
        """
        self._tokens = min(self._tokens + 1, float(self._burst))


@attrs.define(eq=False)
class Buckets:
    """
    One bucket for everybody, up to a limit: past that, whoever came first is
    forgotten.
    """

    _interval: float
    _burst: int
    _limit: int
    _buckets: dict[object, Bucket] = attrs.field(factory=dict)

    def of(self, somebody: object) -> Bucket:
        """
        @return: his.
        """
        bucket = self._buckets.get(somebody)
        if bucket is None:
            if len(self._buckets) >= self._limit:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[somebody] = Bucket(self._interval, self._burst)
        return bucket
