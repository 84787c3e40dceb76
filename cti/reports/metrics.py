"""Every figure of the product, in one place: what it is, of what, in which version.

`DEFINITION_VERSION` rises with any change by which the same facts would give another figure; every report says it.
"""

from __future__ import annotations

from collections.abc import Mapping

from cti.reports.metric import Metric
from cti.reports.metrics_agents import AGENT_METRICS
from cti.reports.metrics_calls import CALL_METRICS
from cti.reports.metrics_queues import QUEUE_METRICS

DEFINITION_VERSION = 2

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in (*QUEUE_METRICS, *CALL_METRICS, *AGENT_METRICS)}
"""By name, in the order they are shown."""
