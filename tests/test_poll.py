"""
Tests for L{pushprox.proxy.poll}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs import OK, ProxyRig, heard, idIn, refusal


class PollTests(SynchronousTestCase):
    """
    Tests for the polls.
    """

    def setUp(self) -> None:
        """
        Start a proxy that knows no client.
        """
        self.rig = ProxyRig(self, nameLimit=20)

    def test_badName(self) -> None:
        """
        What can be no name is a 400 that says so, and is not registered.
        """
        for name, why in (
            (b"", b"expected the name of a client, got nothing"),
            (b" \r\n\t", b"expected the name of a client, got nothing"),
            (b".", b"expected the name of a client, got '.'"),
            (b"t 1", b"expected the name of a client, got 't 1'"),
            (b"t1/x", b"expected the name of a client, got 't1/x'"),
            (b"t\xc3\xa4", b"expected the name of a client, got 't\\xc3\\xa4'"),
            (b"t\x001", b"expected the name of a client, got 't\\x001'"),
            (b"t" * 21, b"expected a name of at most 20 bytes, got 21"),
        ):
            self.assertEqual(
                heard(self.rig.poll(name)),
                refusal(b"400 Bad Request", why + b"\n", b"Pushprox-Max-Polls: 16\r\n"),
            )
        self.assertEqual(self.rig.metric("pushprox_proxy_clients"), 0)

    def test_longestName(self) -> None:
        """
        A name may be as long as the limit, not counting white space.
        """
        self.assertEqual(heard(self.rig.poll(b" " + b"t" * 20 + b"\n")), b"")
        self.assertEqual(self.rig.metric("pushprox_proxy_clients"), 1)

    def test_wait(self) -> None:
        """
        A poll that tells how long it wants to wait is a 204 by then, if there
        is no work; it waits 1 s at least.
        """
        for prefer, seconds, applied in (
            (b"wait=25", 25, b"wait=25"),
            (b"respond-async, WAIT = 7; x=y", 7, b"wait=7"),
            (b"wait=0", 1, b"wait=1"),
            (b"wait=999999", 999999, b"wait=999999"),
        ):
            polling = self.rig.poll(b"t1", b"Prefer: " + prefer + b"\r\n")
            self.rig.net.advance(seconds - 0.5)
            self.rig.net.settle()
            self.assertEqual(heard(polling), b"")
            self.rig.net.pass_(0.5)
            self.assertEqual(
                heard(polling),
                b"HTTP/1.1 204 No Content\r\n"
                b"Server: pushprox/ours\r\n"
                b"Date: now\r\n"
                b"Pushprox-Version: ours\r\n"
                b"Pushprox-Max-Polls: 16\r\n"
                b"Preference-Applied: " + applied + b"\r\n\r\n",
            )
            self.rig.hangUp(polling)

    def test_noWait(self) -> None:
        """
        A poll that does not tell, or tells nothing sensible, is held for as
        long as it stays connected, and what is applied with work is told.
        """
        for prefer in (
            b"",
            b"wait=-1",
            b"wait=1.5",
            b"wait=99999999",
            b"wait",
            b"await=5",
        ):
            polling = self.rig.poll(b"t1", b"Prefer: " + prefer + b"\r\n")
            self.rig.net.advance(86400)
            self.rig.net.settle()
            self.assertEqual(heard(polling), b"")
            self.rig.scrape()
            self.assertNotIn(b"Preference-Applied", heard(polling))
            self.rig.hangUp(polling)
            self.rig.net.pass_(5)

    def test_waitWithWork(self) -> None:
        """
        A poll that is given work is told that its preference would have
        counted.
        """
        polling = self.rig.poll(b"t1", b"Prefer: wait=25\r\n")
        self.rig.scrape()
        self.assertIn(b"\r\nPreference-Applied: wait=25\r\n", heard(polling))

    def test_hangUp(self) -> None:
        """
        A client that hangs up is not parked any more, and gets no scrape.
        """
        staying, going = self.rig.poll(), self.rig.poll()
        self.assertEqual(self.rig.metric("pushprox_proxy_parked_polls"), 2)
        self.rig.hangUp(going)
        self.assertEqual(self.rig.metric("pushprox_proxy_parked_polls"), 1)
        self.rig.scrape()
        idIn(heard(staying))

    def test_taken(self) -> None:
        """
        A client that lists the scrapes it has in hand is given one that it
        does not list once more, and one that it lists never.
        """
        me = b"Pushprox-Instance: me\r\n"
        for taken, again in ((b"", True), (b"Pushprox-Taken: other, %b\r\n", False)):
            first = self.rig.poll(b"t1", me)
            scraping = self.rig.scrape()
            id = idIn(heard(first))
            more = taken % id if taken else taken
            second = self.rig.poll(b"t1", me + more)
            self.rig.net.pass_(2)
            self.assertEqual(id in heard(second), again)
            self.rig.push(OK % id)
            self.assertTrue(heard(scraping).endswith(b"ok"))
            self.rig.hangUp(first)
            self.rig.hangUp(second)

    def test_deadLine(self) -> None:
        """
        A scrape that was written to a line that then broke is given to the
        next poll at once, under the same id.
        """
        first, second = self.rig.poll(), self.rig.poll()
        self.rig.scrape()
        given = heard(second)
        self.rig.net.cut([second.transport])
        self.assertEqual(idIn(heard(first)), idIn(given))
        self.assertEqual(self.rig.metric("pushprox_proxy_requeued_scrapes_total"), 1)

    def test_cleanEnd(self) -> None:
        """
        A line that ended cleanly may be a load balancer's habit: the scrape is
        given to another only when no receipt came in time.
        """
        first, second = self.rig.poll(), self.rig.poll()
        self.rig.scrape()
        id = idIn(heard(second))
        self.rig.hangUp(second)
        self.assertEqual(heard(first), b"")
        self.rig.net.pass_(2)
        self.assertEqual(idIn(heard(first)), id)
