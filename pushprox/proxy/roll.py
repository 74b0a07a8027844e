"""
The names that are known, each from its first poll or scrape until its time is
over.

Used by L{pushprox.proxy.coordinator} alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from pushprox.proxy.pending import Scrape
from pushprox.proxy.registration import ABSENT_AFTER, Parked, Registration


class Roll:
    """
    All registrations, by name.

    @ivar polled: how many of the names have polled.
    """

    def __init__(
        self,
        clock: IReactorTime,
        timeout: float,
        shared: bool,
        look: Callable[[Registration[Scrape]], None],
    ) -> None:
        """
        @param timeout: how long a name without a poll stays known, in seconds.
        @param shared: whether instances of one name share its scrapes.
        @param look: is called with each registration from time to time, before
            it may be forgotten.
        """
        self.polled = 0
        self._clock = clock
        self._timeout = timeout
        self._shared = shared
        self._look = look
        self._registrations: dict[str, Registration[Scrape]] = {}
        self._sweep: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._registrations)

    def __iter__(self) -> Iterator[Registration[Scrape]]:
        """
        @return: all there are now, whatever becomes of them meanwhile.
        """
        return iter(list(self._registrations.values()))

    @property
    def quiet(self) -> bool:
        """
        Whether there is nothing: no name and no timer.
        """
        return not (self._registrations or self.polled or self._sweep)

    def get(self, name: str) -> Registration[Scrape] | None:
        """
        @return: what there is under a name, known or not.
        """
        return self._registrations.get(name)

    def isKnown(self, registration: Registration[Scrape]) -> bool:
        """
        @return: whether the name has a poll parked, or polled lately.
        """
        if registration.connected:
            return True
        seen = registration.seen(self._clock.seconds())
        return seen is not None and seen < self._timeout

    def parked(self) -> Iterator[Parked]:
        """
        @return: all polls that are parked, each as long as it is: where one is
            ended, what follows on its line may end others.
        """
        for registration in self:
            for instance in list(registration.instances.values()):
                for parked in list(instance.parked):
                    if parked in instance.parked:
                        yield parked

    # Names come and go.

    def register(self, name: str) -> Registration[Scrape]:
        """
        @return: a new one, which L{forgetIfVain} may take away again.
        """
        registration = Registration[Scrape](name, self._shared)
        self._registrations[name] = registration
        self._sweepLater()
        return registration

    def forgetIfVain(self, registration: Registration[Scrape]) -> None:
        """
        Drop a name that nobody waits for or polls under any more.
        """
        if registration.scrapes or self.isKnown(registration):
            return
        if self._registrations.pop(registration.name, None) is not None:
            self.polled -= registration.lastSeen is not None
            registration.notice(self._clock.seconds(), self._absentAfter)
            registration.close()
        if not self._registrations:
            self._sweepNever()

    def clear(self) -> None:
        """
        Drop all names.
        """
        for registration in self:
            registration.close()
        self._registrations.clear()
        self.polled = 0
        self._sweepNever()

    @property
    def _absentAfter(self) -> float:
        return min(ABSENT_AFTER, self._timeout)

    def _sweepLater(self) -> None:
        if self._sweep is None:
            interval = max(1.0, min(10.0, self._timeout / 10))
            self._sweep = self._clock.callLater(interval, self._sweepAll)

    def _sweepNever(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _sweepAll(self) -> None:
        """
        Forget the names whose time is over. One timer for all of them: a timer
        each would be set anew by every poll.
        """
        self._sweep = None
        now = self._clock.seconds()
        for registration in self:
            registration.notice(now, self._absentAfter)
            self._look(registration)
            self.forgetIfVain(registration)
        if self._registrations:
            self._sweepLater()
