"""
What a site lets its connections take.

Values and nothing else: who keeps whom to them is L{pushprox.channel} for one
connection, and L{pushprox.crowd} for all of them.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Limits:
    """
    Times in seconds, sizes in bytes.

    @ivar idle: without a request. Longer than clients of the reference (90 s)
        and load balancers (60 s) keep theirs: who closes first must be the
        other side, or a push may go into a line that is just being closed.
    @ivar head: from the first byte of a head to its last; of the first on a
        connection from the beginning of that, so that a handshake of TLS is part
        of it. As long has what tells whose a body is that is read as it comes.
    @ivar body: for all of a body that its resource wants whole; between two
        pieces of one that somebody waits for.
    @ivar linger: for how long what still comes is read after a refusal, so
        that the refusal is not lost to a reset.
    @ivar headSize: of a request's line and fields.
    @ivar bodySize: of a body that its resource wants whole, such as a scrape's
        own, which travels in the reply to a poll; L{None} for any.
    @ivar pipelined: how many requests may wait behind the one being answered.
    @ivar requests: of one connection, which is closed after the last; 0 for any
        number.
    @ivar connections: in all.
    @ivar connectionsPerAddress: of one address, or one network of IPv6; 0 for any
        number, since all who are behind one router have one address.
    """

    idle: float = 180.0
    head: float = 20.0
    body: float = 60.0
    linger: float = 5.0
    headSize: int = 64 * 1024
    bodySize: int | None = 8 * 1024 * 1024
    pipelined: int = 100
    requests: int = 0
    connections: int = 30000
    connectionsPerAddress: int = 0
