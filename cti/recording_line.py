"""The door by which the dialplan brings a telephone that records a prompt, and what stands behind it."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import structlog

from cti.asterisk.agi.hold import HoldingLeg
from cti.asterisk.agi.session import AgiSession
from cti.asterisk.agi.wire import AgiRequest
from cti.asterisk.render import RECORD_PROMPTS
from cti.clock import Clock
from cti.prompts.library import PromptLibrary
from cti.services.phone_recording import PhoneRecording
from cti.services.recording_codes import RecordingCodes

Handler: TypeAlias = Callable[[AgiRequest, AgiSession], Awaitable[None]]
log = structlog.get_logger(__name__)


class RecordingLine:
    """The prompts of the centre, and recording them by telephone."""

    def __init__(
        self, manifest: Path, prompts: Path, *, recordings: Path, language: Callable[[], str], clock: Clock
    ) -> None:
        self.sounds = PromptLibrary(manifest, prompts, clock=clock, on_change=_told)
        codes = RecordingCodes(secrets.randbelow)
        self.phone = PhoneRecording(
            self.sounds, codes, folder=recordings.absolute(), dial=RECORD_PROMPTS, language=language, clock=clock
        )

    def handlers(self) -> Mapping[str, Handler]:
        """By AGI script name."""
        return {"record": self._record}

    async def _record(self, request: AgiRequest, session: AgiSession) -> None:
        leg = HoldingLeg(session)
        end = await self.phone.serve(leg, who=request.channel.rpartition("-")[0])
        log.info("prompt_recording_ended", end=end)
        if end != "gone":
            await leg.set_variables([("CTI_NEXT", "hangup")])


def _told(language: str, name: str, what: str, by: str) -> None:
    log.info("prompt_changed", prompt=f"{language}/{name}", change=what, by=by)
