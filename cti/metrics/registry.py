"""Every counter, gauge and histogram of the product, in one registry of its own.

Labels are names from the configuration and fixed words, never callers' data: their number stays bounded.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Of what `Metrics.render` returns."""

_QUICK = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Bucket bounds in seconds for what should take milliseconds."""


class Metrics:
    """The figures of one process. Each attribute is a prometheus_client metric; times are in seconds."""

    def __init__(self) -> None:
        registry = CollectorRegistry(auto_describe=True)
        self.registry = registry
        self.calls = Counter("cti_calls", "Calls that ended, by outcome.", ("outcome",), registry=registry)
        self.calls_started = Counter("cti_calls_started", "Calls that arrived.", registry=registry)
        self.offers = Counter("cti_offers", "Offers to agents that ended, by how.", ("end",), registry=registry)
        self.recordings = Counter(
            "cti_recordings",
            "Recordings that were looked at, by what was found: kept, or what is wrong.",
            ("found",),
            registry=registry,
        )
        self.breaches = Counter(
            "cti_conservation_breaches",
            "Times the books of calls, agents and offers disagreed and were repaired, by kind.",
            ("kind",),
            registry=registry,
        )
        self.promises = Gauge(
            "cti_expected_wait_promises",
            "Expected waits of callers who were served today, by queue: what the other figures of expected waits rest on.",
            ("queue",),
            registry=registry,
        )
        self.promise_error = Gauge(
            "cti_expected_wait_error_seconds",
            "Mean of expected less real wait today, by queue.",
            ("queue",),
            registry=registry,
        )
        self.promise_absolute_error = Gauge(
            "cti_expected_wait_absolute_error_seconds",
            "Mean difference of expected and real wait today, by queue.",
            ("queue",),
            registry=registry,
        )
        self.promise_inside = Gauge(
            "cti_expected_wait_inside_ratio",
            "Share of today's real waits that lay within the expected range, by queue.",
            ("queue",),
            registry=registry,
        )
        self.waiting = Gauge("cti_queue_waiting", "Callers waiting now, by queue.", ("queue",), registry=registry)
        self.agents = Gauge("cti_agents", "Agents now, by state.", ("state",), registry=registry)
        self.calls_now = Gauge("cti_calls_now", "Live calls now, by state.", ("state",), registry=registry)
        self.link = Gauge("cti_link_up", "1 while the link to Asterisk is up.", registry=registry)
        self.pop_latency = Histogram(
            "cti_pop_latency_seconds",
            "From the offer to the page having drawn the screen pop.",
            buckets=_QUICK,
            registry=registry,
        )
        self.ami_actions = Histogram(
            "cti_ami_action_seconds",
            "From sending an AMI action to its answer, by action and result.",
            ("action", "result"),
            buckets=_QUICK,
            registry=registry,
        )
        self.agi_sessions = Counter(
            "cti_agi_sessions", "AGI sessions that ended, by script and how.", ("script", "end"), registry=registry
        )
        self.agi_sessions_now = Gauge("cti_agi_sessions_now", "AGI sessions open now.", registry=registry)
        self.journal_commit = Histogram(
            "cti_journal_commit_seconds",
            "From handing facts to the journal to their being on the disk.",
            buckets=_QUICK,
            registry=registry,
        )
        self.drain_lag = Gauge(
            "cti_drain_lag_seconds", "Age of the oldest fact that is not in the database yet.", registry=registry
        )
        self.drain_pending = Gauge(
            "cti_drain_pending_facts", "Facts in the journal that are not in the database yet.", registry=registry
        )
        self.feed_clients = Gauge("cti_feed_clients", "Open feeds.", registry=registry)
        self.feed_changes = Counter("cti_feed_changes", "Changes of the floor sent to the feeds.", registry=registry)
        self.feed_drops = Counter(
            "cti_feed_drops", "Feeds closed by the server, by WebSocket close code.", ("code",), registry=registry
        )
        self.feed_resyncs = Counter(
            "cti_feed_resyncs", "Times the feed fell behind the floor and started over.", registry=registry
        )
        self.logins = Counter(
            "cti_logins", "Log-ins, by result: right, wrong, limited.", ("result",), registry=registry
        )
        self.requests = Counter(
            "cti_http_requests", "HTTP answers, by operation and status.", ("operation", "status"), registry=registry
        )
        self.refusals = Counter(
            "cti_door_refusals",
            "Connections to the pages that were ended or not begun because of limits, by door and reason.",
            ("door", "reason"),
            registry=registry,
        )
        self.crm_events = Counter(
            "cti_crm_events",
            "Events for the outside customer system: told, dropped; and tries that failed.",
            ("result",),
            registry=registry,
        )
        self.crm_look_ups = Counter(
            "cti_crm_look_ups",
            "Times the outside customer system was asked who calls: found, unknown, failed, odd (an answer not as agreed).",
            ("result",),
            registry=registry,
        )
        self.sip_knocks = Counter(
            "cti_sip_knocks",
            "Requests at the SIP port that had to prove who they are: challenged, wrong, accepted; and malformed ones.",
            ("result",),
            registry=registry,
        )
        self.sip_banned = Gauge("cti_sip_banned", "Addresses shut out of the SIP port now.", registry=registry)
        self.loop_lag = Histogram(
            "cti_loop_lag_seconds",
            "How late the event loop woke a timer: everything else is at least as late.",
            buckets=_QUICK,
            registry=registry,
        )
        self.loop_held = Histogram(
            "cti_loop_held_seconds",
            "Of each such lateness, what this process computed meanwhile, at most; the rest it waited for the machine.",
            buckets=_QUICK,
            registry=registry,
        )

    def show_floor(
        self, *, waiting: Mapping[str, int], agents: Mapping[str, int], calls: Mapping[str, int], connected: bool
    ) -> None:
        """Set the gauges that are a picture of the floor; what is not named any more disappears."""
        for gauge, values in ((self.waiting, waiting), (self.agents, agents), (self.calls_now, calls)):
            gauge.clear()
            for label, value in values.items():
                gauge.labels(str(label)).set(value)
        self.link.set(1 if connected else 0)

    def render(self) -> bytes:
        """All figures in Prometheus' text form."""
        return generate_latest(self.registry)
