"""The caller's leg with music: what is heard while somebody outside is being asked."""

from __future__ import annotations

from cti.asterisk.agi.session import AgiLeg
from cti.services.ports import LegGone

MUSIC = "cti-moment"
"""Music that can be heard from its first note: a caller who was just spoken to takes a second of fading in for a dead line."""


class HoldingLeg(AgiLeg):
    """Satisfies `cti.services.ports.CallerLeg`."""

    async def music(self, on: bool) -> bool:
        """Begin or end music; both return at once. It goes on while the session sends no command. False: the leg is gone."""
        application = "StartMusicOnHold" if on else "StopMusicOnHold"
        return not isinstance(await self._session.exec(application, MUSIC), LegGone)
