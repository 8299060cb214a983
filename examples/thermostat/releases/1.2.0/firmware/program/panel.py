"""What the panel on the wall shows: a temperature as text, in the unit of the house."""


def fahrenheit(milli_celsius: int) -> str:
    """Like "71.6"."""
    return f"{milli_celsius * 1.8 / 1000 + 32:.1f}"


def comfortable(humidity: float) -> bool:
    """Whether the panel's drop is shown filled."""
    return 40 <= humidity <= 60
