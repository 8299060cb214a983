"""Configurations, each read in its own form, strictly: what is not understood is not judged.

Keeps: a reader answers scopes, or None when the thing is not installed; it raises `Unseen` for what
is there and cannot be seen or parsed. Does not: judge.
"""

from __future__ import annotations

from collections.abc import Callable

from surefoot.gates.hardening.formats import (
    accounts,
    hosts,
    mosquitto,
    nginx,
    postgres,
    sshd,
    sudoers,
    sysctl,
    systemd,
)
from surefoot.gates.hardening.formats.scope import Scope, Value
from surefoot.gates.hardening.look import Look

__all__ = ["FORMATS", "Scope", "Value", "sysctl"]

FORMATS: dict[str, Callable[[Look], list[Scope] | None]] = {
    "accounts": accounts.read,
    "passwords": accounts.read_passwords,
    "groups": accounts.read_groups,
    "cron": hosts.read_cron,
    "docker": hosts.read_docker,
    "login": hosts.read_login,
    "mounts": hosts.read_mounts,
    "sockets": hosts.read_sockets,
    "mosquitto": mosquitto.read,
    "nginx": nginx.read,
    "postgres": postgres.read,
    "postgres-access": postgres.read_access,
    "sshd": sshd.read,
    "sudoers": sudoers.read,
    "systemd": systemd.read,
}
