"""
A web config file, which is read again when it changes.

Knows when to look, and that a file that cannot be used does not take the place
of one that can. Does not know what is done with what stands there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from weakref import WeakSet

from OpenSSL.SSL import SSL_CB_HANDSHAKE_DONE, Connection
from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from pushprox.authorities import NO_AUTHORITIES, Authorities, Shown
from pushprox.options import Options
from pushprox.secrets import warnOfOpenFiles
from pushprox.sources import Network
from pushprox.tls import SecureEndpoint, ServerCreator
from pushprox.watched import Watch, openNow
from pushprox.webconfig import (
    NOTHING_MORE,
    ReadMore,
    TLSServer,
    WebConfig,
    readWebConfig,
)
from pushprox.webtls import WebOptions, readFiles


def webFileOf(
    options: Options,
    clock: IReactorTime,
    more: Mapping[str, ReadMore] = NOTHING_MORE,
) -> WebFile:
    """
    @param more: as for L{readWebConfig}.
    @return: the file that a command line names.
    @raise SystemExit: if it cannot be used.
    """
    try:
        # Where we are may change: twistd goes to its --rundir later.
        file = WebFile(os.path.abspath(options["web.config.file"]), clock, more)
    except ValueError as error:
        raise SystemExit(f"{options.programName}: --web.config.file: {error}") from None
    warnOfOpenFiles(*file.secrets)
    return file


@implementer(IOpenSSLServerConnectionCreator)
class WebFile:
    """
    A web config file, and the files that it names.

    @ivar path: where it is.
    @ivar speaksTLS: whether its ports do.
    @ivar isCurrent: whether what is in force is what stands there.
    @ivar _verified: the connections whose certificates OpenSSL has verified.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        clock: IReactorTime,
        more: Mapping[str, ReadMore] = NOTHING_MORE,
    ) -> None:
        """
        @param more: as for L{readWebConfig}.
        @raise ValueError: if it cannot be used; one line that names the file, the
            key, and what was expected.
        """
        self.path = path
        self.isCurrent = True
        self._clock = clock
        self._more = more
        self._changed: list[Callable[[], object]] = []
        self._watch = Watch(clock)
        self._verified: WeakSet[Connection] = WeakSet()
        self._config, self._tls, self._authorities = self._read()
        self.speaksTLS = self._tls is not None
        if self.speaksTLS:
            self._creator = ServerCreator(self._makeOptions, clock)

    def _makeOptions(self) -> WebOptions:
        assert self._tls is not None
        return WebOptions(self._tls)

    @property
    def authorities(self) -> Authorities:
        """
        The CAs that are told apart, as L{inForce}.
        """
        return self._authorities

    def shownOn(self, connection: Connection) -> Shown | None:
        """
        @return: what the other side of a TLS connection has shown; L{None} if it
            showed nothing that a CA of those vouches for. Where it was not verified,
            as an earlier file may have wanted it, anybody may have made it.
        """
        if connection not in self._verified:
            return None
        return self._authorities.shownOn(connection)

    def whenChanged(self, call: Callable[[], object]) -> None:
        """
        @param call: is called whenever something else is in force.
        """
        self._changed.append(call)

    def _read(self) -> tuple[WebConfig, TLSServer | None, Authorities]:
        """
        @return: what stands there now, what it says of TLS with all that is in
            the files, and the CAs of these. All can be used.
        """
        path = self.path
        self._watch.only(path)
        try:
            with openNow(path) as file:
                text = file.read()
        except OSError as error:
            raise ValueError(
                f"{path}: expected a readable file: {error.strerror}"
            ) from None
        config = readWebConfig(text, path, self._more)
        if config.tls is None:
            return config, None, NO_AUTHORITIES
        # Also if what is in them cannot be used: that may change.
        self._watch.also(*config.tls.files)
        try:
            tls = readFiles(config.tls)
            authorities = WebOptions(tls).authorities
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        return config, tls, authorities

    @property
    def config(self) -> WebConfig:
        """
        What is in force, which is not older than a second.
        """
        if self._watch.sawChange():
            with suppress(ValueError):  # it was logged
                self.reload()
        return self._config

    @property
    def inForce(self) -> WebConfig:
        """
        What is in force, without a look at the file: for who comes after somebody
        who has looked.
        """
        return self._config

    def trusted(self) -> Sequence[Network]:
        """
        @return: the proxies that are believed when they say where a request comes
            from.
        """
        return self.config.trustedProxies

    @property
    def secrets(self) -> tuple[str | None, ...]:
        """
        The files with what nobody else is to know.
        """
        return (self.path, self._tls.key.path if self._tls else None)

    def reload(self) -> None:
        """
        Read it again at once, changed or not.

        @raise ValueError: if it cannot be used. What was read before stays in
            force, and the log has been told.
        """
        try:
            config, tls, authorities = self._read()
            if missing := self._missingIn(config):
                raise ValueError(f"{self.path}: {missing}")
        except ValueError as error:
            self.isCurrent = False
            self._log.error("What was read before stays in force: {error}", error=error)
            raise
        self.isCurrent = True
        self._config, self._tls, self._authorities = config, tls, authorities
        if self.speaksTLS:
            # No session outlives this.
            self._creator.renew()
        self._log.info("Read {path} again", path=self.path)
        for call in self._changed:
            call()

    def _missingIn(self, config: WebConfig) -> str | None:
        """
        @return: what is there as long as the program runs, and not in what was read
            now; or else nothing.
        """
        before = self._config
        if (config.tls is not None) != self.speaksTLS:
            return (
                "tls_server_config: expected TLS to be on or off as at the start: that"
                " takes a restart"
            )
        # So looks a file that is just being written.
        if before.roles is not None and config.roles is None:
            return (
                "expected roles, as before: to let everybody do everything takes a"
                " restart"
            )
        if config.roles is not None or config.users:
            return None
        if before.users:
            expected = "basic_auth_users: expected some"
        elif before.keepsOut and not config.keepsOut:
            expected = (
                "tls_server_config.client_auth_type: expected"
                " RequireAndVerifyClientCert"
            )
        else:
            return None
        return f"{expected}, as before: to let everybody in takes a restart"

    def secured(self, endpoint: IStreamServerEndpoint) -> IStreamServerEndpoint:
        """
        @return: the same with TLS, if that is wanted.
        @raise ValueError: if it has TLS of its own.
        """
        if not self.speaksTLS:
            return endpoint
        if isinstance(endpoint, SecureEndpoint):
            raise ValueError(f"expected tcp: since {self.path} has the TLS for it")
        return SecureEndpoint(endpoint, self, self._clock)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:
        """
        @return: one more connection, by what is in force.
        """
        _ = self.config
        connection = self._creator.serverConnectionForTLS(tlsProtocol)
        assert self._tls is not None
        if self._tls.clientAuth.verifies:

            def told(connection: Connection, where: int, _: int) -> None:
                if where & SSL_CB_HANDSHAKE_DONE and self._isExpired(connection):
                    tlsProtocol.abortConnection()

            connection.set_info_callback(told)
            self._verified.add(connection)
        return connection

    def _isExpired(self, connection: Connection) -> bool:
        """
        @return: whether the client's certificate has expired. OpenSSL looks at
            that, but not when a session is resumed.
        """
        shown = connection.get_peer_certificate()
        if shown is None:
            return False
        until = shown.to_cryptography().not_valid_after_utc
        return until.timestamp() < self._clock.seconds()
