"""
One name and the instances that poll for it: who has it, who stands by.

Used by L{pushprox.proxy.coordinator} alone, which owns all scrapes; what a
scrape is does not matter here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

#: After so many seconds without a poll a client has disappeared: longer than
#: any pause of a healthy one between two polls.
ABSENT_AFTER = 30.0

_ScrapeT = TypeVar("_ScrapeT")


@attrs.frozen
class Poll:
    """
    What a client says when it polls.

    @ivar name: the name, normalised.
    @ivar spelling: the name as the client wrote it.
    @ivar line: stands for the connection the poll came in on.
    @ivar instance: the id of the client's process, where it tells one.
    @ivar taken: the ids of the scrapes it has in hand, where it lists them.
    @ivar wait: the seconds after which it wants to hear that there is no work.
    @ivar identity: who polls, as the access rules know them; nobody can be told
        apart without such rules.
    @ivar mayStay: tells whether who polls may still do so, if that can change.
    """

    name: str
    spelling: str
    line: Hashable
    instance: bytes | None = None
    taken: frozenset[bytes] | None = None
    wait: float | None = None
    identity: Hashable | None = None
    mayStay: Callable[[], bool] | None = None

    @property
    def isRevoked(self) -> bool:
        """
        Whether who polls may do so no more.
        """
        return self.mayStay is not None and not self.mayStay()


@attrs.define(eq=False)
class Instance:
    """
    One process that polls for a name. All processes that do not tell an id
    count as one.

    @ivar parked: its polls, oldest first.
    @ivar lastSeen: when its last poll came or ended.
    """

    id: bytes | None
    registration: Registration[Any]
    lastSeen: float = 0.0
    parked: list[Parked] = attrs.Factory(list)


@attrs.define(eq=False)
class Parked:
    """
    A poll that waits for a scrape.
    """

    poll: Poll
    instance: Instance
    answer: Deferred[Any]
    expiry: IDelayedCall | None = None


@attrs.define(eq=False)
class Registration(Generic[_ScrapeT]):
    """
    What is known of one name.

    @ivar shared: whether its instances are meant to share the scrapes.
    @ivar scrapes: all its scrapes without an answer.
    @ivar queue: those of them that wait for a poll, in order.
    @ivar instances: who polls, or did a moment ago.
    @ivar holder: the instance that has the name.
    @ivar distrusted: the instance whose line was found dead last.
    @ivar heldUntil: until when a holder without a parked poll keeps it.
    @ivar usualReceipt: how long a receipt takes here, in seconds.
    """

    name: str
    shared: bool = False
    scrapes: list[_ScrapeT] = attrs.field(factory=list, init=False)
    queue: list[_ScrapeT] = attrs.field(factory=list, init=False)
    instances: dict[bytes | None, Instance] = attrs.field(factory=dict, init=False)
    holder: Instance | None = attrs.field(default=None, init=False)
    distrusted: Instance | None = attrs.field(default=None, init=False)
    heldUntil: float = attrs.field(default=0.0, init=False)
    usualReceipt: float = attrs.field(default=0.0, init=False)
    lastSeen: float | None = attrs.field(default=None, init=False)
    _present: bool = attrs.field(default=False, init=False)
    _takeover: IDelayedCall | None = attrs.field(default=None, init=False)

    _log = Logger()

    @property
    def connected(self) -> bool:
        """
        Whether a poll is parked.
        """
        for instance in self.instances.values():  # noqa: SIM110 (hot)
            if instance.parked:
                return True
        return False

    @property
    def contested(self) -> bool:
        """
        Whether more than one instance polls for a name that is not shared.
        """
        return len(self.instances) > 1 and not self.shared

    def seen(self, now: float) -> float | None:
        """
        @return: for how many seconds no poll was seen, 0.0 while one is
            parked; L{None} if there never was one.
        """
        if self.connected:
            return 0.0
        latest = self.lastSeen
        for instance in self.instances.values():
            if latest is None or instance.lastSeen > latest:
                latest = instance.lastSeen
        return None if latest is None else now - latest

    # Instances come and go.

    def greet(self, poll: Poll, now: float) -> Instance:
        """
        An instance polls.

        @return: the instance, which may be new.
        """
        if not self._present:
            self._present = True
            silence = self.seen(now)
            if silence is None:
                self._log.info("Client {name} appeared", name=self.name)
            else:
                self._log.info(
                    "Client {name} is back after {silence:.0f} s",
                    name=self.name,
                    silence=silence,
                )
        instance = self.instances.get(poll.instance)
        if instance is None:
            instance = self.instances[poll.instance] = Instance(poll.instance, self)
            # Once, however many there are to be.
            if self.contested and len(self.instances) == 2:
                self._log.warn(
                    "{count} instances poll as {name}: the one that has the name"
                    " keeps it, the others stand by",
                    count=len(self.instances),
                    name=self.name,
                )
        instance.lastSeen = self.lastSeen = now
        return instance

    def leave(self, instance: Instance) -> None:
        """
        An instance has no poll and is not expected back.
        """
        self.lastSeen = max(self.lastSeen or 0.0, instance.lastSeen)
        del self.instances[instance.id]
        if self.holder is instance:
            self.holder = None

    def notice(self, now: float, absentAfter: float) -> None:
        """
        Drop the instances that did not come back, and say so if none is left.
        """
        for instance in list(self.instances.values()):
            if not instance.parked and now - instance.lastSeen >= absentAfter:
                self.leave(instance)
        silence = self.seen(now)
        if self._present and silence is not None and silence >= absentAfter:
            self._present = False
            self._log.info(
                "Client {name} disappeared: no poll for {silence:.0f} s",
                name=self.name,
                silence=silence,
            )

    # Who has the name.

    def expectBack(self, instance: Instance, until: float) -> None:
        """
        An instance's poll was answered: it keeps the name while it comes back.
        """
        if instance is self.holder:
            self.heldUntil = until

    def distrust(self, instance: Instance | None) -> None:
        """
        A line of this instance is dead: if it has the name, it loses it, and
        gets it back only if nobody else polls.
        """
        self.distrusted = instance
        if self.holder is instance:
            self.holder = None

    def choose(self, now: float) -> Parked | None:
        """
        The poll that is to have the next scrape: the newest of the instance
        that has the name, since the newest is the likeliest to be alive. Where
        the name is shared, the instances take turns.
        """
        holder = self.holder
        if holder is not None and not self.shared:
            if holder.parked:
                return holder.parked[-1]
            if now < self.heldUntil:
                return None
        polling = [i for i in self.instances.values() if i.parked]
        if not polling:
            return None
        if self.shared:
            chosen = polling[0]
            # To the end of the line.
            self.instances[chosen.id] = self.instances.pop(chosen.id)
        else:
            chosen = self.holder = max(
                polling, key=lambda i: (i is not self.distrusted, i.lastSeen)
            )
        return chosen.parked[-1]

    def awaitHolder(
        self, clock: IReactorTime, match: Callable[[Registration[_ScrapeT]], None]
    ) -> None:
        """
        While scrapes wait only because the holder is between two polls, make
        sure that somebody who stands by gets them if it does not come back.
        """
        if self._takeover is not None:
            self._takeover.cancel()
            self._takeover = None
        if self.queue and self.connected:

            def takeOver() -> None:
                self._takeover = None
                match(self)

            wait = max(0.0, self.heldUntil - clock.seconds())
            self._takeover = clock.callLater(wait, takeOver)

    def learnReceipt(self, seconds: float) -> None:
        """
        Remember how long a receipt took: slow ones count at once, and are
        forgotten slowly.
        """
        self.usualReceipt = max(seconds, 0.9 * self.usualReceipt + 0.1 * seconds)

    def close(self) -> None:
        """
        Leave no timer behind.
        """
        if self._takeover is not None:
            self._takeover.cancel()
            self._takeover = None
