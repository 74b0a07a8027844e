"""
All the open lines of a program: how many there may be, and who has to leave when
there are too many.

Knows how many, and from where. What a line is at is for L{pushprox.channel} to
know.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import nsmallest
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from pushprox.limits import Limits
from pushprox.sources import networkOf, peerOf

if TYPE_CHECKING:
    from pushprox.channel import Line

#: Why lines are closed that did nothing wrong but be too many, take too long, or
#: agree with us on no TLS, in one word each.
CLOSED = ("address", "displaced", "full", "overrun", "silent", "stuck", "tls")

#: The part of all lines that is closed at once when there are too many: to look
#: through them for each newcomer would be what an attacker wants.
PART = 100

#: Where all are busy, how long until they are looked through again, in seconds.
PAUSE = 1.0


class Crowd:
    """
    The lines of all sites of a program.

    @ivar _perSource: how many there are of each address, where that is limited.
    @ivar _busyUntil: until when nobody is looked for who could leave.
    """

    def __init__(
        self,
        clock: IReactorTime,
        limits: Limits,
        closed: Callable[[str], None] = lambda why: None,
    ) -> None:
        """
        @param closed: called with one of L{CLOSED} for each that is closed or not
            let in.
        """
        self.closed = closed
        self._clock = clock
        self._limits = limits
        self._places: list[set[Line]] = []
        self._perSource: dict[str, int] = {}
        self._busyUntil = 0.0

    def place(self) -> set[Line]:
        """
        @return: where one more site is to keep its lines.
        """
        place: set[Line] = set()
        self._places.append(place)
        return place

    def admits(self, address: object) -> bool:
        """
        Make room for one more, if need be.

        @param address: where it comes from, as Twisted has it.
        @return: whether it may come.
        """
        limits = self._limits
        source = self._sourceOf(address)
        if source and self._perSource.get(source, 0) >= limits.connectionsPerAddress:
            self.closed("address")
            return False
        if self._isFull() and not self._makeRoom():
            self.closed("full")
            return False
        return True

    def joined(self, line: Line) -> None:
        """
        A line is open.
        """
        source = self._sourceOf(line.getPeer())
        if source:
            self._perSource[source] = self._perSource.get(source, 0) + 1

    def left(self, line: Line) -> None:
        """
        It is closed.
        """
        source = self._sourceOf(line.getPeer())
        if source:
            self._perSource[source] -= 1
            if not self._perSource[source]:
                del self._perSource[source]

    def _sourceOf(self, address: object) -> str:
        """
        @return: as what an address counts; nothing where nobody counts, and for
            those of this machine who use no address.
        """
        if not self._limits.connectionsPerAddress:
            return ""
        source = peerOf(address)
        return "" if source is None else networkOf(source)

    @property
    def count(self) -> int:
        """
        How many there are.
        """
        return sum(map(len, self._places))

    def _isFull(self) -> bool:
        return self.count >= self._limits.connections

    def _makeRoom(self) -> bool:
        """
        Close those whom nobody would miss, and of these the ones whose time would
        be over soonest: who opens a connection and says nothing goes before who
        keeps one between two scrapes.

        @return: whether there is room now.
        """
        now = self._clock.seconds()
        if now < self._busyUntil:
            return False
        spare = [line for place in self._places for line in place if line.isSpare]
        wanted = max(1, self._limits.connections // PART)
        if len(spare) < wanted:
            self._busyUntil = now + PAUSE
        for line in nsmallest(wanted, spare, key=lambda line: line.due or now):
            # It counts no more, though it ends when the reactor comes to it.
            line.site.lines.discard(line)
            self.closed("displaced")
            line.abort()
        return not self._isFull()
