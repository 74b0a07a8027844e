"""
C{/-/reload}, by which Prometheus's programs are told to read their files again.

Knows how that is asked for and answered; not what is read.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.web.server import NOT_DONE_YET

from pushprox.request import Request, StreamingResource


class Reload(StreamingResource):
    """
    Reads again what C{--web.config.file} names. A body is not waited for.
    """

    isLeaf = True

    def __init__(self, reload: Callable[[], object] | None) -> None:
        """
        @param reload: reads it, or raises L{ValueError} with what is wrong in one
            line; L{None} where nobody may ask for that.
        """
        super().__init__()
        self._reload = reload

    def render(self, request: Request) -> int:
        """
        Read, and tell what came of it, with the statuses of Prometheus.
        """
        status, reason, more, text = self._answer(request.method)
        body = text.encode("utf-8")
        lines = (
            b"%b%bContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
        ) % (request.site.signature, more, len(body))
        if request.method == b"HEAD":
            body = b""
        request.reply(status, reason, lines, body)
        return NOT_DONE_YET

    def _answer(self, method: bytes) -> tuple[int, bytes, bytes, str]:
        """
        @return: the status, its reason, more lines of the head, and the text.
        """
        if method not in (b"POST", b"PUT"):
            text = "Only POST or PUT requests allowed\n"
            return 405, b"Method Not Allowed", b"Allow: POST, PUT\r\n", text
        if self._reload is None:
            text = "Not without the flag --web.enable-lifecycle\n"
            return 403, b"Forbidden", b"", text
        try:
            self._reload()
        except ValueError as error:
            return 500, b"Internal Server Error", b"", f"failed to reload: {error}\n"
        return 200, b"OK", b"", ""
