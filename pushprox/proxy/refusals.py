"""
Why a scrape, a poll or a push cannot be served, as the coordinator tells it.

Values and nothing else: which status and which words each becomes on the wire
is decided at the L{doors<pushprox.proxy.doors>}.
"""

from __future__ import annotations

import attrs


class ScrapeFailed(Exception):
    """
    A scrape got no answer; the subclass says why.
    """


@attrs.frozen
class UnknownName(ScrapeFailed):
    """
    No client polls, or polled lately, under this name.
    """

    name: str


@attrs.frozen
class NotTaken(ScrapeFailed):
    """
    The deadline passed before a poll could take the scrape.

    @ivar silence: for how long no poll of the name was seen, in seconds; 0.0
        while one is parked.
    """

    name: str
    silence: float


@attrs.frozen
class NotAnswered(ScrapeFailed):
    """
    A client took the scrape and did not answer before the deadline.

    @ivar waited: how long the scrape waited in all, in seconds.
    """

    name: str
    waited: float


@attrs.frozen
class BrokenAnswer(ScrapeFailed):
    """
    The client's answer broke off or made no sense.

    @ivar reason: what the client said of it, if it knew.
    @ivar detail: what is wrong with what came.
    """

    name: str
    reason: str | None
    detail: str


@attrs.frozen
class Full(Exception):
    """
    A limit is reached; what was asked for would pass it.
    """

    what: str
    limit: int


class Stopping(Exception):
    """
    The proxy is on its way down and takes nothing new.
    """


class Superseded(Exception):
    """
    A newer poll of the same instance took the place of this one.
    """


class Revoked(Exception):
    """
    Who polled or scraped may do so no more.
    """


class UnknownScrape(Exception):
    """
    Nobody waits for an answer with this id: it was never given out, or is
    answered, late or given up.
    """


class ForeignScrape(UnknownScrape):
    """
    The scrape with this id was given to somebody else.
    """
