"""The base score of a CVSS 3 vector.

Keeps: a vector that is not whole has no score. Does not: temporal and environmental metrics, or
other versions of CVSS.
Source: CVSS v3.1 specification, section 7.1 and appendix A; the weights are those of 7.4.
"""

from __future__ import annotations

_WEIGHTS = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGED_WHEN_CHANGED = {"L": 0.68, "H": 0.5}


def base_score(vector: str) -> float | None:
    """0.0 to 10.0; None for anything but a whole vector of CVSS 3.0 or 3.1."""
    head, *parts = vector.strip().split("/")
    if head not in ("CVSS:3.0", "CVSS:3.1") or len(parts) > 40:
        return None
    given = dict(part.partition(":")[::2] for part in parts)
    scope = given.get("S")
    try:
        weight = {name: table[given[name]] for name, table in _WEIGHTS.items()}
    except KeyError:
        return None
    if scope not in ("U", "C"):
        return None
    if scope == "C":
        weight["PR"] = _PRIVILEGED_WHEN_CHANGED.get(given["PR"], weight["PR"])
    lost = 1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"])
    impact = 6.42 * lost if scope == "U" else 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15
    if impact <= 0:
        return 0.0
    ease = 8.22 * weight["AV"] * weight["AC"] * weight["PR"] * weight["UI"]
    return _up(min((1.0 if scope == "U" else 1.08) * (impact + ease), 10.0))


def _up(value: float) -> float:
    """The next tenth, so that machines with other rounding agree (appendix A)."""
    whole = round(value * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10
