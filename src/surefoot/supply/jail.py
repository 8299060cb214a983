"""Runs inside the build's namespaces, as its own program: sets limits, then becomes the command.

Keeps: imports only the standard library, so that it starts without the package. As process 1 of a
namespace it stays, reaps what the command leaves behind, and ends with the command's status.
Does not: return. Called by `build` as `python -I -S jail.py LIMITS LOOPBACK COMMAND...`.
"""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import struct
import sys

_NAMES = {
    "cpu_seconds": resource.RLIMIT_CPU,
    "file_bytes": resource.RLIMIT_FSIZE,
    "data_bytes": resource.RLIMIT_DATA,
    "open_files": resource.RLIMIT_NOFILE,
    "core_bytes": resource.RLIMIT_CORE,
}
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
_NOT_FOUND = 127


def main(words: list[str]) -> None:
    """`words`: limits as `name=number,...`, `up` or `as-is` for loopback, then the command."""
    limits, loopback, *command = words
    if loopback == "up":
        _loopback_up()
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


def _loopback_up() -> None:
    # A new network namespace has a loopback that is down; tests of services need it.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, _GET_FLAGS, asked))[1]
        fcntl.ioctl(sock, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


if __name__ == "__main__":
    main(sys.argv[1:])
