"""Everything quality offers over HTTP."""

from __future__ import annotations

from cti.web.operations import Operation
from cti.web.quality import feedback_routes, form_routes, sample_routes, score_routes

OPERATIONS: tuple[Operation, ...] = (
    *form_routes.OPERATIONS,
    *sample_routes.OPERATIONS,
    *score_routes.OPERATIONS,
    *feedback_routes.OPERATIONS,
)
