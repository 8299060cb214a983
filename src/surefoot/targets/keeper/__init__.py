"""The keeper: a small detached program that owns one service's public socket for ever.

It forwards HTTP/1.1 to the live generation behind its own socket, starts and restarts the
processes of generations, switches between them and drains the old one. It knows nothing of
releases, plans or approvals, and it outlives the control plane.
"""

from __future__ import annotations

VERSION = 1
"""Version of the keeper that is compiled in; a running keeper reports the one it was started as."""
