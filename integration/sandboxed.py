"""
Run a command as far locked in as a unit's service is: without capabilities, with
its system calls only, no memory that is written and run, and its kinds of sockets.

Does with libseccomp what systemd does by C{SystemCallFilter=},
C{MemoryDenyWriteExecute=} and C{RestrictAddressFamilies=}, so that no systemd has
to run. Nothing of what a unit says about files is looked at.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

# linux/prctl.h and linux/capability.h
_PR_CAPBSET_DROP = 24
_CAPABILITIES = 64

# seccomp.h
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_MASKED_EQ = 7

_WRITE, _EXECUTE = 2, 4
_SHM_EXEC = 0o100000
_ALL = 2**64 - 1

#: For the calls that are allowed in part: of which argument which bits may be what.
_Ways = list[tuple[int, int, int]]


class _Comparison(ctypes.Structure):
    """
    C{struct scmp_arg_cmp}
    """

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def settings(unit: str) -> dict[str, list[str]]:
    """
    @return: the values of each key of a unit, in order.
    """
    found: dict[str, list[str]] = {}
    with open(unit, encoding="utf-8") as file:
        for line in file.read().replace("\\\n", " ").splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                found.setdefault(key, []).append(value.strip())
    return found


def calls(word: str) -> Iterator[str]:
    """
    @param word: a system call, or a group like C{@process}.
    @return: the calls that it stands for, as systemd has them.
    """
    if not word.startswith("@"):
        yield word
        return
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", word],
        capture_output=True,
        text=True,
        check=True,
    )
    for line in listed.stdout.splitlines()[1:]:
        if line.strip() and not line.strip().startswith("#"):
            yield from calls(line.strip())


def allowed(filters: list[str]) -> set[str]:
    """
    @param filters: the values of C{SystemCallFilter=}, of which the first allows.
    @return: the calls that are left.
    """
    found = set(calls("@default"))
    for line in filters:
        named = {call for word in line.lstrip("~").split() for call in calls(word)}
        found = found - named if line.startswith("~") else found | named
    return found


def lockIn(unit: str) -> None:
    """
    Lock this process in.
    """
    said = settings(unit)
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_CAPABILITIES):
        # Fails for those that there are not, or where there are none to lose.
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    ways: dict[str, _Ways] = {}
    [families] = said["RestrictAddressFamilies"]
    ways["socket"] = [(0, _ALL, getattr(socket, family)) for family in families.split()]
    if said.get("MemoryDenyWriteExecute") == ["yes"]:
        both = _WRITE | _EXECUTE
        ways["mmap"] = [(2, both, each) for each in (0, _WRITE, _EXECUTE)]
        ways["mprotect"] = ways["pkey_mprotect"] = [(2, _EXECUTE, 0)]
        ways["shmat"] = [(2, _SHM_EXEC, 0)]
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(_REFUSE))
    for call in allowed(said["SystemCallFilter"]):
        number = seccomp.seccomp_syscall_resolve_name(call.encode("ascii"))
        if number < 0:
            continue  # of another architecture
        for argument, mask, value in ways.get(call, [(0, 0, 0)]):
            one = _Comparison(argument, _MASKED_EQ, mask, value)
            count = 1 if mask else 0
            seccomp.seccomp_rule_add_array(
                context, _ALLOW, number, count, ctypes.byref(one)
            )
    if seccomp.seccomp_load(context):
        raise OSError("the kernel took no filter of system calls")


if __name__ == "__main__":
    lockIn(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606
