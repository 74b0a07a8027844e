"""
How a measurement is to be made: what all of them are given.
"""

from __future__ import annotations

import sys
import time

import attrs

from benchmarks.ours import PushProx
from benchmarks.programs import Cores


@attrs.frozen
class Effort:
    """
    How much to do.

    @ivar pairs: how often to measure ours and HAProxy, in turn.
    @ivar seconds: how long one of them is to last, about.
    @ivar sizes: of bodies that are scraped, in bytes.
    @ivar atOnce: how many scrapes there are at once.
    @ivar clients: how many clients wait at the proxy.
    @ivar handshakes: how many to measure.
    @ivar bigBody: of the bodies that go to slow readers, in bytes.
    """

    pairs: int
    seconds: float
    sizes: tuple[int, ...]
    atOnce: tuple[int, ...]
    clients: int
    handshakes: int
    bigBody: int


#: For numbers to be shown.
FULL = Effort(
    pairs=5,
    seconds=1.0,
    sizes=(10_000, 200_000, 2_000_000),
    atOnce=(16, 200),
    clients=5000,
    handshakes=400,
    bigBody=100_000_000,
)

#: For a first look.
QUICK = Effort(
    pairs=3,
    seconds=0.3,
    sizes=(10_000, 200_000, 2_000_000),
    atOnce=(16,),
    clients=1000,
    handshakes=100,
    bigBody=20_000_000,
)

#: To see that everything works: the numbers say nothing.
SMOKE = Effort(
    pairs=1,
    seconds=0.01,
    sizes=(10_000,),
    atOnce=(4,),
    clients=50,
    handshakes=10,
    bigBody=1_000_000,
)


@attrs.frozen
class Setting:
    """
    @ivar pushProx: what to measure.
    @ivar cores: where.
    """

    pushProx: PushProx
    cores: Cores
    effort: Effort

    def say(self, text: str) -> None:
        """
        Tell who waits how far we are.
        """
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
