"""Who may speak at the device door: a token, a gateway's token, a certificate, or two of them.

Keeps: a certificate that is shown must speak for the device of the path, and a token that is sent
must be right, too; one does not make up for the other. Where certificates are required a token
alone is nobody's. Everybody else gets the same 401. Does not: compare or decide itself.
"""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request

from surefoot.core.credential import Shown
from surefoot.doors.devices.desk import DeviceDesk
from surefoot.doors.devices.entrance import PEER, Entrance, Proxies
from surefoot.doors.devices.flood import Flood

TOKEN_LENGTH_MAX = 256


class Gate:
    """See the module. Loop-bound, like the door. Without `entrance` no certificate counts."""

    def __init__(
        self,
        desk: DeviceDesk,
        flood: Flood,
        entrance: Entrance | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self._desk = desk
        self._flood = flood
        self._entrance = entrance
        self._proxies = proxies or Proxies()

    async def admitted(self, request: Request, *, knocking: bool = False) -> tuple[str, str]:
        """Tenant and device of the path. Raises `HTTPException` 401 when it may not speak,
        `Refused` for headers of a proxy from somebody else."""
        tenant, device = request.path_params["tenant"], request.path_params["device"]
        shown = self._shown(request)
        sent = request.headers.get("authorization")
        known = sent is None or await self._by_token(tenant, device, sent, knocking and not shown)
        if known:
            known = await self._by_certificate(tenant, device, shown, sent, knocking)
        if not known:
            self.bear(request)
            raise HTTPException(401)
        return tenant, device

    def bear(self, request: Request) -> None:
        """Raises `HTTPException` 429 when the address asks too much; only what may be lost asks."""
        self._proxies.behind(request)
        address = request.client.host if request.client else ""
        if not self._flood.allows(address, asyncio.get_running_loop().time()):
            raise HTTPException(429)

    def _shown(self, request: Request) -> Shown | None:
        """The certificate behind the request: the proxy's word, else that of TLS."""
        self._proxies.behind(request)
        told = self._proxies.shown(request)
        found: Shown | None = request.scope.get(PEER)
        return told if self._proxies.believed(request) else found

    async def _by_token(self, tenant: str, device: str, sent: str, knocking: bool) -> bool:
        scheme, _, token = sent.partition(" ")
        if len(token) > TOKEN_LENGTH_MAX:
            return False
        if scheme == "TargetToken":
            return self._desk.admit(tenant, device, token)
        if scheme == "GatewayToken":
            return await self._desk.admit_gateway(tenant, device, token, knocking=knocking)
        return False

    async def _by_certificate(
        self, tenant: str, device: str, shown: Shown | None, sent: str | None, knocking: bool
    ) -> bool:
        if self._entrance is None:
            return shown is None and sent is not None
        if shown is None:
            return sent is not None and not await self._entrance.needs_certificate(tenant, device)
        return await self._entrance.admits(
            tenant, device, shown, knocking=knocking and sent is None
        )
