"""
Tests for L{pushprox.passwords}.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import bcrypt
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from pushprox import passwords
from pushprox.passwords import (
    KEPT,
    QUEUED,
    THREADS,
    Busy,
    Passwords,
    Threads,
    hashOfNobody,
    matches,
    readBasic,
)


def hashed(password: bytes, cost: int = 4) -> bytes:
    """
    @return: its hash, as cheap as can be.
    """
    return bcrypt.hashpw(password[:72], bcrypt.gensalt(cost))


def basic(user: bytes, password: bytes) -> bytes:
    """
    @return: the header's value for these.
    """
    return b"Basic " + b64encode(b"%b:%b" % (user, password))


class LongWork:
    """
    Does work when the test says so.

    @ivar begun: what is to be done: that, and who is told.
    """

    def __init__(self) -> None:
        self.begun: list[tuple[Callable[[], bool], Deferred[bool]]] = []

    def __call__(self, work: Callable[[], bool]) -> Deferred[bool]:
        """
        Begin something.
        """
        done: Deferred[bool] = Deferred()
        self.begun.append((work, done))
        return done

    def finish(self, error: Exception | None = None) -> None:
        """
        The oldest is done, or failed.
        """
        work, done = self.begun.pop(0)
        if error is None:
            done.callback(work())
        else:
            done.errback(error)


class BasicTests(SynchronousTestCase):
    """
    Tests for L{readBasic} and L{matches}.
    """

    def test_read(self) -> None:
        """
        User and password are parted by the first colon, whatever they are made of.
        """
        for user, password in (
            (b"alice", b"wonderland"),
            (b"", b""),
            (b"a", b"b:c"),
            ("älice".encode(), b"\x00\xff"),
        ):
            self.assertEqual(readBasic(basic(user, password)), (user, password))
        encoded = b64encode(b"a:b")
        for header in (b"basic %b", b"BASIC  %b", b"Basic %b "):
            self.assertEqual(readBasic(header % encoded), (b"a", b"b"))

    def test_nothing(self) -> None:
        """
        What is anything else tells none.
        """
        for header in (
            b"",
            b"Basic",
            b"Basic ",
            b"Basic !!!!",
            b"Basic YTp",
            b"Basic " + b64encode(b"no colon"),
            b"Bearer " + b64encode(b"a:b"),
            b64encode(b"a:b"),
        ):
            self.assertIsNone(readBasic(header), header)

    def test_long(self) -> None:
        """
        Of a long password what bcrypt looks at has to be right, as in Go.
        """
        stored = hashed(b"x" * 72)
        self.assertTrue(matches(b"x" * 72, stored))
        self.assertTrue(matches(b"x" * 1000, stored))
        self.assertFalse(matches(b"x" * 71, stored))

    def test_nobody(self) -> None:
        """
        There is a password for nobody, whose comparison costs as much as that of
        the dearest user and comes to nothing.
        """
        nobody = hashOfNobody({b"a": hashed(b"x"), b"b": hashed(b"x", 5)})
        self.assertEqual(nobody[:7], b"$2b$05$")
        self.assertEqual(len(nobody), 60)
        self.assertFalse(matches(b"", nobody))
        self.assertEqual(hashOfNobody({})[4:6], b"04")


class PasswordsTests(SynchronousTestCase):
    """
    Tests for L{Passwords}.
    """

    right = basic(b"alice", b"wonderland")
    wrong = basic(b"alice", b"s3kr1t")
    unknown = basic(b"mallory", b"wonderland")

    def setUp(self) -> None:
        """
        There is one user.
        """
        self.users = {b"alice": hashed(b"wonderland"), b"bob": hashed(b"builder")}
        self.work = LongWork()
        self.passwords = Passwords(self.work)

    def verdict(self, header: bytes) -> bool | None:
        """
        @return: what is known of it.
        """
        return self.passwords.verdict(self.users, header)

    def compare(self, header: bytes) -> Deferred[None]:
        """
        Find out about one of which nothing is known.
        """
        self.assertIsNone(self.verdict(header))
        return self.passwords.compare(header)

    def test_verdicts(self) -> None:
        """
        A user with the right password is right, and nobody else; once that is
        known it costs nothing more.
        """
        for header, isRight in (
            (self.right, True),
            (self.wrong, False),
            (self.unknown, False),
            (basic(b"bob", b"builder"), True),
            (basic(b"bob", b"wonderland"), False),
            (basic(b"", b""), False),
        ):
            told = self.compare(header)
            self.assertNoResult(told)
            self.work.finish()
            self.successResultOf(told)
            self.assertIs(self.verdict(header), isRight)
        self.assertEqual(self.work.begun, [])

    def test_noCredentials(self) -> None:
        """
        What tells no user is wrong without any work.
        """
        self.assertIs(self.verdict(b"Bearer x"), False)
        self.assertIs(self.verdict(b"Basic !"), False)

    def test_fakeUser(self) -> None:
        """
        For an unknown user as much work is done as for a wrong password, and the
        password of nobody is nobody's.
        """
        self.assertIsNone(self.verdict(self.unknown))
        self.passwords._nobody = hashed(b"wonderland")
        told = self.passwords.compare(self.unknown)
        [(work, _)] = self.work.begun
        self.assertTrue(work())
        self.work.finish()
        self.successResultOf(told)
        self.assertIs(self.verdict(self.unknown), False)

    def test_dearest(self) -> None:
        """
        A wrong password costs the same whoever it is for, also where users have
        hashes of different costs: that of the dearest, so that it does not tell
        which users there are. A right one costs no more than it must.
        """
        users = {b"cheap": hashed(b"right"), b"dear": hashed(b"right", 7)}
        spent: list[int] = []

        class Counting:
            """Does not hash, but notes the cost."""

            gensalt = staticmethod(bcrypt.gensalt)

            def hashpw(self, password: bytes, salt: bytes) -> bytes:
                spent.append(2 ** int(salt[4:6]))
                return b""

            def checkpw(self, password: bytes, hashed: bytes) -> bool:
                self.hashpw(password, hashed)
                return bcrypt.checkpw(password, hashed)

        self.patch(passwords, "bcrypt", Counting())
        for user, password, cost in (
            (b"cheap", b"wrong", 7),
            (b"dear", b"wrong", 7),
            (b"nobody", b"wrong", 7),
            (b"cheap", b"right", 4),
            (b"dear", b"right", 7),
        ):
            spent.clear()
            header = basic(user, password)
            self.assertIsNone(self.passwords.verdict(users, header))
            self.passwords.compare(header)
            self.work.finish()
            self.assertEqual(sum(spent), 2**cost, (user, password))

    def test_once(self) -> None:
        """
        Many who show the same at once are compared once.
        """
        self.assertFalse(self.passwords.isCompared(self.right))
        all_ = [self.compare(self.right) for _ in range(50)]
        self.assertTrue(self.passwords.isCompared(self.right))
        self.assertFalse(self.passwords.isCompared(self.wrong))
        self.work.finish()
        for told in all_:
            self.successResultOf(told)
        self.assertFalse(self.passwords.isCompared(self.right))
        self.assertEqual(self.work.begun, [])

    def test_spellings(self) -> None:
        """
        However the same is spelled, it is compared once.
        """
        long = basic(b"bob", b"x" * 100)
        for header, again in (
            (self.right, self.right.replace(b"Basic ", b"BASIC   ")),
            (long, basic(b"bob", b"x" * 101)),
        ):
            told = self.compare(header)
            self.assertTrue(self.passwords.isCompared(again))
            self.work.finish()
            self.successResultOf(told)
            self.assertIs(self.verdict(again), header is self.right)

    def test_few(self) -> None:
        """
        A few are compared at a time, some wait in order, and more are refused.
        """
        headers = [basic(b"alice", b"%d" % n) for n in range(THREADS + QUEUED)]
        told = [self.compare(header) for header in headers]
        self.assertEqual(len(self.work.begun), THREADS)
        self.assertRaises(Busy, self.compare, self.right)
        # Of whom there is one already, there may be more.
        again = self.compare(headers[-1])
        self.work.finish()
        self.successResultOf(told[0])
        self.assertNoResult(told[1])
        self.assertEqual(len(self.work.begun), THREADS)
        last = self.compare(self.right)
        while self.work.begun:
            self.assertNoResult(last)
            self.work.finish()
        for each in (*told[1:], again, last):
            self.successResultOf(each)
        self.assertIs(self.verdict(self.right), True)

    def test_hangUp(self) -> None:
        """
        Whose turn has not come when he leaves is not compared, unless another
        waits for the same.
        """
        running = [self.compare(basic(b"bob", b"%d" % n)) for n in range(THREADS)]
        one, other = self.compare(self.right), self.compare(self.right)
        alone = self.compare(self.wrong)
        for left in (one, alone):
            left.cancel()
            self.failureResultOf(left, CancelledError)
        self.assertTrue(self.passwords.isCompared(self.right))
        self.assertFalse(self.passwords.isCompared(self.wrong))
        self.work.finish()
        self.work.finish()
        self.assertEqual(len(self.work.begun), 1)
        self.work.finish()
        for each in (*running, other):
            self.successResultOf(each)
        self.assertIs(self.verdict(self.right), True)
        self.assertIsNone(self.verdict(self.wrong))

    def test_hangUpLate(self) -> None:
        """
        What is found out after all have left is kept nonetheless.
        """
        told = self.compare(self.right)
        told.cancel()
        self.failureResultOf(told, CancelledError)
        self.work.finish()
        self.assertIs(self.verdict(self.right), True)

    def test_hangUpAmid(self) -> None:
        """
        Who is told may make another leave.
        """
        one, other = self.compare(self.right), self.compare(self.right)
        one.addCallback(lambda _: other.cancel())
        self.work.finish()
        self.failureResultOf(other, CancelledError)

    def test_changed(self) -> None:
        """
        When the users change, all is to be found out anew; also what was being
        compared just then, and who waited for that is told.
        """
        told = self.compare(self.right)
        self.work.finish()
        self.successResultOf(told)
        under = self.compare(self.wrong)
        self.users = {b"alice": hashed(b"s3kr1t")}
        self.assertIsNone(self.verdict(self.right))
        again = self.compare(self.wrong)
        self.work.finish()
        self.successResultOf(under)
        self.assertIsNone(self.verdict(self.wrong))
        self.assertTrue(self.passwords.isCompared(self.wrong))
        self.work.finish()
        self.successResultOf(again)
        self.assertIs(self.verdict(self.wrong), True)

    def test_readAgain(self) -> None:
        """
        When they are the same after all, what is known stays known.
        """
        told = self.compare(self.right)
        self.users = dict(self.users)
        self.work.finish()
        self.successResultOf(told)
        self.assertIs(self.verdict(self.right), True)
        self.users = dict(self.users)
        self.assertIs(self.verdict(self.right), True)

    def test_bounded(self) -> None:
        """
        The oldest wrong password is forgotten when there are too many, and no
        number of them makes a right one be forgotten.
        """
        self.passwords = Passwords(lambda work: execute(lambda: work is None))
        for n in range(KEPT + 1):
            self.compare(basic(b"alice", b"%d" % n))
        self.assertIsNone(self.verdict(basic(b"alice", b"0")))
        self.assertIs(self.verdict(basic(b"alice", b"1")), False)
        self.passwords._work = execute
        self.compare(self.right)
        self.passwords._work = lambda work: execute(lambda: work is None)
        for n in range(KEPT + 1):
            self.compare(basic(b"bob", b"%d" % n))
        self.assertIs(self.verdict(self.right), True)

    def test_failed(self) -> None:
        """
        If it cannot be found out, all who wait are told so, and the next is
        compared.
        """
        told = [self.compare(self.right), self.compare(self.right)]
        self.work.finish(ZeroDivisionError())
        for each in told:
            self.failureResultOf(each, ZeroDivisionError)
        self.assertIsNone(self.verdict(self.right))
        self.compare(self.right)
        self.work.finish()
        self.assertIs(self.verdict(self.right), True)

    def test_noSecrets(self) -> None:
        """
        Nothing that is kept shows a password or what it came with.
        """
        self.compare(self.right)
        shown = repr(list(self.passwords._comparisons.values()))
        self.work.finish()
        shown += repr(vars(self.passwords)["_verdicts"])
        for secret in (b"wonderland", self.right[6:], self.users[b"alice"]):
            self.assertNotIn(secret.decode(), shown)


class ThreadsTests(SynchronousTestCase):
    """
    Tests for L{Threads}.
    """

    def test_run(self) -> None:
        """
        Work is done in a thread, and what came of it is told in the reactor's;
        also while those stop that want it done.
        """
        calls: list[tuple[Any, ...]] = []

        class Reactor:
            """
            Keeps what threads want it to call.
            """

            def callFromThread(self, *call: Any) -> None:
                """
                Keep it.
                """
                calls.append(call)

        threads, user, left = Threads(Reactor()), Service(), Deferred[None]()
        user.stopService = lambda: left  # type: ignore[method-assign]
        user.setServiceParent(threads)
        threads.startService()
        stopped = threads.stopService()
        stored = hashed(b"x")
        told = threads.run(lambda: matches(b"x", stored))
        left.callback(None)
        self.successResultOf(stopped)  # which waited for it
        self.assertNoResult(told)
        [(call, *args)] = calls
        call(*args)
        self.assertIs(self.successResultOf(told), True)
