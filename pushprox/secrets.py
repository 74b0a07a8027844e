"""
Files with secrets in them.

Knows how one secret is read, and who may read it too. Does not know what it is
good for.

No secret leaves this module in the text of an error or in the log.
"""

from __future__ import annotations

import os
import stat
from codecs import BOM_UTF8
from contextlib import suppress

from twisted.logger import Logger

from pushprox.watched import openNow

#: The most that a secret takes, in bytes: the heads of requests commonly have
#: room for it.
MAX_SIZE = 8 * 1024

_log = Logger()


def readLine(path: str) -> bytes:
    """
    @return: what the one line of a file says; without the mark that editors on
        Windows put before it.
    @raise ValueError: if it cannot be read, or is too long to be one.
    """
    try:
        with openNow(path) as file:
            content = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise ValueError(f"expected a readable file: {error.strerror}") from None
    if len(content) > MAX_SIZE:
        raise ValueError(f"expected at most {MAX_SIZE} bytes")
    return content.removeprefix(BOM_UTF8).removesuffix(b"\n").removesuffix(b"\r")


def warnOfOpenFiles(*paths: str | None) -> None:
    """
    Tell the log of files that every user of this machine may read, though there
    may be a secret in them, or may exchange for another.

    @param paths: each once or more often, or L{None}. Of a link it is what it
        leads to that is read, and either that is exchanged.
    """
    for path in dict.fromkeys(paths):
        # Who cannot read a file says so elsewhere.
        with suppress(OSError):
            if path is not None:
                _warnOf(path, os.path.realpath(path))


def _warnOf(path: str, file: str) -> None:
    if os.stat(path).st_mode & stat.S_IROTH:
        _log.warn(
            "{path} may hold a secret, and every user of this machine can read it:"
            " chmod o-r {file}",
            path=path,
            file=file,
        )
    for folder in dict.fromkeys(map(os.path.dirname, (os.path.abspath(path), file))):
        mode = os.stat(folder).st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            _log.warn(
                "{path} may hold a secret, and every user of this machine can put"
                " another in its place: chmod o-w {folder}",
                path=path,
                folder=folder,
            )
