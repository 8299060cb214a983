"""Configurations are read as their own programs read them, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from roots import GOOD, ROOT_LINE

from surefoot.gates.hardening.folder import FolderLook
from surefoot.gates.hardening.formats import FORMATS, Scope, sysctl
from surefoot.gates.hardening.look import Unseen

SSHD = "/etc/ssh/sshd_config"
HBA = "/etc/postgresql/15/main/pg_hba.conf"
CONF = "/etc/postgresql/15/main/postgresql.conf"
NGINX = "/etc/nginx/nginx.conf"
BROKER = "/etc/mosquitto/mosquitto.conf"


@pytest.fixture
def look_of(tar_look: Any) -> Any:
    """A root with these files and a list of accounts."""
    return lambda files: tar_look({"/etc/passwd": ROOT_LINE} | files)


@pytest.fixture
def read(look_of: Any) -> Any:
    """The scopes of a form over files."""

    def reading(form: str, files: dict[str, str]) -> list[Scope]:
        found = FORMATS[form](look_of(files))
        assert found is not None
        return found

    return reading


def texts(scope: Scope, key: str) -> list[str]:
    return [value.text for value in scope.values.get(key, ())]


@pytest.mark.parametrize(
    ("form", "files"),
    [
        ("sshd", {SSHD: "PermitRootLogin\n"}),
        ("sshd", {SSHD: 'Banner "open\n'}),
        ("sshd", {SSHD: f"Include {SSHD}\n"}),
        ("sudoers", {"/etc/sudoers": "ann ALL\n"}),
        ("sudoers", {"/etc/sudoers": "ann ALL=(root NOPASSWD: ALL\n"}),
        ("sudoers", {"/etc/sudoers": "ann ALL=NEWTAG: ALL\n"}),
        ("sudoers", {"/etc/sudoers": "ann ALL=(root) /bin/ls, \\"}),
        ("sudoers", {"/etc/sudoers": "@include /etc/sudoers\n"}),
        ("systemd", {"/etc/systemd/system/a.service": "ExecStart=/a\n"}),
        ("postgres", {CONF: "listen_addresses '*\n"}),
        ("postgres", {CONF: "include 'missing.conf'\n"}),
        ("postgres", {CONF: "include 'postgresql.conf'\n"}),
        ("postgres-access", {CONF: "", HBA: "host all all trust\n"}),
        ("postgres-access", {CONF: "", HBA: "hosts all all 10.0.0.0/8 trust\n"}),
        ("postgres-access", {CONF: "", HBA: 'local "all all trust\n'}),
        ("postgres-access", {CONF: ""}),
        ("nginx", {NGINX: "http { server { listen 80; }\n"}),
        ("nginx", {NGINX: "http { } }\n"}),
        ("nginx", {NGINX: "http { server_tokens off }\n"}),
        ("nginx", {NGINX: "user 'www;\n"}),
        ("nginx", {NGINX: "include missing.conf;\n"}),
        ("nginx", {NGINX: "include nginx.conf;\n"}),
        ("nginx", {NGINX: "http { content_by_lua_block { os.exit() } }\n"}),
        ("mosquitto", {BROKER: "listener\n"}),
        ("mosquitto", {BROKER: "include_dir /etc/mosquitto\n"}),
        ("docker", {"/etc/docker/daemon.json": "{"}),
        ("docker", {"/etc/docker/daemon.json": "[]"}),
        ("accounts", {"/etc/passwd": "root:x:0:0\n"}),
        ("accounts", {"/etc/passwd": "root:x:zero:0::/:/bin/sh\n"}),
        ("passwords", {}),
        ("cron", {"/etc/crontab": "* * * root /bin/x\n"}),
        ("mounts", {"/etc/fstab": "tmpfs\n"}),
    ],
)
def test_what_is_not_understood_is_unseen(form: str, files: dict[str, str], look_of: Any) -> None:
    with pytest.raises(Unseen):
        FORMATS[form](look_of(files))


@pytest.mark.parametrize(
    "form", sorted(set(FORMATS) - {"accounts", "passwords", "groups", "sockets"})
)
def test_what_is_not_installed_is_none(form: str, look_of: Any) -> None:
    assert FORMATS[form](look_of({})) is None


def test_binary_files_are_unseen(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "fstab").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Unseen, match="UTF-8"):
        FORMATS["mounts"](FolderLook(tmp_path))


def test_sshd_the_first_value_counts_and_match_all_is_for_all(read: Any) -> None:
    files = {
        SSHD: "Port 22\nPermitRootLogin no\npermitrootlogin yes\nMatch All\nBanner none\n",
    }
    (outside,) = read("sshd", files)
    assert texts(outside, "permitrootlogin") == ["no"]
    assert texts(outside, "banner") == ["none"]


def test_sshd_a_match_in_an_included_file_ends_with_it(read: Any) -> None:
    files = {
        SSHD: "Include conf.d/*\nPermitRootLogin no\n",
        "/etc/ssh/conf.d/a": "Match User bob\n  PermitRootLogin yes\n",
    }
    outside, block = read("sshd", files)
    assert texts(outside, "permitrootlogin") == ["no"]
    assert block.name == "Match User bob"
    assert texts(block, "permitrootlogin") == ["yes"]


def test_sudoers_several_lists_tags_and_aliases(read: Any) -> None:
    line = (
        "User_Alias OPS = ann, bob\nCmnd_Alias ANY = ALL\n"
        "OPS, carl web1, web2 = (www) /bin/a \\, b, NOPASSWD: /bin/c, PASSWD: /bin/d "
        ": db = CWD=/srv ANY # all\n"
    )
    scopes = read("sudoers", {"/etc/sudoers": line})[1:]
    rows = [[texts(s, key)[0] for key in ("who", "runas", "command", "password")] for s in scopes]
    assert rows == [
        ["OPS,carl", "www", "/bin/a \\, b", "yes"],
        ["OPS,carl", "www", "/bin/c", "no"],
        ["OPS,carl", "www", "/bin/d", "yes"],
        ["OPS,carl", "root", "ALL", "yes"],
    ]


def test_sudoers_a_password_is_not_needed_in_a_further_list(read: Any) -> None:
    line = "ann web=/bin/a : db=(ALL) NOPASSWD: ALL\n"
    scopes = read("sudoers", {"/etc/sudoers": line})
    assert [texts(s, "password") for s in scopes[1:]] == [["yes"], ["no"]]


def test_sudoers_an_alias_in_an_alias_may_be_everything(read: Any) -> None:
    lines = "Cmnd_Alias A = /bin/a, B\nCmnd_Alias B = /bin/b, ALL, A\nann ALL=NOPASSWD: A\n"
    _, grant = read("sudoers", {"/etc/sudoers": lines})
    assert texts(grant, "command") == ["/bin/a", "/bin/b", "ALL"]


def test_sshd_an_old_name_is_the_same_keyword(read: Any) -> None:
    (outside,) = read("sshd", {SSHD: "ChallengeResponseAuthentication no\n"})
    assert texts(outside, "kbdinteractiveauthentication") == ["no"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/etc/sysctl.d/a.conf": "a.b = 1\n", "/usr/lib/sysctl.d/b.conf": "a.b = 2\n"}, ["2"]),
        ({"/etc/sysctl.d/a.conf": "a.b = 1\n", "/usr/lib/sysctl.d/a.conf": "a.b = 2\n"}, ["1"]),
        ({"/etc/sysctl.d/a.conf": "a.b = 1\na.* = 2\n"}, ["1"]),
        ({"/etc/sysctl.d/a.conf": "a.* = 2\n-a.b\n"}, []),
        ({"/etc/sysctl.d/a.conf": "a.* = 2\n"}, ["2"]),
        ({"/etc/sysctl.conf": "a.b = 3\n", "/etc/sysctl.d/z.conf": "a.b = 1\n"}, ["3"]),
        (
            {
                "/etc/sysctl.conf": "a.b = 3\n",
                "/usr/lib/systemd/systemd": "",
                "/etc/sysctl.d/a": "",
            },
            [],
        ),
        ({"/usr/lib/sysctl.d/a.conf": "a.b = 1\n", "/etc/sysctl.d/a.conf": "LINK /dev/null"}, []),
    ],
)
def test_sysctl_order(files: dict[str, str], expected: list[str], look_of: Any) -> None:
    found = sysctl.read(look_of(files), "a.b")
    assert found is not None
    assert texts(found[0], "a.b") == expected


def test_sysctl_a_line_without_a_value_is_unseen(look_of: Any) -> None:
    with pytest.raises(Unseen):
        sysctl.read(look_of({"/etc/sysctl.d/a.conf": "a.b\n"}), "a.b")


def test_postgres_the_last_value_counts(read: Any) -> None:
    files = {
        CONF: "ssl = off\ndata_directory = '/var/lib/pg'\ninclude_if_exists = 'no.conf'\n"
        "search_path = '\"$user\", public' # it''s\nbad = 'it''s \\'so\\''\n",
        "/var/lib/pg/postgresql.auto.conf": "SSL = 'true'\n",
    }
    (scope,) = read("postgres", files)
    assert texts(scope, "ssl") == ["on"]
    assert texts(scope, "bad") == ["it's 'so'"]


def test_postgres_access_lines(read: Any) -> None:
    hba = (
        'local a,"b c" @names peer map=x\nhost all all ::/0 md5\n'
        "host all all 10.0.0.0 255.0.0.0 trust\nhostssl all +ops .example.test cert clientcert=1\n"
        "host all \\\n all samenet reject\ninclude_if_exists nothing\n"
    )
    scopes = read("postgres-access", {CONF: "", HBA: hba})
    rows = [[texts(s, key)[0] for key in ("type", "address", "reach", "method")] for s in scopes]
    assert rows == [
        ["local", "local", "here", "peer"],
        ["host", "::/0", "everywhere", "md5"],
        ["host", "10.0.0.0/8", "some", "trust"],
        ["hostssl", ".example.test", "some", "cert"],
        ["host", "samenet", "some", "reject"],
    ]


def test_nginx_values_are_inherited(read: Any) -> None:
    conf = (
        'http { server_tokens off; log_format a "{ $x; }"; server { listen [::]:443 ssl;\n'
        "server_name '~^(www|api)\\d{2}\\.test$'; location ~ /x { autoindex on; } } }\n"
    )
    _, server, location = read("nginx", {NGINX: conf})
    assert texts(server, "server_tokens") == ["off"]
    assert texts(server, "tls") == ["yes"]
    assert texts(location, "autoindex") == ["on"] and not location.whole


def test_mosquitto_options_belong_to_their_listener(read: Any) -> None:
    conf = (
        "per_listener_settings true\nallow_anonymous true\nlistener 1883 127.0.0.1\n"
        "allow_anonymous false\nlistener 0 /run/m.sock\nlistener 8883\n"
        "connection up\naddress a.test\ntls_version tlsv1.1\n"
    )
    scopes = read("mosquitto", {BROKER: conf})[1:]
    assert [texts(s, "allow_anonymous") for s in scopes] == [["false"], [], []]
    assert [texts(s, "reach")[0] for s in scopes] == ["loopback", "socket", "wide"]
    assert [texts(s, "tls_version") for s in scopes] == [[], [], []]


def test_a_unit_that_is_linked_in_is_the_site_s_own(read: Any) -> None:
    unit = "[Service]\nExecStart=/opt/a\n"
    files = {
        "/etc/systemd/system/a.service": "LINK /opt/a.service",
        "/opt/a.service": unit,
        "/etc/systemd/system/b.service": "LINK /lib/systemd/system/c.service",
        "/lib/systemd/system/c.service": unit,
    }
    assert [scope.name for scope in read("systemd", files)] == ["a.service"]


def test_units_masked_and_once_only_are_left_out(look_of: Any) -> None:
    files = {
        "/etc/systemd/system/gone.service": "LINK /dev/null",
        "/etc/systemd/system/once.service": "[Service]\nType=oneshot\nExecStart=/a\n",
    }
    assert FORMATS["systemd"](look_of(files)) is None


def test_good_examples_are_understood(tar_look: Any) -> None:
    look = tar_look(GOOD)
    assert all(FORMATS[form](look) for form in set(FORMATS) - {"sockets"})
