"""
What the process of a program asks for itself: open files, and peace for its
memory.

Knows the kernel, glibc and Python; nothing of what the program is.
"""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable

#: Open files that are no connections: ports, logs, what is read from disk.
OTHER_FILES = 100

#: Bytes of freed memory that glibc is to keep.
KEPT = 8 * 1024 * 1024

#: New objects, less those that are gone, until Python looks for garbage that
#: holds itself. A scrape leaves none.
GARBAGE_AFTER = 10_000


def raiseFileLimit(
    getLimit: Callable[[int], tuple[int, int]] = resource.getrlimit,
    setLimit: Callable[[int, tuple[int, int]], None] = resource.setrlimit,
) -> int:
    """
    Raise the soft limit of open files to the hard one, as Go does at start.

    @return: how many files may be open now.
    """
    soft, hard = getLimit(resource.RLIMIT_NOFILE)
    try:
        setLimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return soft
    return hard


def roomBelow(files: int, connections: int) -> int:
    """
    @param files: how many may be open.
    @param connections: how many connections are wanted.
    @return: how many there may be, so that files are left for all else.
    """
    if files == resource.RLIM_INFINITY:
        return connections
    return min(connections, max(1, files - OTHER_FILES))


def settleMemory(
    freeze: Callable[[], None] = gc.freeze,
    setThreshold: Callable[[int], None] = gc.set_threshold,
) -> None:
    """
    Spare what is there at the start from being looked at again and again, and
    the buffers of every read from going back to the kernel, which a body of 200
    KB feels by a sixth.
    """
    # glibc keeps freed memory as large as the largest block that it ever gave
    # back (mallopt(3), M_MMAP_THRESHOLD).
    bytes(KEPT)
    gc.collect()
    freeze()
    setThreshold(GARBAGE_AFTER)
