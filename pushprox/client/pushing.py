"""
What is pushed: an answer of a target, or the news that there is none.

Knows: which headers are the client's, and how the end of an answer is marked so
that a break shows as a break. Does not know: who asks, connections, how it goes.

How it travels:

  - An answer that has come whole has a Content-Length, within the push and
    without, whatever the target did.
  - One that is still to come has its target's Content-Length, from which that of
    the push follows. Without one it comes in chunks, within the push and without.
  - A proxy of the reference takes a push that broke off for whole. Only within a
    length, the answer's, will the scraper see that something is missing. What
    has none L{mustBeHeld} until it is whole.
"""

from __future__ import annotations

from pushprox.client.arriving import Arriving
from pushprox.client.body import Passage
from pushprox.client.failures import ScrapeFailed
from pushprox.deadlines import TIMEOUT_HEADER, headerFromTimeout
from pushprox.framing import hasNoBody
from pushprox.headers import Headers, withoutAll
from pushprox.message import ResponseHead

#: The status by which a push in chunks may be refused (RFC 9112 section 6.3).
LENGTH_REQUIRED = 411

#: What it means that a push was refused, by the status of the reply. Between us
#: and the proxy may be others: nginx takes no more than 1 MB if it is not told to.
UNTAKEN = {
    400: "The proxy could not read the target's answer",
    LENGTH_REQUIRED: "A web server on the way to the proxy wanted to know the length of"
    " the target's answer",
    413: "A web server on the way to the proxy refused the target's answer",
}

#: Bytes of a body that may be held until it is whole.
MAX_HELD = 64 * 1024 * 1024

_mine = frozenset([b"id", TIMEOUT_HEADER.lower()])


def _marked(headers: Headers, id: bytes, remaining: float) -> Headers:
    """
    @return: the headers of a push for this scrape. The reference's proxy waits
        as long as the second one says.
    """
    marks = ((b"Id", id), (TIMEOUT_HEADER, headerFromTimeout(remaining)))
    return (*withoutAll(headers, _mine), *marks)


def mustBeHeld(answer: Arriving) -> bool:
    """
    @return: whether the reference could not tell the end of this answer from a
        break, were it pushed as it comes.
    """
    return answer.head.length is None and not answer.isOver


def pushOf(answer: Arriving, method: bytes, id: bytes, remaining: float) -> Passage:
    """
    @param method: of the request.
    @param remaining: the seconds for which somebody waits.
    @return: what carries an answer from now on.
    """
    head = answer.head
    length = answer.size if answer.whole else head.length
    told = length
    if hasNoBody(head.status, method):
        # It may tell the length of a body that it lacks (RFC 9110 section 8.6).
        length, told = 0, head.length
    isChunked = length is None
    headers = _marked(head.headers, id, remaining)
    pushed = ResponseHead(head.status, head.reason, headers, told, isChunked)
    return Passage(answer, pushed.toBytes(), length)


def refusalOf(error: ScrapeFailed, method: bytes, id: bytes, remaining: float) -> bytes:
    """
    What a scraper gets in place of its target's answer. Where that broke off,
    so does this, one byte before its end: not all look at the status.

    @param method: of its request: an answer to HEAD has no body.
    @param remaining: the seconds for which somebody waits.
    """
    body = f"{error}\n".encode("utf-8", "replace")
    headers = ((b"Content-Type", b"text/plain; charset=utf-8"),)
    marked = _marked(headers, id, remaining)
    head = ResponseHead(error.status, error.reason.encode("ascii"), marked, len(body))
    if method == b"HEAD":
        return head.toBytes()
    return head.toBytes() + (body[:-1] if error.brokeOff else body)


def tooLong(most: int) -> ScrapeFailed:
    """
    @return: the news of a body that would have to be held, and is over so many
        bytes.
    """
    size = f"{most / 2**20:g} MiB"
    return ScrapeFailed(
        502, f"Target's answer of over {size} has no length, which the proxy needs"
    )


def untaken(status: int | None, answer: Arriving) -> ScrapeFailed | None:
    """
    @param status: that a push of this answer was replied to with.
    @return: the news of that, where the scraper cannot have heard of it.
    """
    reason = UNTAKEN.get(status or 0)
    if reason is None:
        return None
    size = f"{answer.size} bytes"
    if not answer.whole:
        length = answer.head.length
        size = f"over {size}" if length is None else f"{length} bytes"
    return ScrapeFailed(502, f"{reason} ({size})")


def shown(text: str) -> str:
    """
    The beginning of a reply's body, in one line, for a log.
    """
    return "".join(c if c.isprintable() else " " for c in text[:200]).strip()
