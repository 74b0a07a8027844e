"""
Which passwords are right, by their bcrypt hashes.

To compare a password with its hash takes long, on purpose. So that is done in
threads, few at a time, once for each password, and what came of it is kept.
Knows nothing of HTTP but how a header tells a user and a password.

No password is kept, nor anything by which one could be found: what stands for
it is a hash with a key that only this process has.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from os import urandom
from typing import Any

import attrs
import bcrypt
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

#: Comparisons at a time.
THREADS = 2

#: Comparisons that are made or wait for that.
QUEUED = 64

#: Passwords that are remembered as right, and as wrong.
KEPT = 1024

#: Bytes of a password that bcrypt looks at.
LOOKED_AT = 72

Work = Callable[[Callable[[], bool]], Deferred[bool]]


class Busy(Exception):
    """
    Too many passwords are to be compared already.
    """


def readBasic(header: bytes) -> tuple[bytes, bytes] | None:
    """
    @param header: an C{Authorization} or C{Proxy-Authorization}.
    @return: the user and the password (RFC 7617 section 2), if it tells any.
    """
    scheme, _, encoded = header.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, password = b64decode(encoded.strip(), validate=True).partition(
            b":"
        )
    except binascii.Error:
        return None
    return (user, password) if colon else None


def costOf(hashed: bytes) -> int:
    """
    @return: the cost of a hash: one more doubles the work.
    """
    return int(hashed[4:6])


def matches(password: bytes, hashed: bytes, cost: int = 0) -> bool:
    """
    @param cost: what it costs at least to find out that it is not.
    @return: whether it is the password of this hash. Takes long.
    """
    # Of a longer one the rest never counted, with whatever made the hash.
    password = password[:LOOKED_AT]
    isRight = bcrypt.checkpw(password, hashed)
    if not isRight:
        # As much again makes the next cost, and so on.
        for more in range(costOf(hashed), cost):
            bcrypt.hashpw(password, bcrypt.gensalt(more))
    return isRight


def hashOfNobody(users: Mapping[bytes, bytes]) -> bytes:
    """
    @return: what to compare the password of an unknown user with, so that it
        takes as long as with the dearest of these.
    """
    cost = max(map(costOf, users.values()), default=4)
    return bcrypt.gensalt(cost) + b"." * 31


@attrs.define(eq=False)
class _Comparison:
    """
    A password that is to be compared.

    @ivar isKnown: whether there is such a user at all.
    @ivar waiting: who wants to know.
    """

    seal: bytes
    users: Mapping[bytes, bytes] = attrs.field(repr=False)
    isKnown: bool
    compare: Callable[[], bool] = attrs.field(repr=False)
    waiting: dict[Deferred[None], None] = attrs.field(factory=dict)


class Passwords:
    """
    What is known of passwords.

    @ivar _users: whom it is about: with them it changes.
    @ivar _verdicts: what stands for right ones, and for wrong ones; the oldest
        first.
    @ivar _comparisons: those that are made, or wait for it.
    @ivar _queue: of these, those that wait.
    """

    def __init__(self, work: Work) -> None:
        """
        @param work: does something that takes long, elsewhere.
        """
        self._work = work
        self._key = urandom(32)
        self._users: Mapping[bytes, bytes] = {}
        self._nobody = b""
        # Not in one: who knows no password cannot push out those that are right.
        self._verdicts: dict[bool, dict[bytes, None]] = {True: {}, False: {}}
        self._comparisons: dict[bytes, _Comparison] = {}
        self._queue: deque[_Comparison] = deque()
        self._running = 0

    def _seal(self, header: bytes) -> bytes | None:
        said = readBasic(header)
        if said is None:
            return None
        user, password = said
        # By what is compared, or one right password in many spellings would
        # cost as many hashes, and make those of others be forgotten.
        compared = b"%b:%b" % (user, password[:LOOKED_AT])
        return blake2b(compared, digest_size=16, key=self._key).digest()

    def verdict(self, users: Mapping[bytes, bytes], header: bytes) -> bool | None:
        """
        @param users: the hashes of all; the same object as long as they are the
            same.
        @return: whether who sends this header is one of them; L{None} if that
            is still to be found out by L{compare}.
        """
        if users is not self._users:
            self._turnTo(users)
        seal = self._seal(header)
        if seal is None or seal in self._verdicts[False]:
            return False
        return True if seal in self._verdicts[True] else None

    def _turnTo(self, users: Mapping[bytes, bytes]) -> None:
        if users != self._users:
            self._verdicts = {True: {}, False: {}}
            self._comparisons.clear()
            self._nobody = hashOfNobody(users)
        self._users = users

    def isCompared(self, header: bytes) -> bool:
        """
        @return: whether this one is being compared already.
        """
        return self._seal(header) in self._comparisons

    def compare(self, header: bytes) -> Deferred[None]:
        """
        Find out about a header of which there is no L{verdict}.

        @return: fires when there is one. Cancel it to wait no longer.
        @raise Busy: if there is too much to do.
        """
        seal = self._seal(header)
        assert seal is not None
        comparison = self._comparisons.get(seal)
        if comparison is None:
            if len(self._queue) >= QUEUED:
                raise Busy
            comparison = self._comparisons[seal] = self._begin(seal, header)
            self._queue.append(comparison)
        told: Deferred[None] = Deferred(partial(self._left, comparison))
        comparison.waiting[told] = None
        self._next()
        return told

    def _left(self, comparison: _Comparison, told: Deferred[None]) -> None:
        """
        Somebody waits no longer.
        """
        comparison.waiting.pop(told, None)
        if not comparison.waiting and comparison in self._queue:
            self._queue.remove(comparison)
            self._forget(comparison)

    def _begin(self, seal: bytes, header: bytes) -> _Comparison:
        said = readBasic(header)
        assert said is not None
        user, password = said
        hashed = self._users.get(user)
        # Else who has a cheap hash would be told from who is not there.
        dearest = costOf(self._nobody)
        compare = partial(matches, password, hashed or self._nobody, dearest)
        return _Comparison(seal, self._users, hashed is not None, compare)

    def _next(self) -> None:
        while self._queue and self._running < THREADS:
            comparison = self._queue.popleft()
            self._running += 1
            self._work(comparison.compare).addBoth(self._compared, comparison)

    def _forget(self, comparison: _Comparison) -> None:
        if self._comparisons.get(comparison.seal) is comparison:
            del self._comparisons[comparison.seal]

    def _compared(self, result: bool | Failure, comparison: _Comparison) -> None:
        self._running -= 1
        self._forget(comparison)
        failure = result if isinstance(result, Failure) else None
        if failure is None and comparison.users == self._users:
            self._keep(comparison.seal, comparison.isKnown and bool(result))
        waiting = comparison.waiting
        while waiting:
            told = next(iter(waiting))
            del waiting[told]
            if failure is None:
                told.callback(None)
            else:
                told.errback(failure)
        self._next()

    def _keep(self, seal: bytes, isRight: bool) -> None:
        verdicts = self._verdicts[isRight]
        verdicts[seal] = None
        if len(verdicts) > KEPT:
            del verdicts[next(iter(verdicts))]


class Threads(MultiService):
    """
    Threads for what takes long. They are there until the services that need
    them, which are this one's, have stopped.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: where what came of it is told.
        """
        super().__init__()
        self._reactor = reactor
        self._pool = ThreadPool(0, THREADS, "passwords")

    def startService(self) -> None:
        """
        From now on there may be threads.
        """
        self._pool.start()
        super().startService()

    def stopService(self) -> Deferred[object]:
        """
        Let those that there are end, when nobody needs them any more.
        """
        stopped: Deferred[object] = super().stopService()
        return stopped.addCallback(lambda _: self._pool.stop())

    def run(self, work: Callable[[], bool]) -> Deferred[bool]:
        """
        @return: what it returns.
        """
        done: Deferred[bool] = deferToThreadPool(self._reactor, self._pool, work)
        return done
