"""
Tests for L{pushprox.buckets}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pushprox.buckets import Bucket, Buckets


class BucketTests(SynchronousTestCase):
    """
    Tests for L{Bucket} and L{Buckets}.
    """

    def taken(self, bucket: Bucket, now: float) -> int:
        """
        @return: how many can be taken at this time.
        """
        count = 0
        while bucket.take(now):
            count += 1
        return count

    def test_burst(self) -> None:
        """
        As many as the burst can be taken at once, then one for each interval, and
        never more than the burst, however long nobody asked.
        """
        bucket = Bucket(0.5, 3)
        self.assertEqual(self.taken(bucket, 1000.0), 3)
        self.assertEqual(self.taken(bucket, 1000.4), 0)
        self.assertEqual(self.taken(bucket, 1000.5), 1)
        self.assertEqual(self.taken(bucket, 1001.5), 2)
        self.assertEqual(self.taken(bucket, 9000.0), 3)

    def test_early(self) -> None:
        """
        Who asks in vain does not have to wait longer for that.
        """
        bucket = Bucket(1.0, 1)
        self.assertTrue(bucket.take(0.0))
        for tenths in range(1, 10):
            self.assertFalse(bucket.take(tenths / 10))
        self.assertTrue(bucket.take(1.0))

    def test_giveBack(self) -> None:
        """
        What was taken for nothing can be taken again, but there are never more
        than the burst.
        """
        bucket = Bucket(1.0, 2)
        self.assertTrue(bucket.take(0.0))
        for _ in range(3):
            bucket.giveBack()
        self.assertEqual(self.taken(bucket, 0.0), 2)

    def test_each(self) -> None:
        """
        Everybody has a bucket. Past the limit those who came first are forgotten.
        """
        buckets = Buckets(1.0, 1, limit=2)
        self.assertTrue(buckets.of("a").take(0.0))
        self.assertFalse(buckets.of("a").take(0.0))
        self.assertTrue(buckets.of("b").take(0.0))
        self.assertFalse(buckets.of("a").take(0.0))
        self.assertTrue(buckets.of("c").take(0.0))
        self.assertFalse(buckets.of("b").take(0.0))
        self.assertTrue(buckets.of("a").take(0.0))
