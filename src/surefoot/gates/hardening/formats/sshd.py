"""`sshd_config`: the first value of a keyword counts; Match blocks are scopes of their own.

Source: sshd_config(5): Include is read where it stands, relative names are below /etc/ssh, several
files in lexical order; a Match in an included file ends with that file.
"""

from __future__ import annotations

import re

from surefoot.gates.hardening.formats.scope import Scope, Value, unparsed, words
from surefoot.gates.hardening.look import Look, glob, text_of

PATH = "/etc/ssh/sshd_config"
_DEPTH_MAX = 16
_OLD_NAMES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "skeyauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
}
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\s*=\s*|\s+)(.*)")


class _Reading:
    def __init__(self, look: Look) -> None:
        self.look = look
        self.outside: dict[str, tuple[Value, ...]] = {}
        self.blocks: dict[str, dict[str, tuple[Value, ...]]] = {}
        self.files: dict[str, str] = {}

    def file(self, path: str, block: str, depth: int) -> None:
        if depth > _DEPTH_MAX:
            raise unparsed(path, 1, "files that include each other")
        for number, line in enumerate((text_of(self.look, path) or "").splitlines(), 1):
            stripped = line.strip()
            if not stripped or stripped.startswith("#"):
                continue
            found = _LINE.fullmatch(stripped)
            arguments = words(found[2], path, number) if found else []
            if found is None or not arguments:
                raise unparsed(path, number, "no keyword with a value")
            keyword = found[1].casefold()
            if keyword == "match":
                block = " ".join(arguments)
                self.files.setdefault(block, path)
            elif keyword == "include":
                for pattern in arguments:
                    absolute = pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"
                    for inner in glob(self.look, absolute):
                        self.file(inner, block, depth + 1)
            else:
                held = self.blocks.setdefault(block, {}) if block else self.outside
                held.setdefault(
                    _OLD_NAMES.get(keyword, keyword), (Value(" ".join(arguments), path, number),)
                )


def read(look: Look) -> list[Scope] | None:
    """Scopes: the part outside blocks, and each Match block with what it sets itself."""
    if look.stat(PATH) is None:
        return None
    reading = _Reading(look)
    reading.file(PATH, "", 0)
    everyone = next((b for b in reading.blocks if b.casefold() == "all"), None)
    outside = reading.outside | (reading.blocks.pop(everyone) if everyone else {})
    return [
        Scope("sshd", PATH, outside),
        *(
            Scope(f"Match {name}", reading.files[name], held, False)
            for name, held in reading.blocks.items()
        ),
    ]
