"""
Who may do what, as doors and pages ask for it.

Here everybody may do everything; L{pushprox.proxy.gate} is for those who say
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.web.resource import IResource

from pushprox.proxy.access import EVERYTHING, Access
from pushprox.request import Request


class Forbidden(Exception):
    """
    Somebody asks for what he may not have. The text is what he is told.
    """


class Admission:
    """
    What anybody may do, where everybody may do everything.
    """

    def accessOf(self, request: Request) -> Access:
        """
        @return: what the one who sent this request may do.
        """
        return EVERYTHING

    def mayStay(
        self, request: Request, may: Callable[[Access], bool]
    ) -> Callable[[], bool] | None:
        """
        @param may: whether an access is enough for what the request is about.
        @return: tells at any time whether that of who sent this request still is;
            L{None} if that cannot change.
        """
        return None

    def refuse(self, request: Request, reason: str) -> IResource:
        """
        @return: tells who sent this request that he may not have it.
        """
        raise NotImplementedError  # pragma: no cover

    def noteForeign(self, request: Request) -> None:
        """
        Somebody brought an answer to a scrape that was given to another.
        """


OPEN = Admission()
