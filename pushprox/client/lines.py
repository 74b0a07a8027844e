"""
The connections of one kind: which can be taken, and which rest.

Knows: how many may rest, and for how long. Does not know: where they lead, what
they carry (L{pushprox.client.exchange} does).
"""

from __future__ import annotations

from collections.abc import Hashable

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import connectProtocol
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.web.iweb import IBodyProducer

from pushprox.client.answer import Receiver
from pushprox.client.exchange import Line

#: How long a connection may rest, in seconds: less than servers, and what may
#: stand before them, keep theirs.
IDLE_TIMEOUT = 50.0


@attrs.define(eq=False)
class Lines:
    """
    Connections to anywhere, and the rest of those that carry nothing.

    @ivar clock: for their timeouts.
    @ivar maxIdle: connections to one place that may rest.
    @ivar _lines: by where they lead, the oldest first.
    @ivar _closed: fires when none is left, after L{close}.
    """

    clock: IReactorTime
    maxIdle: int
    _lines: dict[Hashable, list[Line]] = attrs.field(factory=dict, init=False)
    _closed: Deferred[None] | None = attrs.field(default=None, init=False)
    _mayRest: bool = attrs.field(default=True, init=False)

    def resting(self, to: Hashable) -> Line | None:
        """
        @return: one that can be taken; the newest, since it may be the only one
            that is needed.
        """
        for line in reversed(self._lines.get(to, ())):
            if line.idle:
                return line
        return None

    def connect(self, to: Hashable, endpoint: IStreamClientEndpoint) -> Deferred[Line]:
        """
        @param to: what L{resting} finds it by.
        @return: fires with a new one; fails as the endpoint does.
        """

        def connected(line: Line) -> Line:
            self._lines.setdefault(to, []).append(line)
            return line

        line = Line(self.clock, self._forget, to)
        connecting: Deferred[Line] = connectProtocol(endpoint, line)
        return connecting.addCallback(connected)

    def exchange(
        self,
        line: Line,
        method: bytes,
        request: bytes,
        receiver: Receiver,
        body: IBodyProducer | None = None,
    ) -> Deferred[None]:
        """
        L{Line.exchange}; when it has succeeded, the line is at rest, or leaves.
        """

        def release(_: None) -> None:
            others = sum([each.idle for each in self._lines.get(line.to, ())])
            if self._mayRest and others < self.maxIdle:
                line.rest(IDLE_TIMEOUT)
            else:
                line.leave()

        return line.exchange(method, request, receiver, body).addCallback(release)

    def _forget(self, line: Line) -> None:
        lines = self._lines[line.to]
        lines.remove(line)
        if not lines:
            del self._lines[line.to]
            self._checkClosed()

    def closeResting(self) -> None:
        """
        Close those that carry nothing.
        """
        for lines in self._lines.values():
            for line in lines:
                if line.idle:
                    line.leave()

    def letNoneRest(self) -> None:
        """
        From now on, close those that carry nothing.
        """
        self._mayRest = False
        self.closeResting()

    def close(self) -> Deferred[None]:
        """
        Let none rest any more.

        @return: fires when none is left.
        """
        self.letNoneRest()
        if not self._lines:
            return succeed(None)
        self._closed = Deferred()
        return self._closed

    def _checkClosed(self) -> None:
        if self._closed is not None and not self._lines:
            closed, self._closed = self._closed, None
            closed.callback(None)
