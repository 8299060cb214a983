"""The person's key: from an OpenSSH private key file, or inside a running ssh-agent.

Keeps: a private key stays in this process or in the agent; a file that others can read is refused;
a passphrase is asked for on a terminal and nowhere kept.
Does not: start a process, or support keys other than Ed25519.
Source: OpenSSH's PROTOCOL.key; draft-ietf-sshm-ssh-agent, sign request.
"""

from __future__ import annotations

import getpass
import os
import socket
import stat
import sys
from pathlib import Path
from typing import Protocol

from surefoot.core.errors import Failed, Refused
from surefoot.trust import keys, sshsig, wire

_FILE_BYTES_MAX = 64 * 1024
_AGENT_SECONDS = 60
_SIGN_REQUEST = 13
_SIGN_RESPONSE = 14
_ANSWER_BYTES_MAX = 64 * 1024


class Signer(Protocol):
    """Signs as one person."""

    @property
    def public(self) -> keys.PublicKey:
        """The public key."""

    @property
    def keyid(self) -> str:
        """The public key's fingerprint."""

    def sign(self, message: bytes) -> bytes:
        """64 bytes of Ed25519."""


class AgentKey:
    """A key inside ssh-agent, known by its public part."""

    def __init__(self, public: keys.PublicKey) -> None:
        self.public = public

    @property
    def keyid(self) -> str:
        """The public key's fingerprint."""
        return self.public.fingerprint

    def sign(self, message: bytes) -> bytes:
        """64 bytes of Ed25519, made by the agent. Raises `Failed("key.agent.failed")`."""
        body = bytes([_SIGN_REQUEST]) + wire.string(self.public.blob) + wire.string(message)
        answer = _ask_agent(body + (0).to_bytes(4, "big"))
        if not answer or answer[0] != _SIGN_RESPONSE:
            raise _agent_failed("a refusal: does it hold this key? see ssh-add -l")
        reader = wire.Reader(wire.Reader(answer[1:]).string())
        kind, signature = reader.string(), reader.string()
        if kind != keys.KEY_TYPE or not self.public.verify(signature, message):
            raise _agent_failed("a signature that does not hold")
        return signature


def load(path: str) -> Signer:
    """The signer in a key file; a `.pub` names a key inside ssh-agent. Raises `Refused`."""
    if not path:
        raise Refused(
            "key.file.missing",
            "key",
            expected="an enrolled key to sign with",
            found="none",
            remedy="give --key FILE, set SUREFOOT_KEY, or remember one with: surefoot use",
        )
    file = Path(path).expanduser()
    content = read_file(file)
    try:
        if file.suffix == ".pub":
            return AgentKey(keys.parse_public_line(content.decode())[0])
        _check_private(file)
        return _private(file, content)
    except ValueError as error:
        raise _bad(file, str(error)) from None


def read_file(file: Path) -> bytes:
    """A key file's content. Raises `Refused("key.file.unknown")`."""
    try:
        with file.open("rb") as opened:
            return opened.read(_FILE_BYTES_MAX)
    except OSError as error:
        raise Refused(
            "key.file.unknown",
            f"key {file}",
            expected="a key file that can be read",
            found=error.strerror or str(error),
            remedy="name another file, or make a key with: surefoot key generate FILE",
        ) from None


def public_line(file: Path) -> str:
    """The public line of a `.pub` or of a private key file, without its comment."""
    content = read_file(file)
    try:
        if content.startswith(b"-----BEGIN"):
            return _private(file, content).public.line()
        return keys.parse_public_line(content.decode())[0].line()
    except ValueError as error:
        raise _bad(file, str(error)) from None


def ssh_signature(signer: Signer, message: bytes, namespace: str) -> bytes:
    """An armored SSH signature. Works for agent keys too: only `public` and `sign` are used."""
    return sshsig.sign(signer, message, namespace)  # type: ignore[arg-type]


def _private(file: Path, content: bytes) -> keys.PrivateKey:
    try:
        return keys.load_private(content)
    except keys.BadKey:
        if not sys.stdin.isatty():
            raise
    return keys.load_private(content, getpass.getpass(f"passphrase of {file}: ").encode())


def _check_private(file: Path) -> None:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        raise Refused(
            "key.file.permission",
            f"key {file}",
            expected="a private key that only its owner can read",
            found=f"mode {mode:04o}",
            remedy=f"chmod 600 {file}",
        )


def _ask_agent(body: bytes) -> bytes:
    address = os.environ.get("SSH_AUTH_SOCK", "")
    if not address:
        raise _agent_failed("no SSH_AUTH_SOCK")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.settimeout(_AGENT_SECONDS)
            agent.connect(address)
            agent.sendall(wire.string(body))
            size = int.from_bytes(_exactly(agent, 4), "big")
            if size > _ANSWER_BYTES_MAX:
                raise _agent_failed(f"an answer of {size} bytes")
            return _exactly(agent, size)
    except OSError as error:
        raise _agent_failed(str(error)) from None


def _exactly(agent: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = agent.recv(size - len(content))
        if not part:
            raise _agent_failed("an answer that ended early")
        content += part
    return content


def _agent_failed(found: str) -> Failed:
    return Failed(
        "key.agent.failed",
        "ssh-agent",
        expected="a signature by the key that the .pub file names",
        found=found,
        remedy="start ssh-agent and add the key with ssh-add",
    )


def _bad(file: Path, found: str) -> Refused:
    return Refused(
        "key.file.input",
        f"key {file}",
        expected="an Ed25519 key as OpenSSH writes it",
        found=found[:200],
        remedy="make one with: surefoot key generate FILE",
    )
