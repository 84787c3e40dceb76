"""Everything casework offers over HTTP."""

from __future__ import annotations

from cti.web.casework import complaint_routes, contact_routes, follow_up_routes, task_routes, value_routes
from cti.web.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *task_routes.OPERATIONS,
    *complaint_routes.OPERATIONS,
    *follow_up_routes.OPERATIONS,
    *value_routes.OPERATIONS,
    *contact_routes.OPERATIONS,
)
