"""
Who we are to the proxy: what an Authorization header says.

Knows: the two ways to say it, and the files that it may stand in. Does not know:
what the proxy makes of it.

No secret leaves this module in a repr, in the text of an error or in the log.
"""

from __future__ import annotations

import re
from base64 import b64encode

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pushprox.secrets import readLine
from pushprox.watched import Watch

# RFC 7617 section 2: neither has control characters, nor the user a colon.
_PAIR = re.compile(rb"[^\x00-\x1f\x7f:]+:[^\x00-\x1f\x7f]+")

# RFC 6750 section 2.1.
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")


def basic(line: bytes) -> bytes:
    """
    @param line: a user and his password.
    @return: what an Authorization header says of them.
    @raise ValueError: if it is something else.
    """
    if not _PAIR.fullmatch(line):
        raise ValueError("expected one line, user:password")
    return b"Basic " + b64encode(line)


def bearer(line: bytes) -> bytes:
    """
    @param line: a token.
    @return: what an Authorization header says of it.
    @raise ValueError: if it is something else.
    """
    if not _TOKEN.fullmatch(line):
        raise ValueError(
            "expected one line, a token of letters, digits and any of -._~+/"
        )
    return b"Bearer " + line


#: The flags that name a file with credentials, and how those are told.
FORMS = {"proxy.basic-auth-file": basic, "proxy.token-file": bearer}


@attrs.define(eq=False)
class Credentials:
    """
    What the proxy is told of who we are.

    @ivar flag: that they come from.
    """

    flag: str
    _authorization: bytes | None = attrs.field(repr=False)

    @property
    def authorization(self) -> bytes | None:
        """
        The value of an Authorization header, or L{None} for none.
        """
        return self._authorization

    def refused(self) -> None:
        """
        The proxy did not take them. There are no others.
        """

    def hiddenIn(self, said: str) -> str:
        """
        @param said: by a server, which may say back what it was told.
        @return: the same without the secret.
        """
        _, _, secret = (self._authorization or b"").decode("ascii").partition(" ")
        return said.replace(secret, "***") if secret else said


class CredentialsFile(Credentials):
    """
    Credentials in a file, which is read again when it changes. One that cannot
    be used does not take the place of what was read before.
    """

    _log = Logger()

    def __init__(self, flag: str, path: str, clock: IReactorTime) -> None:
        """
        @param flag: one of L{FORMS}.
        @raise ValueError: if the file cannot be used; it names the flag and the
            file, and tells what was expected.
        """
        self._path = path
        self._watch = Watch(clock)
        self._trouble = ""
        self.flag = flag
        super().__init__(flag, self._read())

    @property
    def authorization(self) -> bytes | None:
        """
        What is in force, which is not older than a second.
        """
        if self._watch.sawChange():
            self._readAgain()
        return self._authorization

    def refused(self) -> None:
        """
        The proxy did not take them: there may be others by now.
        """
        self._readAgain()

    def _read(self) -> bytes:
        self._watch.only(self._path)
        try:
            return FORMS[self.flag](readLine(self._path))
        except ValueError as error:
            raise ValueError(f"--{self.flag}: {self._path}: {error}") from None

    def _readAgain(self) -> None:
        before, trouble = self._authorization, ""
        try:
            self._authorization = self._read()
        except ValueError as error:
            trouble = str(error)
            if trouble != self._trouble:
                self._log.error(
                    "What was read before stays in force: {error}", error=trouble
                )
        else:
            if self._trouble or self._authorization != before:
                self._log.info("Read {path} again", path=self._path)
        self._trouble = trouble
