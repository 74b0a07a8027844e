"""
Who asks, and what he may: brings together what a request shows and what the web
config file says.

The decisions are L{pushprox.proxy.access}'s. Who cannot prove what he says of
himself was turned away by the L{Guard<pushprox.guard.Guard>} before.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import attrs
from OpenSSL.SSL import Connection
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.resource import IResource

from pushprox.authorities import NO_AUTHORITIES, Authorities, Shown
from pushprox.channel import Line
from pushprox.credentials import Credential
from pushprox.denials import FOREIGN
from pushprox.guard import Guard
from pushprox.proxy.access import Access, Asker
from pushprox.proxy.admission import Admission
from pushprox.proxy.roles import Roles
from pushprox.request import Request
from pushprox.sources import Address
from pushprox.webconfig import WebConfig
from pushprox.webfile import WebFile

#: Askers of whom is remembered what they may do.
KEPT = 10_000


_Who = tuple[Credential | None, Shown | None, Address | None]


def _accessBy(
    config: WebConfig,
    credential: Credential | None,
    shown: Shown | None,
    source: Address | None,
) -> Access:
    """
    @return: what somebody may do who shows this.
    """
    proved = {credential.kind: credential.name} if credential else {}
    asker = Asker(proved.get("user"), proved.get("token"), shown, source)
    if credential is not None and not credential.isInForce(config):
        return Access(asker, ())
    roles: Roles | None = config.roles
    if roles is None:
        return Access(asker)
    return Access(asker, tuple(role for role in roles.roles if role.isOf(asker)))


@attrs.define(eq=False)
class Gate(Admission):
    """
    What those may do who have passed the guard.

    @ivar _known: what askers may do, as long as C{_config} is in force.
    @ivar _shown: what was shown on each line, and by which CAs that was found.
    """

    _file: WebFile
    _guard: Guard
    _clock: IReactorTime
    _config: WebConfig | None = attrs.field(default=None, init=False)
    _known: dict[_Who, Access] = attrs.field(factory=dict, init=False)
    _shown: WeakKeyDictionary[Line, tuple[Authorities, Shown | None]] = attrs.field(
        factory=WeakKeyDictionary, init=False
    )

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._tellDoubts()
        self._file.whenChanged(self._tellDoubts)

    def _tellDoubts(self) -> None:
        """
        Say what may be a slip of whoever wrote the file.
        """
        roles = self._file.inForce.roles
        for doubt in roles.doubts if roles is not None else ():
            self._log.warn(
                "{path}: pushprox: {doubt}", path=self._file.path, doubt=doubt
            )

    def accessOf(self, request: Request) -> Access:
        """
        @return: what the one who sent this request may do now, which is another
            thing after a change of the file: its body may come long after its head.
        """
        config = self._file.inForce
        if request.granted is not None and request.granted[0] is config:
            access: Access = request.granted[1]
            return access
        source = self._guard.sourceOf(request) if self._looksAtSource else None
        access = self._access(request.credential, request.channel, source)
        if access.asker.certificate is None:
            # Certificates expire, all else changes with the file.
            request.granted = (config, access)
        return access

    @property
    def _looksAtSource(self) -> bool:
        """
        Whether it matters where a request comes from.
        """
        roles = self._file.inForce.roles
        return roles is not None and roles.lookAtSource

    def _access(
        self, credential: Credential | None, line: Line, source: Address | None
    ) -> Access:
        shown = self._shownOn(line)
        blemish = None
        if shown is not None:
            blemish = self._file.authorities.fault(shown, self._clock.seconds())
            if blemish is not None:
                shown = None
        access = self._accessOf(credential, shown, source)
        return access if blemish is None else attrs.evolve(access, blemish=blemish)

    def _accessOf(
        self,
        credential: Credential | None,
        shown: Shown | None,
        source: Address | None,
    ) -> Access:
        config = self._file.inForce
        if config is not self._config or len(self._known) >= KEPT:
            self._config = config
            self._known.clear()
        # It costs less to look this up than to find it out.
        who = (credential, shown, source)
        access = self._known.get(who)
        if access is None:
            access = self._known[who] = _accessBy(config, *who)
        return access

    def _shownOn(self, line: Line) -> Shown | None:
        authorities = self._file.authorities
        if authorities is NO_AUTHORITIES:
            return None
        known = self._shown.get(line)
        if known is None or known[0] is not authorities:
            shown = None
            transport = line.transport
            if isinstance(transport, TLSMemoryBIOProtocol):
                connection = transport.getHandle()
                assert isinstance(connection, Connection)
                shown = self._file.shownOn(connection)
            known = self._shown[line] = (authorities, shown)
        return known[1]

    def mayStay(
        self, request: Request, may: Callable[[Access], bool]
    ) -> Callable[[], bool]:
        """
        @param may: whether an access is enough for what the request is about.
        @return: tells at any time whether that of who sent this request still is.
        """
        credential, line = request.credential, request.channel
        if not self._looksAtSource:
            return lambda: may(self._access(credential, line, None))
        find = self._guard.sourceFinder(request)
        return lambda: may(self._access(credential, line, find()))

    def refuse(self, request: Request, reason: str) -> IResource:
        """
        @return: tells who sent this request that he may not have it, or asks him
            who he is.
        """
        access = self.accessOf(request)
        isNobody = access.asker.isNobody
        if access.blemish is not None:
            # To ask him would hide from him that what he showed is no good.
            reason, isNobody = f"{reason} ({access.blemish})", False
        return self._guard.forbid(request, reason, isNobody, self._bearer(request))

    def noteForeign(self, request: Request) -> None:
        """
        Somebody brought an answer to a scrape that was given to another.
        """
        bearer = self._bearer(request)
        self._guard.note(request, FOREIGN, FOREIGN, bearer=bearer)

    def _bearer(self, request: Request) -> str:
        """
        @return: of which certificate the sender is, for the log.
        """
        shown = self._shownOn(request.channel)
        if shown is None:
            return ""
        names = ", ".join(sorted(shown.names))[:200]
        return f"certificate of {shown.authority} for {names or 'no name'}"
