"""
The bodies that targets have to say, and whether they arrive as they were sent.
"""

from __future__ import annotations

import random
from functools import lru_cache

import attrs

from benchmarks.lines import Piece
from benchmarks.programs import Unmeasurable

#: Bytes of a body that tell whose it is; the rest is the same for all.
_MARK = 16

#: Bytes in one chunk of a target's body.
_CHUNK = 32 * 1024


@lru_cache(maxsize=2)
def bodyOf(size: int) -> bytes:
    """
    @return: so many bytes, no stretch of which looks like another.
    """
    return random.Random(size).randbytes(size)


@attrs.frozen
class Body:
    """
    What the targets have to say. Each has a body of its own, of this size; it
    differs in its first bytes.

    @ivar isChunked: whether the target sends it in chunks of 32 KB; else it
        tells its length.
    """

    size: int
    isChunked: bool = False

    def mark(self, target: bytes) -> bytes:
        """
        @return: the first bytes of a target's body.
        """
        return target.ljust(_MARK, b".")[: min(_MARK, self.size)]

    @property
    def framing(self) -> bytes:
        """
        The header that says where it ends.
        """
        if self.isChunked:
            return b"Transfer-Encoding: chunked\r\n"
        return b"Content-Length: %d\r\n" % self.size

    def compare(self, target: bytes, piece: memoryview, position: int) -> int:
        """
        Compare a piece of what came with what was sent.

        @param position: where in the body it belongs.
        @return: where the next piece belongs.
        @raise Unmeasurable: if it is something else.
        """
        end = position + len(piece)
        mark = self.mark(target)
        if position < len(mark):
            marked = piece[: len(mark) - position]
            if not mark.startswith(marked, position):
                raise Unmeasurable("a body came from another target")
            position += len(marked)
            piece = piece[len(marked) :]
        if not bodyOf(self.size).startswith(piece, position):
            raise Unmeasurable("a body is not the one that was sent")
        return end

    def seeWhole(self, position: int) -> None:
        """
        @param position: where a body ended.
        @raise Unmeasurable: if that is not where it ends.
        """
        if position != self.size:
            raise Unmeasurable(f"a body of {self.size} bytes came with {position}")

    def pieces(self, target: bytes) -> list[Piece]:
        """
        @return: the body as it travels.
        """
        mark = self.mark(target)
        if not self.isChunked:
            return [mark, memoryview(bodyOf(self.size))[len(mark) :]]
        start, rest = _chunks(self.size, len(mark))
        return [start, mark, rest]


@lru_cache(maxsize=2)
def _chunks(size: int, mark: int) -> tuple[bytes, bytes]:
    """
    @return: a chunked body before and after its mark.
    """
    body = bodyOf(size)
    chunks = [body[start : start + _CHUNK] for start in range(0, size, _CHUNK)]
    text = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    text += b"0\r\n\r\n"
    start = text.index(b"\r\n") + 2
    return text[:start], text[start + mark :]
