"""Which figures of the floor are beyond their thresholds: looked at once a second, by the machines of `model.alerts`.

While the telephone system is out of sight nothing is looked at: what is not known is neither bad nor good again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cti.ids import QueueName
from cti.model.alert_facts import AlertAcknowledged, AlertChanged, name_of
from cti.model.alerts import AlertRules, Figure, Level, Watch, limit_of
from cti.model.fact import Fact
from cti.model.facts import AgentState
from cti.services import tolls
from cti.services.floor import AlertRow, Refused
from cti.services.recording_troubles import RecordingTroubles
from cti.services.sip_troubles import SipTroubles

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard

LOOK_EVERY = timedelta(seconds=1)
NEVER = datetime.min.replace(tzinfo=UTC)
"""Before the first look."""
Place = tuple[QueueName | None, Figure]


class Alarms:
    """The alerts there are, and the machines behind them. `rows` is by `AlertRow.alert`."""

    def __init__(self) -> None:
        self.rows: dict[str, AlertRow] = {}
        self.changed: set[str] = set()
        """Alerts that the pages have not been told of."""
        self.watches: dict[Place, Watch] = {}
        self.looked: datetime | None = None
        self.recordings = RecordingTroubles()
        self.sip = SipTroubles()

    def next_due(self, rules: AlertRules, *, capped: bool = False) -> datetime | None:
        """When the floor is looked at next; None: nothing is watched. `capped`: what may be dialled and spent is limited."""
        if not (capped or self.watching(rules)):
            return None
        return NEVER if self.looked is None else self.looked + LOOK_EVERY

    def watching(self, rules: AlertRules) -> bool:
        """Whether there is anything to look at."""
        return rules.any() or bool(self.rows) or self.recordings.any() or self.sip.any()

    def learn(self, fact: Fact) -> None:
        """A fact happened, or is read back."""
        self.recordings.learn(fact)
        if isinstance(fact, AlertChanged):
            alert = name_of(fact.queue, fact.figure)
            self.changed.add(alert)
            if fact.level is Level.NONE:
                self.rows.pop(alert, None)
                return
            self.rows[alert] = AlertRow(
                alert=alert,
                queue=fact.queue,
                figure=fact.figure.value,
                level="critical" if fact.level is Level.CRITICAL else "warn",
                since=fact.at,
                value=fact.value,
                limit=fact.limit,
            )
        elif isinstance(fact, AlertAcknowledged):
            alert = name_of(fact.queue, fact.figure)
            if (row := self.rows.get(alert)) is not None:
                self.rows[alert] = replace(row, acknowledged_by=fact.by, acknowledged_at=fact.at)
                self.changed.add(alert)


def tick(board: Switchboard, now: datetime) -> None:
    """Look at every watched figure, if it is time."""
    alarms, rules = board.alarms, board.centre.alerts
    if alarms.looked is not None and alarms.looked <= now < alarms.looked + LOOK_EVERY:
        return
    alarms.looked = now
    if not board.linked or not (board.centre.outbound.tolls.any() or alarms.watching(rules)):
        return
    watched: set[Place] = set()
    for queue in (None, *board.centre.queues):
        for figure, threshold in rules.of(queue).items():
            place = (queue, figure)
            watched.add(place)
            row = alarms.rows.get(name_of(queue, figure))
            before = Level.NONE if row is None else Level(row.level)
            watch = alarms.watches.get(place) or Watch.at(before, threshold)
            value = _value(board, queue, figure, now)
            after = alarms.watches[place] = watch.step(figure, threshold, value, now)
            if after.level is not before:
                board.record(
                    AlertChanged(
                        at=now,
                        queue=queue,
                        figure=figure,
                        level=after.level,
                        value=round(value or 0.0, 4),
                        limit=0.0 if after.level is Level.NONE else limit_of(threshold, after.level),
                    )
                )
    for row in list(alarms.rows.values()):
        place = (row.queue, Figure(row.figure))
        if place not in watched:  # the rule, or the queue, was taken out of the centre
            alarms.watches.pop(place, None)
            board.record(AlertChanged(at=now, queue=row.queue, figure=place[1], level=Level.NONE, value=0.0))
    for place in alarms.watches.keys() - watched:
        del alarms.watches[place]


def acknowledge(board: Switchboard, alert: str, now: datetime, *, by: str) -> None:
    """Somebody has seen to an alert. Again by the same: no change. Raises `Refused` when there is none."""
    row = board.alarms.rows.get(alert)
    if row is None:
        raise Refused("no_alert", f"there is no alert {alert} now", remedy="it is over; look at the list again")
    if row.acknowledged_by != by:
        board.record(AlertAcknowledged(at=now, queue=row.queue, figure=Figure(row.figure), by=by))


def _value(board: Switchboard, queue: QueueName | None, figure: Figure, now: datetime) -> float | None:
    if figure is Figure.WAITING or figure is Figure.LONGEST_WAIT:
        waiting = [
            ticket for name in board.centre.queues if queue in (None, name) for ticket in board.engine.waiting(name)
        ]
        if figure is Figure.WAITING:
            return float(len(waiting))
        return max(((now - ticket.queued_at).total_seconds() for ticket in waiting), default=0.0)
    if figure is Figure.AGENTS_READY:
        return float(
            sum(
                agent.state is AgentState.READY and (queue is None or queue in board.centre.agents[agent_id].queues)
                for agent_id, agent in board.agents.items()
                if agent_id in board.centre.agents
            )
        )
    if figure is Figure.RECORDINGS_FLAGGED:
        return board.alarms.recordings.flagged(now)
    if figure is Figure.RECORDING_PLACE_AWAY:
        return board.alarms.recordings.away(now)
    if figure is Figure.SIP_REFUSED:
        return board.alarms.sip.refused(now)
    if figure is Figure.OUTBOUND_CAPS:
        return tolls.share(board, queue, now)
    if queue is not None:
        return board.tally.queue(queue).service_level_now
    total = board.tally.total
    of_the_day = {
        Figure.SERVICE_LEVEL: total.value("service_level"),
        Figure.ABANDONED: total.value("abandonment_rate"),
        Figure.SATISFACTION: total.value("satisfaction_rate"),
        Figure.COMPLAINT_RATE: total.value("complaint_rate"),
        Figure.EFFECTIVE_ANSWER_RATE: total.value("effective_answer_rate"),
    }
    return of_the_day[figure]
