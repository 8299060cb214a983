"""A root file system that every rule finds good, and for each rule the change that it must find.

A file is its content, or `(content, mode)`, or `(content, mode, uid, gid)`; `LINK target` is a
symbolic link, `FOLDER` a folder.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TypeAlias

File: TypeAlias = str | tuple[str, int] | tuple[str, int, int, int]
FOLDER = "\0folder"
HOME = "/ro" + "ot"
KEY = "-----BEGIN " + "PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
ROOT_LINE = f"root:x:0:0::{HOME}:/bin/bash\n"

GOOD: dict[str, File] = {
    "/etc/passwd": ROOT_LINE
    + "daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"
    + "postgres:x:105:105::/var/lib/postgresql:/bin/bash\n"
    + "ann:x:1000:1000::/home/ann:/bin/bash\n",
    "/etc/group": "root:x:0:\nshadow:x:42:\nsudo:x:27:ann\ndocker:x:110:\n"
    "daemon:x:1:\nann:x:1000:\npostgres:x:105:\n",
    "/etc/shadow": (
        "root:!:1::::::\ndaemon:*:1::::::\npostgres:!:1::::::\nann:$y$j9T$a$b:1::::::\n",
        0o640,
        0,
        42,
    ),
    "/etc/login.defs": "ENCRYPT_METHOD YESCRYPT\n",
    "/etc/fstab": "tmpfs /tmp tmpfs rw,nosuid,nodev 0 0\n/dev/vda1 / ext4 defaults 0 1\n",
    HOME: (FOLDER, 0o700),
    "/tmp": (FOLDER, 0o1777),
    "/opt/app/run.py": "print()\n",
    "/etc/ssl/private/site.key": (KEY, 0o640),
    "/usr/bin/passwd": ("x", 0o4755),
    "/usr/bin/backup": ("x", 0o755),
    "/usr/lib/systemd/systemd": ("x", 0o755),
    # The kernel.
    "/etc/sysctl.d/99-site.conf": (
        "kernel.randomize_va_space = 2\nkernel.kptr_restrict=2\nkernel/dmesg_restrict = 1\n"
        "-kernel.yama.ptrace_scope = 1\nkernel.unprivileged_bpf_disabled = 1\nfs.suid_dumpable=0\n"
        "fs.protected_symlinks = 1\nfs.protected_hardlinks = 1\n# a comment\n"
        "net.ipv4.conf.*.accept_redirects = 0\nnet.ipv4.conf.all.accept_source_route = 0\n"
        "net.ipv4.conf.all.rp_filter = 1\nnet.ipv4.tcp_syncookies = 1\n"
    ),
    # SSH.
    "/etc/ssh/ssh_host_ed25519_key": (KEY, 0o600),
    "/etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\n"
    "PermitRootLogin no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    "MaxAuthTries 4\nX11Forwarding no\nCiphers aes256-gcm@openssh.com\n"
    "MACs hmac-sha2-512-etm@openssh.com\nKexAlgorithms curve25519-sha256\n"
    "Match User deploy\n    X11Forwarding no\n",
    "/etc/ssh/sshd_config.d/10-site.conf": "PermitEmptyPasswords no\n",
    # What people may do, and timed jobs.
    "/etc/sudoers": (
        'Defaults use_pty, env_reset\nDefaults secure_path="/usr/sbin:/usr/bin"\n'
        "Cmnd_Alias RESTART = /usr/bin/systemctl restart api\n"
        "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n"
        "deploy ALL=(root) NOPASSWD: RESTART\n@includedir /etc/sudoers.d\n",
        0o440,
    ),
    "/etc/sudoers.d/site": ("ann web1, web2 = (www-data) /usr/bin/id\n", 0o440),
    "/etc/crontab": "SHELL=/bin/sh\n17 * * * * root cd / && /usr/bin/backup --all\n"
    "@daily root /usr/bin/backup\n",
    "/etc/cron.d": (FOLDER, 0o755),
    # Services of the site.
    "/etc/systemd/system/api.service": "[Unit]\nDescription=api\n"
    "[Service]\nExecStart=/opt/app/run.py\n"
    "User=ann\nNoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\n",
    "/etc/systemd/system/worker.service": "[Service]\nDynamicUser=yes\n"
    "ExecStart=/opt/app/run.py \\\n  --worker\n",
    # Containers.
    "/etc/docker/daemon.json": '{"no-new-privileges": true, "icc": false, '
    '"userns-remap": "default"}',
    "/run/docker.sock": ("", 0o660, 0, 110),
    # PostgreSQL.
    "/etc/postgresql/15/main/postgresql.conf": "listen_addresses = '*.example.test'\nssl = on\n"
    "ssl_min_protocol_version = 'TLSv1.2'\npassword_encryption = scram-sha-256 # now\n"
    "include_dir 'conf.d'\nfsync = true\n",
    "/etc/postgresql/15/main/conf.d/site.conf": "row_security = on\n",
    "/etc/postgresql/15/main/pg_hba.conf": (
        'local all postgres peer\nlocal all, app "all" scram-sha-256\n'
        "host all all 127.0.0.1/32 scram-sha-256\n"
        "hostssl app app 10.0.0.0 255.0.0.0 scram-sha-256\n"
        "hostssl replication copy 10.0.0.2/32 cert\nhost all all 0.0.0.0/0 reject\n",
        0o640,
        105,
        105,
    ),
    # nginx.
    "/etc/nginx/nginx.conf": "user www-data;\nevents { worker_connections 64; }\n"
    "http {\n  server_tokens off;\n  ssl_protocols TLSv1.2 TLSv1.3;\n"
    "  include /etc/nginx/conf.d/*.conf;\n}\n",
    "/etc/nginx/conf.d/site.conf": "server {\n  listen 80;\n  return 301 https://$host$request_uri;\n}\n"
    "server {\n  listen 443 ssl;\n  server_name example.test;\n  client_max_body_size 1m;\n"
    "  ssl_ciphers 'HIGH:!aNULL:!MD5';\n  location / { root /srv; }\n}\n",
    # The broker.
    "/etc/mosquitto/mosquitto.conf": "per_listener_settings false\nallow_anonymous false\n"
    "acl_file /etc/mosquitto/site.acl\nmax_packet_size 65536\ninclude_dir /etc/mosquitto/conf.d\n",
    "/etc/mosquitto/conf.d/site.conf": "listener 8883\ncertfile /etc/mosquitto/certs/a.crt\n"
    "keyfile /etc/mosquitto/certs/a.key\ntls_version tlsv1.2\nlistener 1883 127.0.0.1\n",
    "/etc/mosquitto/site.acl": ("pattern readwrite devices/%c/#\n", 0o640),
}


def _with(path: str, *lines: str) -> dict[str, File]:
    """The good file with lines at its end."""
    held = GOOD[path]
    content = "\n".join(lines) + "\n"
    return {path: held + content if isinstance(held, str) else (held[0] + content, *held[1:])}  # type: ignore[dict-item]


def _swap(path: str, before: str, after: str) -> dict[str, File]:
    """The good file with one text for another."""
    held = GOOD[path]
    text = held if isinstance(held, str) else held[0]
    assert before in text, (path, before)
    changed = text.replace(before, after)
    return {path: changed if isinstance(held, str) else (changed, *held[1:])}  # type: ignore[dict-item]


def _sysctl(key: str, value: str) -> dict[str, File]:
    # Read after the good file, so that the last one is seen to count.
    return {"/etc/sysctl.d/99-z.conf": f"{key} = {value}\n"}


def _ssh(line: str, match: bool = False) -> dict[str, File]:
    # Before the good values, so that the first one is seen to count; a block may loosen them.
    if match:
        return _with("/etc/ssh/sshd_config", "Match Address 10.0.0.0/8", f"    {line}")
    return {"/etc/ssh/sshd_config.d/00-bad.conf": f"{line}\n"}


HBA = "/etc/postgresql/15/main/pg_hba.conf"
CONF = "/etc/postgresql/15/main/postgresql.conf"
API = "/etc/systemd/system/api.service"
SITE = "/etc/nginx/conf.d/site.conf"
BROKER = "/etc/mosquitto/mosquitto.conf"
DAEMON = "/etc/docker/daemon.json"

BAD: dict[str, dict[str, File]] = {
    "account-one-root": _with("/etc/passwd", "toor:x:0:1::/:/bin/sh"),
    "account-no-empty-password": _with("/etc/shadow", "bob::1::::::"),
    "account-strong-hash": _with("/etc/shadow", "bob:$1$a$b:1::::::"),
    "account-hash-elsewhere": _with("/etc/passwd", "bob:$6$a$b:1001:1001::/:/bin/sh"),
    "account-system-no-shell": _with("/etc/passwd", "queue:x:200:1::/:/bin/sh"),
    "account-number-once": _with("/etc/passwd", "bob:x:1000:1::/:/bin/sh"),
    "account-name-once": _with("/etc/passwd", "ann:x:1002:1::/:/bin/sh"),
    "account-group-number-once": _with("/etc/group", "staff:x:27:"),
    "account-no-shadow-members": _swap("/etc/group", "shadow:x:42:", "shadow:x:42:ann"),
    "account-hash-method": {"/etc/login.defs": "ENCRYPT_METHOD MD5\n"},
    "container-socket": {"/run/docker.sock": ("", 0o666, 0, 110)},
    "container-daemon-file": {DAEMON: (str(GOOD[DAEMON]), 0o664)},
    "container-no-new-rights": {DAEMON: '{"userns-remap": "default", "icc": false}'},
    "container-own-numbers": {DAEMON: '{"no-new-privileges": true, "icc": false}'},
    "container-apart": {DAEMON: '{"no-new-privileges": true, "userns-remap": "a", "icc": true}'},
    "container-no-network": _swap(DAEMON, '{"no', '{"hosts": ["fd://", "tcp://0.0.0.0:1"], "no'),
    "container-registries": _swap(DAEMON, '{"no', '{"insecure-registries": ["a.test"], "no'),
    "cron-tables": {"/etc/cron.d/job": ("@daily root /usr/bin/backup\n", 0o664)},
    "cron-folders": {"/etc/cron.daily": (FOLDER, 0o775)},
    "cron-programs": {"/srv/job": ("x", 0o757), "/etc/cron.d/job": "@daily root /srv/job\n"},
    "file-passwd": {"/etc/passwd": (str(GOOD["/etc/passwd"]), 0o664)},
    "file-shadow": {"/etc/shadow": (str(GOOD["/etc/shadow"][0]), 0o644, 0, 42)},
    "file-host-key": {"/etc/ssh/ssh_host_rsa_key": ("x", 0o644)},
    "file-sshd-config": {"/etc/ssh/sshd_config.d/20.conf": ("Port 22\n", 0o664)},
    "file-root-home": {HOME: (FOLDER, 0o755)},
    "file-private-key": {"/opt/app/tls.key": (KEY, 0o644)},
    "file-world-writable": {"/opt/app/notes": ("x", 0o666)},
    "file-open-folder": {"/srv/drop": (FOLDER, 0o777)},
    "file-setuid": {"/usr/bin/backup": ("x", 0o4755)},
    "file-unowned": {"/opt/app/left": ("x", 0o644, 4242, 0)},
    "kernel-addresses-random": _sysctl("kernel.randomize_va_space", "1"),
    "kernel-pointers-hidden": _sysctl("kernel.kptr_restrict", "0"),
    "kernel-messages-hidden": _sysctl("kernel.dmesg_restrict", "0"),
    "kernel-trace-own": _sysctl("kernel.yama.ptrace_scope", "0"),
    "kernel-programs-in-kernel": _sysctl("kernel.unprivileged_bpf_disabled", "0"),
    "kernel-no-secret-dumps": _sysctl("fs.suid_dumpable", "2"),
    "kernel-links-protected": _sysctl("fs.protected_symlinks", "0"),
    "kernel-hard-links-protected": _sysctl("fs.protected_hardlinks", "0"),
    "kernel-no-redirects": _sysctl("net.ipv4.conf.all.accept_redirects", "1"),
    "kernel-no-source-routes": _sysctl("net.ipv4.conf.all.accept_source_route", "1"),
    "kernel-senders-checked": _sysctl("net.ipv4.conf.all.rp_filter", "0"),
    "kernel-cookies": _sysctl("net.ipv4.tcp_syncookies", "0"),
    "mount-shared-nosuid": {"/etc/fstab": "tmpfs /tmp tmpfs rw,nodev 0 0\n"},
    "mount-shared-nodev": {"/etc/fstab": "tmpfs /var/tmp tmpfs rw,nosuid 0 0\n"},
    "mqtt-anonymous": _swap(BROKER, "allow_anonymous false", "allow_anonymous true"),
    "mqtt-encrypted": {"/etc/mosquitto/conf.d/open.conf": "listener 1884\n"},
    "mqtt-access": _swap(BROKER, "acl_file /etc/mosquitto/site.acl\n", ""),
    "mqtt-tls-version": {
        "/etc/mosquitto/conf.d/old.conf": "listener 8884\ncertfile /a\nkeyfile /b\n"
        "tls_version tlsv1.1\n"
    },
    "mqtt-size-bounded": _swap(BROKER, "max_packet_size 65536\n", ""),
    "mqtt-files": {"/etc/mosquitto/passwd": ("a:$7$b\n", 0o644)},
    "nginx-version-hidden": _swap(SITE, "location / {", "location / { server_tokens on;"),
    "nginx-tls-versions": _swap(SITE, "listen 443 ssl;", "listen 443 ssl; ssl_protocols TLSv1;"),
    "nginx-ciphers": _swap(SITE, "HIGH:!aNULL", "HIGH:RC4:!aNULL"),
    "nginx-listing": _swap(SITE, "root /srv;", "root /srv; autoindex on;"),
    "nginx-clear-text": _swap(SITE, "return 301 https://$host$request_uri;", "root /srv;"),
    "nginx-body-bounded": _swap(SITE, "client_max_body_size 1m", "client_max_body_size 0"),
    "nginx-config-modes": {SITE: (str(GOOD[SITE]), 0o664)},
    "postgres-no-trust": _with(HBA, "host all all samehost trust"),
    "postgres-no-old-hash": _with(HBA, "hostssl all all 10.1.0.0/16 md5"),
    "postgres-no-ident": _with(HBA, "hostssl all all 10.1.0.0/16 ident"),
    "postgres-encrypted-access": _with(HBA, "host app app 10.1.0.0 255.255.0.0 scram-sha-256"),
    "postgres-replication": _with(HBA, "hostssl app,replication all all scram-sha-256"),
    "postgres-password-hash": _with(CONF, "password_encryption = md5"),
    "postgres-listen": _with(CONF, "listen_addresses = '10.0.0.1, *'"),
    "postgres-tls": _with(CONF, "ssl = no"),
    "postgres-tls-version": _with(CONF, "ssl_min_protocol_version = 'TLSv1'"),
    "postgres-row-security": {"/etc/postgresql/15/main/conf.d/z.conf": "row_security false\n"},
    "postgres-fsync": {"/etc/postgresql/15/main/postgresql.auto.conf": "fsync = 'off'\n"},
    "postgres-access-file": {HBA: (str(GOOD[HBA][0]), 0o644, 105, 105)},
    "ssh-root-login": _ssh("PermitRootLogin yes"),
    "ssh-passwords": _ssh("PasswordAuthentication yes", match=True),
    "ssh-keyboard": _ssh("KbdInteractiveAuthentication=yes"),
    "ssh-empty-passwords": _ssh('PermitEmptyPasswords "yes"', match=True),
    "ssh-host-trust": _ssh("HostbasedAuthentication yes"),
    "ssh-environment": _ssh("permituserenvironment yes"),
    "ssh-attempts": _ssh("MaxAuthTries 20"),
    "ssh-display": _ssh("X11Forwarding yes", match=True),
    "ssh-ciphers": _ssh("Ciphers +aes128-cbc"),
    "ssh-macs": _ssh("MACs hmac-sha2-256,hmac-md5"),
    "ssh-key-exchange": _ssh("KexAlgorithms diffie-hellman-group14-sha1"),
    "sudo-file-modes": {"/etc/sudoers.d/open": ("ann ALL=(ann) /usr/bin/id\n", 0o644)},
    "sudo-password": {"/etc/sudoers.d/x": ("bob ALL=(root) /bin/ls, NOPASSWD: ALL\n", 0o440)},
    "sudo-authenticate": {"/etc/sudoers.d/x": ("Defaults:bob !authenticate\n", 0o440)},
    "sudo-terminal": _swap("/etc/sudoers", "Defaults use_pty, ", "Defaults !use_pty, "),
    "sudo-everybody": {"/etc/sudoers.d/x": ("ALL ALL=(root) /usr/bin/id\n", 0o440)},
    "sudo-no-exceptions": {"/etc/sudoers.d/x": ("bob ALL=(root) /bin/*, !/bin/sh\n", 0o440)},
    "systemd-user": _swap(API, "User=ann\n", ""),
    "systemd-no-new-rights": {f"{API}.d/z.conf": "[Service]\nNoNewPrivileges=no\n"},
    "systemd-system-read-only": _swap(API, "ProtectSystem=strict", "protectsystem=strict"),
    "systemd-homes-hidden": _swap(API, "ProtectHome=yes\n", ""),
    "systemd-private-tmp": {"/usr/lib/systemd/system/service.d/z.conf": "[Service]\nPrivateTmp=\n"},
    "systemd-unit-modes": {API: (str(GOOD[API]), 0o775)},
}


def write_tar(path: Path, files: dict[str, File]) -> Path:
    """The files as a tar, folders above them as root's."""
    with tarfile.open(path, "w") as tar:
        for name, held in sorted(files.items()):
            content, mode, uid, gid = _parts(held)
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.mode, entry.uid, entry.gid = mode, uid, gid
            if content == FOLDER:
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            elif content.startswith("LINK "):
                entry.type, entry.linkname = tarfile.SYMTYPE, content[5:]
                tar.addfile(entry)
            else:
                raw = content.encode()
                entry.size = len(raw)
                tar.addfile(entry, io.BytesIO(raw))
    return path


def write_folder(folder: Path, files: dict[str, File]) -> Path:
    """The files below a folder, as the person who runs the test."""
    for name, held in sorted(files.items()):
        content, mode, _, _ = _parts(held)
        path = folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if content == FOLDER:
            path.mkdir(exist_ok=True)
            path.chmod(mode)
        elif content.startswith("LINK "):
            path.symlink_to(content[5:])
        else:
            path.write_text(content)
            path.chmod(mode)
    return folder


def _parts(held: File) -> tuple[str, int, int, int]:
    if isinstance(held, str):
        return held, 0o644, 0, 0
    content, mode, *owners = held
    uid, gid = owners if owners else (0, 0)
    return content, mode, uid, gid
