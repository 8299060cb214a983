"""Runs inside the build's namespaces, as its own program: sets limits, then becomes the command.

Keeps: imports only the standard library, so that it starts without the package. With a mount
namespace of its own the command can write in its own folder alone, and what is hidden is not there;
it has no right to undo that. As process 1 of a namespace it stays, reaps what the command leaves
behind, and ends with the command's status.
Does not: return. Called by `build` as `python -I -S jail.py LIMITS LOOPBACK FILES COMMAND...`.
Source: mount_setattr(2), mount_namespaces(7), capabilities(7).
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import socket
import struct
import sys
import warnings

# `os.execvp` imports it late, when the folder it is in may be hidden already.
assert warnings

_NAMES = {
    "cpu_seconds": resource.RLIMIT_CPU,
    "file_bytes": resource.RLIMIT_FSIZE,
    "data_bytes": resource.RLIMIT_DATA,
    "open_files": resource.RLIMIT_NOFILE,
    "core_bytes": resource.RLIMIT_CORE,
}
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
_NOT_FOUND = 127
_NO_SUID, _NO_DEVICES, _BIND = 0x2, 0x4, 0x1000
_SET_ATTRIBUTES, _HERE, _RECURSIVE, _READ_ONLY = 442, -100, 0x8000, 0x1
_SCRATCH = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - hidden by an empty one of its own
_DROP_RIGHT, _NO_NEW_RIGHTS = 24, 38
# What building as root needs of root's rights: owners, modes, ids, ports. None undoes a mount,
# none opens a file by its handle, none looks into another process.
_RIGHTS_KEPT = {0, 1, 3, 4, 5, 6, 7, 10}
_SET_RIGHTS, _RIGHTS_MAX = 8, 63
_LIBC = ctypes.CDLL(None, use_errno=True)


def main(words: list[str]) -> None:
    """`words`: limits as `name=number,...`; `up` or `as-is` for loopback; JSON with `keep` and
    `hide`, or nothing when there is no mount namespace; then the command."""
    limits, loopback, files, *command = words
    if loopback == "up":
        _loopback_up()
    if files:
        _fence(**json.loads(files))
    for limit in limits.split(","):
        name, _, number = limit.partition("=")
        _, hard = resource.getrlimit(_NAMES[name])
        value = int(number) if hard == resource.RLIM_INFINITY else min(int(number), hard)
        resource.setrlimit(_NAMES[name], (value, value))
    if os.getpid() == 1:
        _stay_for(command)
    _become(command)


def _become(command: list[str]) -> None:
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the command is its purpose
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(_NOT_FOUND)


def _stay_for(command: list[str]) -> None:
    child = os.fork()
    if child == 0:
        _become(command)
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _fence(keep: str, hide: list[str]) -> None:
    """Make everything read-only but `keep`, put empty folders over `hide`, and lock that in."""
    here = os.getcwd()
    held = os.open(keep, os.O_PATH | os.O_DIRECTORY) if keep else -1
    hidden = [folder for folder in sorted({*hide, *_SCRATCH}) if _empty(folder)]
    if keep:
        os.makedirs(keep, exist_ok=True)
        _must(_LIBC.mount(f"/proc/self/fd/{held}".encode(), keep.encode(), None, _BIND, None))
        os.close(held)
    _attributes("/", _RECURSIVE, _READ_ONLY, 0)
    for folder in [keep] * bool(keep) + [folder for folder in hidden if folder in _SCRATCH]:
        _attributes(folder, 0, 0, _READ_ONLY)
    # From the old folder `..` would still lead below what is hidden.
    os.chdir(here)
    _must(_LIBC.prctl(_NO_NEW_RIGHTS, 1, 0, 0, 0))
    rights = [right for right in range(_RIGHTS_MAX + 1) if right not in _RIGHTS_KEPT]
    for right in sorted(rights, key=lambda right: right == _SET_RIGHTS):
        # Numbers that this kernel does not know are refused: there is no such right to lose.
        _LIBC.prctl(_DROP_RIGHT, right, 0, 0, 0)


def _empty(folder: str) -> bool:
    """Mount an empty folder over one; False when there is none (it may be hidden already)."""
    if not os.path.isdir(folder):
        return False
    mode = "1777" if folder in _SCRATCH else "0755"
    options = f"mode={mode},size=1g".encode()
    flags = _NO_SUID | _NO_DEVICES
    _must(_LIBC.mount(b"tmpfs", folder.encode(), b"tmpfs", flags, options))
    return True


def _attributes(folder: str, how: int, set_bits: int, clear_bits: int) -> None:
    wanted = struct.pack("QQQQ", set_bits, clear_bits, 0, 0)
    number = ctypes.c_long(_SET_ATTRIBUTES)
    size = ctypes.c_size_t(len(wanted))
    _must(_LIBC.syscall(number, _HERE, folder.encode(), how, wanted, size))


def _must(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _loopback_up() -> None:
    # A new network namespace has a loopback that is down; tests of services need it.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, _GET_FLAGS, asked))[1]
        fcntl.ioctl(sock, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


if __name__ == "__main__":
    main(sys.argv[1:])
