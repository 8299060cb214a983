"""TLS cipher suites by number, and what is wrong with some of them.

Source: the registry of TLS cipher suites (RFC 8447, section 8); weaknesses: RFC 7465 (RC4),
RFC 8996 (MD5, SHA-1), RFC 9325 (sections 4.1 and 4.2).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["low", "medium", "high", "critical"]

_KEY_EXCHANGES = {
    "RSA": (
        *((0x0001, "NULL_MD5"), (0x0002, "NULL_SHA"), (0x003B, "NULL_SHA256")),
        *((0x0003, "EXPORT_RC4_40_MD5"), (0x0006, "EXPORT_RC2_CBC_40_MD5")),
        *((0x0008, "EXPORT_DES40_CBC_SHA"), (0x0004, "RC4_128_MD5"), (0x0005, "RC4_128_SHA")),
        *((0x0007, "IDEA_CBC_SHA"), (0x0009, "DES_CBC_SHA"), (0x000A, "3DES_EDE_CBC_SHA")),
        *((0x002F, "AES_128_CBC_SHA"), (0x0035, "AES_256_CBC_SHA"), (0x0096, "SEED_CBC_SHA")),
        *((0x003C, "AES_128_CBC_SHA256"), (0x003D, "AES_256_CBC_SHA256")),
        *((0x009C, "AES_128_GCM_SHA256"), (0x009D, "AES_256_GCM_SHA384")),
        *((0x0041, "CAMELLIA_128_CBC_SHA"), (0x0084, "CAMELLIA_256_CBC_SHA")),
        *((0x00BA, "CAMELLIA_128_CBC_SHA256"), (0x00C0, "CAMELLIA_256_CBC_SHA256")),
        *((0xC09C, "AES_128_CCM"), (0xC09D, "AES_256_CCM")),
        *((0xC0A0, "AES_128_CCM_8"), (0xC0A1, "AES_256_CCM_8")),
        *((0xC050, "ARIA_128_GCM_SHA256"), (0xC051, "ARIA_256_GCM_SHA384")),
    ),
    "DHE_DSS": (
        *((0x0011, "EXPORT_DES40_CBC_SHA"), (0x0012, "DES_CBC_SHA"), (0x0013, "3DES_EDE_CBC_SHA")),
        *((0x0032, "AES_128_CBC_SHA"), (0x0038, "AES_256_CBC_SHA")),
        *((0x0040, "AES_128_CBC_SHA256"), (0x006A, "AES_256_CBC_SHA256")),
        *((0x00A2, "AES_128_GCM_SHA256"), (0x00A3, "AES_256_GCM_SHA384")),
    ),
    "DHE_RSA": (
        *((0x0014, "EXPORT_DES40_CBC_SHA"), (0x0015, "DES_CBC_SHA"), (0x0016, "3DES_EDE_CBC_SHA")),
        *((0x0033, "AES_128_CBC_SHA"), (0x0039, "AES_256_CBC_SHA"), (0x009A, "SEED_CBC_SHA")),
        *((0x0067, "AES_128_CBC_SHA256"), (0x006B, "AES_256_CBC_SHA256")),
        *((0x009E, "AES_128_GCM_SHA256"), (0x009F, "AES_256_GCM_SHA384")),
        *((0x0045, "CAMELLIA_128_CBC_SHA"), (0x0088, "CAMELLIA_256_CBC_SHA")),
        *((0x00BE, "CAMELLIA_128_CBC_SHA256"), (0x00C4, "CAMELLIA_256_CBC_SHA256")),
        *((0xC09E, "AES_128_CCM"), (0xC09F, "AES_256_CCM")),
        *((0xC0A2, "AES_128_CCM_8"), (0xC0A3, "AES_256_CCM_8")),
        *((0xC052, "ARIA_128_GCM_SHA256"), (0xC053, "ARIA_256_GCM_SHA384")),
        (0xCCAA, "CHACHA20_POLY1305_SHA256"),
    ),
    "DH_anon": (
        *((0x0017, "EXPORT_RC4_40_MD5"), (0x0018, "RC4_128_MD5"), (0x0019, "EXPORT_DES40_CBC_SHA")),
        *((0x001A, "DES_CBC_SHA"), (0x001B, "3DES_EDE_CBC_SHA")),
        *((0x0034, "AES_128_CBC_SHA"), (0x003A, "AES_256_CBC_SHA")),
        *((0x006C, "AES_128_CBC_SHA256"), (0x006D, "AES_256_CBC_SHA256")),
        *((0x00A6, "AES_128_GCM_SHA256"), (0x00A7, "AES_256_GCM_SHA384")),
        *((0x0046, "CAMELLIA_128_CBC_SHA"), (0x0089, "CAMELLIA_256_CBC_SHA")),
    ),
    "ECDH_anon": (
        *((0xC015, "NULL_SHA"), (0xC016, "RC4_128_SHA"), (0xC017, "3DES_EDE_CBC_SHA")),
        *((0xC018, "AES_128_CBC_SHA"), (0xC019, "AES_256_CBC_SHA")),
    ),
    "ECDHE_ECDSA": (
        *((0xC006, "NULL_SHA"), (0xC007, "RC4_128_SHA"), (0xC008, "3DES_EDE_CBC_SHA")),
        *((0xC009, "AES_128_CBC_SHA"), (0xC00A, "AES_256_CBC_SHA")),
        *((0xC023, "AES_128_CBC_SHA256"), (0xC024, "AES_256_CBC_SHA384")),
        *((0xC02B, "AES_128_GCM_SHA256"), (0xC02C, "AES_256_GCM_SHA384")),
        *((0xC072, "CAMELLIA_128_CBC_SHA256"), (0xC073, "CAMELLIA_256_CBC_SHA384")),
        *((0xC0AC, "AES_128_CCM"), (0xC0AD, "AES_256_CCM")),
        *((0xC0AE, "AES_128_CCM_8"), (0xC0AF, "AES_256_CCM_8")),
        *((0xC05C, "ARIA_128_GCM_SHA256"), (0xC05D, "ARIA_256_GCM_SHA384")),
        (0xCCA9, "CHACHA20_POLY1305_SHA256"),
    ),
    "ECDHE_RSA": (
        *((0xC010, "NULL_SHA"), (0xC011, "RC4_128_SHA"), (0xC012, "3DES_EDE_CBC_SHA")),
        *((0xC013, "AES_128_CBC_SHA"), (0xC014, "AES_256_CBC_SHA")),
        *((0xC027, "AES_128_CBC_SHA256"), (0xC028, "AES_256_CBC_SHA384")),
        *((0xC02F, "AES_128_GCM_SHA256"), (0xC030, "AES_256_GCM_SHA384")),
        *((0xC076, "CAMELLIA_128_CBC_SHA256"), (0xC077, "CAMELLIA_256_CBC_SHA384")),
        *((0xC060, "ARIA_128_GCM_SHA256"), (0xC061, "ARIA_256_GCM_SHA384")),
        (0xCCA8, "CHACHA20_POLY1305_SHA256"),
    ),
}

SUITES: dict[int, str] = {
    number: f"{exchange}_WITH_{rest}"
    for exchange, rows in _KEY_EXCHANGES.items()
    for number, rest in rows
}
"""Up to TLS 1.2, without the prefix TLS_."""

SUITES_13: dict[int, str] = {
    0x1301: "AES_128_GCM_SHA256",
    0x1302: "AES_256_GCM_SHA384",
    0x1303: "CHACHA20_POLY1305_SHA256",
    0x1304: "AES_128_CCM_SHA256",
    0x1305: "AES_128_CCM_8_SHA256",
}


class Flaw(NamedTuple):
    """What is wrong with suites that have this mark in their name."""

    rule: str
    mark: str
    severity: Severity
    why: str


FLAWS = (
    Flaw("tls-suite-nobody", "_anon_", "critical", "nobody proves who the server is"),
    Flaw("tls-suite-clear", "_NULL_", "critical", "nothing is encrypted"),
    Flaw("tls-suite-export", "EXPORT", "critical", "the key has 40 bits"),
    Flaw("tls-suite-rc4", "_RC4_", "high", "RC4 is broken"),
    Flaw("tls-suite-rc2", "_RC2_", "high", "RC2 is broken"),
    Flaw("tls-suite-des", "_WITH_DES", "high", "DES has 56 bits"),
    Flaw("tls-suite-short-blocks", "_3DES_", "high", "blocks of 64 bits repeat in long sessions"),
    Flaw("tls-suite-short-blocks", "_IDEA_", "high", "blocks of 64 bits repeat in long sessions"),
    Flaw("tls-suite-md5", "_MD5", "high", "MD5 is broken"),
    Flaw("tls-suite-seed", "_SEED_", "low", "hardly anybody examines SEED any more"),
)
RECORDED = Flaw(
    "tls-suite-recorded",
    "RSA_WITH_",
    "medium",
    "whoever gets the key later reads what was recorded",
)


def flaw(name: str) -> Flaw | None:
    """What is wrong with a suite up to TLS 1.2; None when nothing is."""
    found = next((flaw for flaw in FLAWS if flaw.mark in name), None)
    return found or (RECORDED if name.startswith(RECORDED.mark) else None)
