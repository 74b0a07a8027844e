"""
C{POST /poll}: a client asks for work, and waits until there is some.
"""

from __future__ import annotations

import re

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from pushprox.names import canonicalName, nameFromText, remembered
from pushprox.proxy.admission import OPEN, Admission, Forbidden
from pushprox.proxy.coordinator import Coordinator
from pushprox.proxy.doors import Door, Refused, bodyOf
from pushprox.proxy.instruction import Instruction
from pushprox.proxy.refusals import Revoked, Superseded
from pushprox.proxy.registration import Poll
from pushprox.request import Request

_WAIT = re.compile(rb"(?:.*,)?\s*wait\s*=\s*([0-9]{1,6})\s*(?:[,;].*)?", re.IGNORECASE)

_TEXT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"


class PollDoor(Door):
    """
    Where clients poll.
    """

    methods = (b"POST",)

    def __init__(
        self, coordinator: Coordinator, nameLimit: int, admission: Admission = OPEN
    ) -> None:
        """
        @param nameLimit: bytes of a client's name.
        @param admission: who may poll as whom.
        """
        super().__init__(admission)
        self._coordinator = coordinator
        self._nameLimit = nameLimit
        self._limit = b"%d" % coordinator.rules.pollsPerInstance

    def open(self, request: Request) -> None:
        """
        Park the poll; its reply is a whole request for the client to do.
        """
        try:
            poll = self._read(request)
            waiting = self._coordinator.poll(poll)
        except Exception:
            request.setHeader(b"Pushprox-Max-Polls", self._limit)
            raise
        request.forget()
        request.whenLost = waiting.cancel
        waiting.addCallbacks(
            self._answered,
            self._failed,
            callbackArgs=(request, poll.wait),
            errbackArgs=(request, poll.name),
        )

    def _read(self, request: Request) -> Poll:
        """
        @return: what the client says.
        @raise Refused: if it says no name.
        @raise Forbidden: if it may not poll as this one.
        """
        given = request.head.named
        try:
            spelling, name = readName(bodyOf(request), self._nameLimit)
        except ValueError as error:
            raise Refused(400, "Bad Request", str(error)) from None
        prefer = given.get(b"prefer")
        access = self._admission.accessOf(request)
        if not access.mayPoll(name):
            raise Forbidden(f"Not allowed to poll as {name}")
        preference = _WAIT.fullmatch(prefer) if prefer else None
        instance = given.get(b"pushprox-instance")
        taken = given.get(b"pushprox-taken", b"")
        return Poll(
            name=name,
            spelling=spelling,
            line=request.channel,
            instance=instance[:64] if instance else None,
            taken=listedIds(taken) if instance else None,
            wait=max(1.0, float(preference[1])) if preference else None,
            identity=access.identity,
            mayStay=self._admission.mayStay(request, lambda now: now.mayPoll(name)),
        )

    def _answered(
        self, instruction: Instruction | None, request: Request, wait: float | None
    ) -> None:
        """
        Give the client a scrape, or the word that there is none.
        """
        try:
            self._give(instruction, request, wait)
        except Exception:
            self.refuse(request, Failure())

    def _give(
        self, instruction: Instruction | None, request: Request, wait: float | None
    ) -> None:
        lines = b"%bPushprox-Max-Polls: %b\r\n" % (request.site.signature, self._limit)
        if wait is not None:
            lines += b"Preference-Applied: wait=%d\r\n" % wait
        if instruction is None:
            request.reply(204, b"No Content", lines)
            return
        body = instruction.toBytes()
        lines += _TEXT % len(body)
        request.reply(200, b"OK", lines, body)

    def _failed(self, failure: Failure, request: Request, name: str) -> None:
        """
        Tell the client why its poll cannot be parked any more.
        """
        if failure.check(CancelledError):
            return  # nobody is there to be told
        request.setHeader(b"Pushprox-Max-Polls", self._limit)
        if failure.check(Revoked):
            failure = Failure(Forbidden(f"Not allowed to poll as {name} any more"))
        if failure.check(Superseded):
            # To the letter what the reference says; its logs are searched for.
            failure = Failure(
                Refused(
                    408,
                    "Request Timeout",
                    "Error WaitForScrapeInstruction: request is expired",
                )
            )
        self.refuse(request, failure)


@remembered
def readName(text: bytes, nameLimit: int) -> tuple[str, str]:
    """
    @return: the name of a client as it spells it, and normalised.
    @raise ValueError: if it is none; says why.
    """
    spelling = nameFromText(text, nameLimit)
    return spelling, canonicalName(spelling)


def listedIds(value: bytes) -> frozenset[bytes]:
    """
    The ids in a C{Pushprox-Taken} header.
    """
    return frozenset([id.strip() for id in value.split(b",")])
