"""
What the process of a program asks for itself: open files, and peace for its
memory.

Knows the kernel, glibc and Python; nothing of what the program is.
"""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable

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
