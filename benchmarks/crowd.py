"""
Clients by the thousand, in plain and over TLS: each connects, sends one request,
and then waits.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import ssl
from collections import deque
from collections.abc import Iterable

from benchmarks.loop import Loop
from benchmarks.programs import Unmeasurable

#: Files that are open beside the callers.
_OTHER_FILES = 100


def clientContext() -> ssl.SSLContext:
    """
    @return: TLS for callers. Whom they have reached they need not ask: the load
        has better to do.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def allowFiles(count: int) -> None:
    """
    Let this process have so many connections.

    @raise Unmeasurable: if it may not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count += _OTHER_FILES
    if hard < count:
        raise Unmeasurable(f"needs {count} open files, and may have {hard}: ulimit -n")
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


class Caller:
    """
    One connection of a L{Crowd}.

    @ivar request: what it sends.
    @ivar isReady: whether it has been sent.
    @ivar session: of its TLS, for another to resume.
    """

    session: ssl.SSLSession | None = None

    def __init__(self, crowd: Crowd, request: bytes) -> None:
        self._crowd = crowd
        self.request = request
        self.isReady = False
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = self._socket.connect_ex(("127.0.0.1", crowd.port))
        if number not in (0, errno.EINPROGRESS):
            self._socket.close()
            raise Unmeasurable(f"cannot connect: {os.strerror(number)}")
        crowd.loop.add(self)
        crowd.loop.watch(self, read=False, write=True)

    def fileno(self) -> int:
        """
        @return: the socket's.
        """
        return self._socket.fileno()

    def close(self) -> None:
        """
        Hang up.
        """
        self._crowd.loop.remove(self)
        self._socket.close()

    @property
    def isResumed(self) -> bool:
        """
        Whether the other side took the TLS session that was offered.
        """
        secure = self._socket
        return isinstance(secure, ssl.SSLSocket) and bool(secure.session_reused)

    def writable(self) -> None:
        """
        Get on with what there is to do.
        """
        self.readable()

    def readable(self) -> None:
        """
        Get on with what there is to do.
        """
        try:
            if self.isReady:
                self._read()
            else:
                self._getReady()
        except ssl.SSLWantReadError:
            self._crowd.loop.watch(self)
        except ssl.SSLWantWriteError:
            self._crowd.loop.watch(self, read=False, write=True)
        except OSError:
            self._end()

    def _getReady(self) -> None:
        if not isinstance(self._socket, ssl.SSLSocket):
            number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, os.strerror(number))
            if self._crowd.context is not None:
                self._wrap(self._crowd.context)
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.do_handshake()
        # It fits into the kernel's buffer, which is empty.
        self._socket.send(self.request)
        self.isReady = True
        self._crowd.loop.watch(self)
        self._crowd.sent(self)

    def _wrap(self, context: ssl.SSLContext) -> None:
        self._crowd.loop.remove(self)
        self._socket = context.wrap_socket(
            self._socket,
            server_hostname="localhost",
            do_handshake_on_connect=False,
            session=self._crowd.session,
        )
        self._crowd.loop.add(self)

    def _read(self) -> None:
        if not self._socket.recv(65536):
            self._end()
            return
        if isinstance(self._socket, ssl.SSLSocket):
            self.session = self._socket.session
        self._crowd.answered(self)

    def _end(self) -> None:
        self.close()
        self._crowd.lost(self)


class Crowd:
    """
    Many callers, of whom only so many connect at a time.

    @ivar loop: serves them.
    @ivar port: whom they call, at 127.0.0.1.
    @ivar context: for TLS, or L{None}.
    @ivar session: for them to resume, or L{None}.
    """

    def __init__(
        self,
        loop: Loop,
        port: int,
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
        atOnce: int = 48,
    ) -> None:
        """
        @param atOnce: how many may connect, or shake hands, at the same time.
        """
        self.loop = loop
        self.port = port
        self.context = context
        self.session = session
        self._free = atOnce
        self._requests: deque[bytes] = deque()

    def call(self, requests: Iterable[bytes]) -> None:
        """
        Let a caller call for each of the requests.
        """
        self._requests.extend(requests)
        self._callMore()

    def _callMore(self) -> None:
        while self._free and self._requests:
            self._free -= 1
            Caller(self, self._requests.popleft())

    def done(self) -> None:
        """
        One that was connecting is not any more.
        """
        self._free += 1
        self._callMore()

    def sent(self, caller: Caller) -> None:
        """
        It has connected, and its request is on its way.
        """

    def answered(self, caller: Caller) -> None:
        """
        Something of an answer has come.
        """

    def lost(self, caller: Caller) -> None:
        """
        The other side did not take the connection, or has closed it.

        @raise Unmeasurable: unless a subclass knows better.
        """
        raise Unmeasurable("a connection was not taken")


class Visitors(Crowd):
    """
    Those who call, hear the answer, and go.

    @ivar answers: how many were answered.
    @ivar resumed: how many of them had their TLS session resumed.
    @ivar latest: the TLS session of one of them.
    """

    answers = 0
    resumed = 0
    latest: ssl.SSLSession | None = None

    def answered(self, caller: Caller) -> None:
        """
        Go; the next may come.
        """
        self.answers += 1
        self.resumed += caller.isResumed
        self.latest = caller.session
        caller.close()
        self.done()


class Waiters(Crowd):
    """
    Those who stay. Who is thrown out waits outside.

    @ivar waiting: how many are there.
    @ivar outside: the requests of those who were thrown out.
    """

    waiting = 0

    def __init__(
        self, loop: Loop, port: int, context: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(loop, port, context)
        self.outside: list[bytes] = []

    def sent(self, caller: Caller) -> None:
        """
        Stay; the next may come.
        """
        self.waiting += 1
        self.done()

    def answered(self, caller: Caller) -> None:
        """
        @raise Unmeasurable: always; there is no answer to come.
        """
        raise Unmeasurable("a poll was answered, without a scrape for it")

    def lost(self, caller: Caller) -> None:
        """
        Wait outside.
        """
        if not caller.isReady:
            super().lost(caller)
        self.waiting -= 1
        self.outside.append(caller.request)
