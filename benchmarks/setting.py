"""
How a measurement is to be made: what all of them are given.
"""

from __future__ import annotations

import sys
import time

import attrs

from benchmarks.programs import Cores, PushProx


@attrs.frozen
class Setting:
    """
    @ivar pushProx: what to measure.
    @ivar cores: where.
    @ivar isQuick: whether to be content with less, for a first look: fewer
        pairs, fewer connections, smaller bodies.
    """

    pushProx: PushProx
    cores: Cores
    isQuick: bool = False

    @property
    def pairs(self) -> int:
        """
        How often to measure us and HAProxy, in turn.
        """
        return 3 if self.isQuick else 5

    @property
    def seconds(self) -> float:
        """
        How long a load is to last, about.
        """
        return 0.3 if self.isQuick else 1.0

    def say(self, text: str) -> None:
        """
        Tell who waits how far we are.
        """
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
