"""The MQTT broker Mosquitto: what holds for all, and each listener.

Source: mosquitto.conf(5): options after `listener` belong to it; access is set for each listener
only with `per_listener_settings true`, which stands first; a folder's `.conf` files are read in
the order of their names. Without a listener it answers on loopback alone.
"""

from __future__ import annotations

from surefoot.gates.hardening.formats.scope import Scope, Value, unparsed
from surefoot.gates.hardening.look import Look, text_of

PATH = "/etc/mosquitto/mosquitto.conf"
_DEPTH_MAX = 8
_ACCESS = (
    *("allow_anonymous", "password_file", "acl_file", "psk_file", "plugin", "auth_plugin"),
    "allow_zero_length_clientid",
)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Values = dict[str, tuple[Value, ...]]


class _Reading:
    def __init__(self, look: Look) -> None:
        self.look = look
        self.everywhere: Values = {}
        self.listeners: list[tuple[str, Values]] = []
        self.bridge = False

    def file(self, path: str, depth: int) -> None:
        text = text_of(self.look, path)
        if depth > _DEPTH_MAX or text is None:
            raise unparsed(path, 1, "a file that is not there, or includes itself")
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            name, _, rest = line.partition(" ")
            rest = rest.strip()
            if not rest or not name.replace("_", "").isalnum():
                raise unparsed(path, number, "no OPTION VALUE")
            if name == "include_dir":
                for inner in self.look.names(rest) or ():
                    if inner.endswith(".conf"):
                        self.file(f"{rest.rstrip('/')}/{inner}", depth + 1)
            else:
                self._option(name, Value(rest, path, number))

    def _option(self, name: str, value: Value) -> None:
        if name in ("listener", "port"):
            self.bridge = False
            words = value.text.split()
            address = words[1] if len(words) > 1 else ""
            reach = "loopback" if address in _LOOPBACK else "wide"
            held: Values = {"reach": (Value(reach, value.file, value.line),)}
            if words[0] == "0":
                held["reach"] = (Value("socket", value.file, value.line),)
            self.listeners.append((value.text, held))
        elif name == "connection":
            self.bridge = True
        elif self.bridge:
            return
        elif self.listeners and (name not in _ACCESS or self.each()):
            self.listeners[-1][1].setdefault(name, (value,))
        else:
            self.everywhere[name] = (value,)

    def each(self) -> bool:
        found = self.everywhere.get("per_listener_settings", ())
        return any(value.text == "true" for value in found)


def read(look: Look) -> list[Scope] | None:
    """A scope for each listener, with what holds for all; one for the broker."""
    if look.stat(PATH) is None:
        return None
    reading = _Reading(look)
    reading.file(PATH, 0)
    kind = (Value("broker", PATH),)
    scopes = [Scope("broker", PATH, reading.everywhere | {"kind": kind}, False)]
    inherited = reading.everywhere
    if reading.each():
        inherited = {k: v for k, v in inherited.items() if k not in _ACCESS}
    for name, values in reading.listeners:
        place = values["reach"][0]
        listener = (Value("listener", place.file, place.line),)
        whole = inherited | values | {"kind": listener}
        whole["access"] = (Value(_access(whole), place.file, place.line),)
        whole["encrypted"] = (Value(_encrypted(whole), place.file, place.line),)
        scopes.append(Scope(f"listener {name}", place.file, whole))
    return scopes


def _access(values: Values) -> str:
    return "yes" if any(k in values for k in ("acl_file", "plugin", "auth_plugin")) else "no"


def _encrypted(values: Values) -> str:
    return "yes" if ("certfile" in values and "keyfile" in values) or "psk_hint" in values else "no"
