"""How much one address may ask: a bucket each, for polls and for requests of nobody known.

Keeps: reports are never counted, so that no result is lost to a flood; clients take a refused poll
as a reason to come again later. Addresses of this machine and of private networks are not counted:
a proxy or a gateway there asks for many devices. Remembers a bounded number of addresses.
Does not: read time; the caller gives seconds of any steady clock.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

POLLS_A_SECOND = 200
BURST = 400
_ADDRESSES_MAX = 20_000


class Flood:
    """See the module. Loop-bound, like the door."""

    def __init__(
        self, a_second: float = POLLS_A_SECOND, burst: float = BURST, *, everybody: bool = False
    ) -> None:
        """`everybody`: private addresses are counted as well."""
        self._a_second = a_second
        self._everybody = everybody
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str, now: float) -> bool:
        """Take one from the address's bucket; False when it is empty."""
        if not (self._everybody or counted(address)):
            return True
        left, at = self._buckets.pop(address, (self._burst, now))
        left = min(self._burst, left + max(now - at, 0.0) * self._a_second)
        allowed = left >= 1
        self._buckets[address] = (left - 1 if allowed else left, now)
        if len(self._buckets) > _ADDRESSES_MAX:
            self._buckets.popitem(last=False)
        return allowed

    def give_back(self, address: str) -> None:
        """What was taken last cost nothing after all."""
        if address in self._buckets:
            left, at = self._buckets[address]
            self._buckets[address] = (min(left + 1, self._burst), at)


def counted(address: str) -> bool:
    """Whether the address is one device's, or a network's behind one: public, that is."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
