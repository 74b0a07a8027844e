"""
What the three doors to the coordinator have in common: which methods they open
for, and how it looks on the wire when they stay shut.

The reason phrase of a scrape that failed is written to be read by a person:
Prometheus shows its user nothing else.
"""

from __future__ import annotations

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from pushprox.proxy.admission import OPEN, Admission, Forbidden
from pushprox.proxy.refusals import Full, Stopping
from pushprox.request import Request


class Refused(Exception):
    """
    Ends the work on a request with a status and its reason. Raised where a
    request cannot be served.

    @ivar breaks: whether the reply is to break off as well, so that it also
        fails for who looks at no status, such as curl.
    """

    def __init__(
        self, status: int, reason: str, text: str | None = None, breaks: bool = False
    ) -> None:
        super().__init__(reason)
        self.breaks = breaks
        self.status = status
        self.reason = reason
        self.text = text or reason


class Door(Resource):
    """
    A resource that begins something when it is asked, and is done later.
    """

    isLeaf = True
    methods: tuple[bytes, ...] = ()
    _log = Logger()

    def __init__(self, admission: Admission = OPEN) -> None:
        """
        @param admission: who may do what.
        """
        super().__init__()
        self._admission = admission

    def render(self, request: Request) -> int:
        """
        Begin.
        """
        try:
            if self.methods and request.method not in self.methods:
                request.setHeader(b"Allow", b", ".join(self.methods))
                raise Refused(405, "Method Not Allowed")
            self.open(request)
        except Exception:
            self.refuse(request, Failure())
        return NOT_DONE_YET

    def open(self, request: Request) -> None:
        """
        Begin what the door is there for.

        @raise Refused: if that cannot be.
        @raise Forbidden: if who asks may not have it.
        @raise Full: if a limit is reached.
        @raise Stopping: if it is too late.
        """
        raise NotImplementedError  # pragma: no cover

    def refuse(self, request: Request, failure: Failure) -> None:
        """
        Answer with what went wrong.
        """
        error = failure.value
        match error:
            case Refused():
                writeText(request, error.status, error.reason, error.text, error.breaks)
            case Full():
                writeText(
                    request, 503, f"The proxy is full: {error.limit} {error.what}"
                )
            case Forbidden():
                self._admission.refuse(request, str(error)).render(request)
                return
            case Stopping():
                writeText(request, 503, "The proxy is stopping")
            case _:
                self._log.failure("A request failed in the proxy", failure)
                if request.startedWriting:
                    # What was said cannot be unsaid, nor may it look whole.
                    request.breakOff()
                    return
                writeText(request, 500, "The proxy failed; its log says more")
        request.finish()


def writeText(
    request: server.Request,
    status: int,
    reason: str,
    text: str | None = None,
    breaks: bool = False,
) -> None:
    """
    Answer with a line of text.

    @param breaks: close the connection a byte short of what was announced.
    """
    body = f"{text or reason}\n".encode()
    request.setResponseCode(status, reason.encode("ascii", "replace"))
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"X-Content-Type-Options", b"nosniff")
    request.setHeader(b"Content-Length", b"%d" % (len(body) + breaks))
    request.write(body)
    if breaks:
        request.loseConnection()


def bodyOf(request: Request) -> bytes:
    """
    The whole body of a request.
    """
    assert request.content is not None
    body: bytes = request.content.read()
    return body
