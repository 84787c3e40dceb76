"""Quality put together, and the clock that draws samples."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import structlog

from cti.clock import Clock
from cti.errors import CtiError
from cti.model.centre import Centre
from cti.services.inspections import Inspections
from cti.store.quality.calibration import StoredCalibrations
from cti.store.quality.feedback import StoredFeedback
from cti.store.quality.figures import StoredFigures
from cti.store.quality.forms import StoredForms
from cti.store.quality.ground import QualityGround
from cti.store.quality.samples import StoredSamples
from cti.store.quality.scores import StoredScores
from cti.store.quality.surveys import StoredSurveys

log = structlog.get_logger(__name__)

DRAW_EVERY = 300.0
"""Seconds. A day is drawn from within that time after it ended; later calls of it that were slow to be stored are drawn
from the next day on."""


class QualityOffice:
    """All of quality over one pool. `run` is a task of the application's; it ends only when cancelled."""

    def __init__(self, pool: asyncpg.Pool, *, clock: Clock, centre: Callable[[], Centre]) -> None:
        ground = QualityGround(pool=pool, clock=clock, centre=centre)
        self.forms = StoredForms(ground)
        self.samples = StoredSamples(ground)
        self._ground = ground

    def inspections(self) -> Inspections:
        """What the web asks."""
        ground = self._ground
        return Inspections(
            forms=self.forms,
            samples=self.samples,
            scores=StoredScores(ground),
            calibrations=StoredCalibrations(ground),
            feedback=StoredFeedback(ground),
            figures=StoredFigures(ground),
            surveys=StoredSurveys(ground),
        )

    async def run(self) -> None:
        """Make the first form, and draw by the clock."""
        troubled = False
        while True:
            try:
                await self.forms.begin()
                if drawn := await self.samples.draw_due():
                    log.info("quality_drawn", calls=drawn)
                troubled = False
            except CtiError as error:
                if not troubled:
                    log.warning("quality_waits", error=error.message)
                troubled = True
            except Exception:  # a fault of ours must not end the rest
                log.exception("quality_failed")
            await asyncio.sleep(15.0 if troubled else DRAW_EVERY)
