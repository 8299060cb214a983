"""An installer on a D-Bus of its own, in RAUC's place: what it is told to install it only reads.

Run by Debian's Python, which has `gi`: installer.py RESULT. It tells its progress and its end in
the words of RAUC's interface; RESULT is 0, or another number for an installation that fails.
"""

import sys
from pathlib import Path

from gi.repository import Gio, GLib

NAME = "de.pengutronix.rauc"
INTERFACE = f"{NAME}.Installer"
ABOUT = Gio.DBusNodeInfo.new_for_xml(
    f"""<node><interface name="{INTERFACE}">
    <method name="Install"><arg name="source" type="s" direction="in"/></method>
    <property name="Progress" type="(isi)" access="read"/>
    <property name="LastError" type="s" access="read"/>
    <property name="Operation" type="s" access="read"/>
    <signal name="Completed"><arg name="result" type="i"/></signal>
    </interface></node>"""
).interfaces[0]
STEPS = [(0, "Installing"), (20, "Checking bundle done."), (80, "Copying image to rootfs.0")]
HELD = {
    "Progress": GLib.Variant("(isi)", (0, "idle", 1)),
    "LastError": GLib.Variant("s", ""),
    "Operation": GLib.Variant("s", "idle"),
}


def called(connection, _sender, _path, _interface, _method, words, invocation) -> None:
    """Install: tell each step, and then the end."""
    content = Path(words.unpack()[0]).read_bytes()
    invocation.return_value(None)
    result = int(sys.argv[1]) if content else 1
    told = [{"Progress": GLib.Variant("(isi)", (*step, 1))} for step in STEPS]
    if result:
        told.append({"LastError": GLib.Variant("s", "Failed to check bundle")})
    for each in told:
        body = GLib.Variant("(sa{sv}as)", (INTERFACE, each, []))
        connection.emit_signal(
            None, "/", "org.freedesktop.DBus.Properties", "PropertiesChanged", body
        )
    connection.emit_signal(None, "/", INTERFACE, "Completed", GLib.Variant("(i)", (result,)))


bus = Gio.bus_get_sync(Gio.BusType.SYSTEM, None)
bus.register_object("/", ABOUT, called, lambda *words: HELD[words[4]], None)
loop = GLib.MainLoop()
Gio.bus_own_name_on_connection(
    bus, NAME, Gio.BusNameOwnerFlags.NONE, lambda *_: print("ready", flush=True), None
)
loop.run()
