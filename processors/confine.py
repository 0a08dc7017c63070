"""What the kernel lets a child do: a seccomp filter against sockets, other programs and changes of the file system.

FFmpeg is given no protocol and no callback that opens anything, so it asks for none of this; the filter is for the day that a
decoder's memory error runs somebody else's code. It needs no privilege. x86-64 only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from dataclasses import dataclass

ARCH_X86_64 = 0xC000003E
X32 = 0x40000000
"""System calls of the x32 ABI have this bit, and would pass by their other numbers."""
CLONE, CLONE3, CLONE_THREAD = 56, 435, 0x10000
SECCOMP, SET_MODE_FILTER, ALL_THREADS = 317, 1, 1
PR_SET_NO_NEW_PRIVS = 38
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000

SOCKETS = {"socket": 41, "socketpair": 53, "io_uring_setup": 425}
PROGRAMS = {"fork": 57, "vfork": 58, "execve": 59, "execveat": 322}
OTHER_PROCESSES = {"ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_getfd": 438}
KERNEL = {
    "unshare": 272,
    "setns": 308,
    "mount": 165,
    "perf_event_open": 298,
    "bpf": 321,
    "userfaultfd": 323,
    "add_key": 248,
    "keyctl": 250,
}
FILES = {
    "truncate": 76,
    "rename": 82,
    "mkdir": 83,
    "rmdir": 84,
    "creat": 85,
    "link": 86,
    "unlink": 87,
    "symlink": 88,
    "chmod": 90,
    "fchmod": 91,
    "chown": 92,
    "fchown": 93,
    "lchown": 94,
    "mknod": 133,
    "mkdirat": 258,
    "mknodat": 259,
    "fchownat": 260,
    "unlinkat": 263,
    "renameat": 264,
    "linkat": 265,
    "symlinkat": 266,
    "fchmodat": 268,
    "renameat2": 316,
    "fchmodat2": 452,
}

OPEN, OPENAT, OPENAT2 = 2, 257, 437
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
"""Flags of opening that are for changing a file, or making one."""

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Classic BPF: load a word of the call's data, compare with a constant, end."""
NUMBER, ARCHITECTURE, ARGUMENTS, WORD = 0, 4, 16, 8
"""Where they lie in the call's data, and how far arguments are apart."""


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


@dataclass(frozen=True, slots=True)
class _Step:
    """An instruction; ``yes`` and ``no`` are how many instructions are skipped after a comparison."""

    code: int
    value: int
    yes: int = 0
    no: int = 0


def confine(*, network: bool) -> bool:
    """Refuse this process, with all its threads and for good, what no handler needs. ``network``: sockets stay allowed.

    What is refused fails with ``EPERM``. False where the machine or the kernel has no such filter. Raises ``OSError``.
    """
    if platform.machine() != "x86_64":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    steps = _steps(network=network)
    array = (_Instruction * len(steps))(*(_Instruction(s.code, s.yes, s.no, s.value) for s in steps))
    program = _Program(len(steps), array)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    if libc.syscall(SECCOMP, SET_MODE_FILTER, ALL_THREADS, ctypes.byref(program)) == 0:
        return True
    if ctypes.get_errno() in (errno.ENOSYS, errno.EINVAL):
        return False
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _steps(*, network: bool) -> list[_Step]:
    refused = PROGRAMS | OTHER_PROCESSES | KERNEL | FILES | ({} if network else SOCKETS)
    refuse = _Step(RETURN, REFUSE | errno.EPERM)
    return [
        _Step(LOAD, ARCHITECTURE),
        _Step(EQUAL, ARCH_X86_64, yes=1),
        _Step(RETURN, KILL),
        _Step(LOAD, NUMBER),
        _Step(AT_LEAST, X32, no=1),
        refuse,
        *(step for number in sorted(refused.values()) for step in (_Step(EQUAL, number, no=1), refuse)),
        # Their flags lie in memory, where no filter looks: without these the C library takes the older ones.
        *(step for number in (CLONE3, OPENAT2) for step in (_Step(EQUAL, number, no=1), _Step(RETURN, REFUSE | errno.ENOSYS))),
        *_flags(OPEN, 1, refused=WRITES),
        *_flags(OPENAT, 2, refused=WRITES),
        _Step(EQUAL, CLONE, no=3),
        _Step(LOAD, ARGUMENTS),
        _Step(ANY_BIT, CLONE_THREAD, yes=1),
        refuse,
        _Step(RETURN, ALLOW),
    ]


def _flags(number: int, argument: int, *, refused: int) -> list[_Step]:
    """Refuse a call with one of these bits in an argument, allow it without; go on with any other call."""
    return [
        _Step(EQUAL, number, no=4),
        _Step(LOAD, ARGUMENTS + WORD * argument),
        _Step(ANY_BIT, refused, no=1),
        _Step(RETURN, REFUSE | errno.EPERM),
        _Step(RETURN, ALLOW),
    ]
