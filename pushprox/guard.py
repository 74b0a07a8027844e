"""
Who gets in: the guard stands before all that a program serves, and lets pass
whom its web config file lets pass.

Knows who asks, and what to say to those who stay outside. Of what they ask for
it knows no more than whether it is for somebody else, by way of us: then the
credentials for us are in C{Proxy-Authorization} and are asked for by a 407,
else they are in C{Authorization} and a 401 asks for them (RFC 9110 section 11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from math import ceil
from os import urandom

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET

from pushprox.buckets import Bucket, Buckets
from pushprox.credentials import Credential, digestOf, readBearer
from pushprox.denials import (
    BUSY,
    FAILING,
    FORBIDDEN,
    MISSING,
    TOO_FAST,
    WHYS,
    WRONG,
    Denial,
    challenge,
    later,
)
from pushprox.headers import joinFields
from pushprox.metrics import Ledger
from pushprox.passwords import Busy, Passwords, Work, readBasic
from pushprox.request import Request, StreamingResource
from pushprox.site import Crossroads
from pushprox.sources import Address, networkOf, peerOf, sourceOf
from pushprox.webconfig import RateLimit, WebConfig
from pushprox.webfile import WebFile

#: Passwords of one address that may be wrong at once, and how long it then takes
#: until one more may, in seconds.
ATTEMPTS = 32
REGAIN = 1.0

#: Addresses whose attempts are remembered.
ADDRESSES = 10_000

#: Right credentials that are recalled by a seal, so that they need not be taken
#: apart on each request.
RECALLED = 10_000

#: Lines about denials that may be logged at once, and then one each second.
LINES = 20

#: Who is open to everybody.
OPEN = (b"/-/healthy",)

# In the authority of a request's target, which may be all of it.
_CREDENTIALS = re.compile(r"\A([^/]*//)?[^/]*@")

_FORWARDED = b"x-forwarded-for"

_FAILING = later(FAILING, 429, b"Too Many Requests")
_BUSY = later(BUSY, 503, b"Service Unavailable")

Find = Callable[[Request], IResource]


class _Front(Crossroads):
    """
    A root, with the guard before it.
    """

    def __init__(self, guard: Guard, find: Find) -> None:
        super().__init__()
        self._guard = guard
        self._find = find

    def choose(self, request: Request) -> IResource:
        return self._guard.choose(request, self._find)


class Guard:
    """
    Stands before roots.
    """

    _log = Logger()

    def __init__(
        self,
        file: WebFile,
        clock: IReactorTime,
        ledger: Ledger,
        work: Work,
        isForOthers: Callable[[Request], bool] = lambda request: False,
    ) -> None:
        """
        @param work: compares passwords, which takes long.
        @param isForOthers: whether a request is for somebody else, by way of us.
        """
        self._file = file
        self._clock = clock
        self._isForOthers = isForOthers
        self._passwords = Passwords(work)
        self._key = urandom(32)
        self._recalled: WebConfig | None = None
        self._rightful: dict[bytes, Credential] = {}
        self._attempts = Buckets(REGAIN, ATTEMPTS, ADDRESSES)
        self._lines = Bucket(1.0, LINES)
        self._limit: RateLimit | None = None
        self._requests: Bucket | None = None
        self._denied = ledger.tally(
            "pushprox_http_denied_requests",
            "Requests that the web config file does not let pass, by why.",
            "reason",
        )
        for why in WHYS:
            self._denied.add(why, by=0)
        ledger.gauge(
            "pushprox_web_config_last_reload_successful",
            "Whether what stands in the web config file is what is in force.",
            lambda: file.isCurrent,
        )

    def sourceOf(self, request: Request) -> Address | None:
        """
        @return: where a request comes from; L{None} for a local socket.
        """
        return self.sourceFinder(request)()

    def sourceFinder(self, request: Request) -> Callable[[], Address | None]:
        """
        @return: tells that at any time: who is trusted may change, and what a request
            says is let go of while it waits.
        """
        said = [v for name, v in request.fields if name.lower() == _FORWARDED]
        peer = peerOf(request.client)
        return lambda: sourceOf(peer, said, self._file.inForce.trustedProxies)

    def headLines(self) -> bytes:
        """
        @return: the headers that the file wants in every reply of our own: not in
            those of targets, which are theirs and go as they came.
        """
        # Not in the midst of a reply: what is read then may end it.
        headers = self._file.inForce.headers
        return joinFields((n.encode("ascii"), v.encode("ascii")) for n, v in headers)

    def before(self, find: Find) -> Crossroads:
        """
        @param find: finds who answers a request that may pass.
        @return: what stands before that.
        """
        return _Front(self, find)

    def choose(self, request: Request, find: Find) -> IResource:
        """
        @return: who answers: the one it is for, one that says no, or one that
            waits for what comes of a password.
        """
        config = self._file.config
        limit = config.rateLimit
        if limit is not None and (wait := self._tooFast(limit)):
            denial = later(TOO_FAST, 429, b"Too Many Requests", ceil(wait))
            return self._deny(request, denial)
        return self._admit(request, config, find)

    def _tooFast(self, limit: RateLimit) -> float:
        """
        @return: after how many seconds to try again; 0 for a request in time.
        """
        if self._requests is None or limit != self._limit:
            self._limit = limit
            self._requests = Bucket(limit.interval, limit.burst)
        isInTime = self._requests.take(self._clock.seconds())
        return 0.0 if isInTime else limit.interval

    def _admit(self, request: Request, config: WebConfig, find: Find) -> IResource:
        """
        As L{choose}, for who was not too fast.
        """
        isForOthers = self._isForOthers(request)
        if not config.schemes or (request.path in OPEN and not isForOthers):
            return find(request)
        field = b"proxy-authorization" if isForOthers else b"authorization"
        header = request.head.named.get(field)
        if header is None:
            if config.roles is not None:
                # What nobody in particular may is said there.
                return find(request)
            return self._ask(request, MISSING, config)
        isRight, credential = self._recall(config, header)
        if isRight is None:
            return _Doubt(self, header, find)
        if credential is None:
            return self._ask(request, WRONG, config, header)
        request.credential = credential
        return find(request)

    def _recall(
        self, config: WebConfig, header: bytes
    ) -> tuple[bool | None, Credential | None]:
        """
        As L{_verdict}, for headers that come again and again.
        """
        if config is not self._recalled or len(self._rightful) >= RECALLED:
            self._recalled = config
            self._rightful.clear()
        seal = blake2b(header, digest_size=16, key=self._key).digest()
        credential = self._rightful.get(seal)
        if credential is not None:
            return True, credential
        isRight, credential = self._verdict(config, header)
        if credential is not None:
            self._rightful[seal] = credential
        return isRight, credential

    def _verdict(
        self, config: WebConfig, header: bytes
    ) -> tuple[bool | None, Credential | None]:
        """
        @return: whether the credentials in a header are right, L{None} if that
            is still to be found out, and whose they are if they are.
        """
        token = readBearer(header)
        if token is not None:
            digest = digestOf(token)
            name = config.tokens.get(digest)
            if name is None:
                return False, None
            return True, Credential("token", name, digest)
        if not config.users:
            return False, None
        isRight = self._passwords.verdict(config.users, header)
        if not isRight:
            return isRight, None
        said = readBasic(header)
        assert said is not None
        user = said[0]
        return True, Credential("user", user.decode("utf-8"), config.users[user])

    def forbid(
        self, request: Request, why: str, isNobody: bool, bearer: str = ""
    ) -> IResource:
        """
        For who passed, but may not have what he asks for.

        @param isNobody: whether nothing is known of him, so that he may be asked.
        @param bearer: of which certificate he is, for the log.
        @return: who tells him.
        """
        config = self._file.inForce
        if isNobody and config.schemes:
            return self._ask(request, MISSING, config)
        self.note(request, FORBIDDEN, why, bearer=bearer)
        return Denial(FORBIDDEN, 403, why.encode("ascii"))

    def compare(self, request: Request, header: bytes, find: Find) -> None:
        """
        Find out about a password of which nothing is known yet, and then turn to
        whoever is to answer.
        """
        passwords = self._passwords
        attempts = self._attempts.of(networkOf(self.sourceOf(request)))
        # Who waits for what is compared already costs nothing.
        isNew = not passwords.isCompared(header)
        if isNew and not attempts.take(self._clock.seconds()):
            request.turnTo(self._deny(request, _FAILING, header))
            return
        try:
            compared = passwords.compare(header)
        except Busy:
            attempts.giveBack()
            request.turnTo(self._deny(request, _BUSY, header))
            return

        def known(_: None) -> None:
            request.whenLost = None
            config = self._file.config
            if isNew and passwords.verdict(config.users, header):
                attempts.giveBack()
            request.turnTo(self._admit(request, config, find))

        def failed(failure: Failure) -> None:
            # If it was cancelled, nobody is there to be told.
            if not failure.check(CancelledError):
                request.processingFailed(failure)

        request.whenLost = compared.cancel
        compared.addCallback(known).addErrback(failed)

    def _ask(
        self,
        request: Request,
        why: str,
        config: WebConfig,
        header: bytes | None = None,
    ) -> Denial:
        isForOthers = self._isForOthers(request)
        return self._deny(request, challenge(why, isForOthers, config.schemes), header)

    def _deny(
        self, request: Request, denial: Denial, header: bytes | None = None
    ) -> Denial:
        self.note(request, denial.why, denial.why, header)
        return denial

    def note(
        self,
        request: Request,
        word: str,
        why: str,
        header: bytes | None = None,
        bearer: str = "",
    ) -> None:
        """
        Count a denial and tell the log, which nobody is to fill.

        @param word: what it is counted as, one of few.
        @param why: what the log is told.
        @param header: the credentials that were sent, if they were looked at.
        @param bearer: of which certificate the sender is.
        """
        self._denied.add(word)
        if self._lines.take(self._clock.seconds()):
            what = _CREDENTIALS.sub(r"\1", request.path.decode("latin-1"))[:200]
            self._log.info(
                "Denied {method} {what} to {who}: {why}",
                method=request.method.decode("ascii"),
                what=what,
                who=self._who(request, header, bearer),
                why=why,
            )

    def _who(self, request: Request, header: bytes | None, bearer: str) -> str:
        known = request.credential
        said = readBasic(header) if header is not None else None
        credential = ""
        if known is not None:
            credential = f"{known.kind} {known.name}"
        elif said is not None and said[0] in self._file.inForce.users:
            # Any other name may be a password, in the wrong place.
            credential = f"user {said[0].decode('utf-8')}"
        who = " with ".join(filter(None, (credential, bearer)))
        where = networkOf(self.sourceOf(request))
        return f"{who} at {where}" if who else where


class _Doubt(StreamingResource):
    """
    Answers when it is known who asks.
    """

    isLeaf = True

    def __init__(self, guard: Guard, header: bytes, find: Find) -> None:
        super().__init__()
        self._guard = guard
        self._header = header
        self._find = find

    def render(self, request: Request) -> int:
        """
        Wait.
        """
        request.hold()
        self._guard.compare(request, self._header, self._find)
        return NOT_DONE_YET
