"""centre.yaml: limits and targets of queues, calendars, groups, tiers, dialling out: what is read, what is refused where."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cti.centre_file import parse_centre
from cti.errors import ConfigError
from cti.ids import QueueName
from cti.model.centre import CallbackFirst, Centre, Queue, Target, TargetKind
from cti.model.facts import AgentState
from cti.model.requirement import parse_requirement

WHOLE = """\
name: Whole
time_zone: Europe/Berlin
not_ready_reasons: [break, lunch]
not_ready_limits: {break: 900}
not_ready_allowed: {break: 1800}
outbound:
  allow: ["+1555", "+49"]
  caller_id: "+15550105000"
  most_at_once: 4
calendars:
  office:
    hours: {mon-fri: ["08:00-12:00", "13:00-17:30"], sat: "09:00-12:00"}
    holidays: {country: DE, subdivision: BY}
    closed: [2026-12-24]
    special: {2026-12-31: "09:00-12:00", 2026-12-26: ["10:00-11:00"]}
queues:
  sales: {titles: {en: Sales}}
  support:
    titles: {en: Support}
    requires: en>=4 and (zh>=3 or interpreter)
    weight: 3
    head_start: 12.5
    count_menu: true
    tier_wait: 20
    preferred: {own: false, last: 86400, hold: 45}
    calendar: office
    max_length: 50
    max_wait: 600
    join_empty: [offline, not_ready]
    leave_empty: [offline]
    when_closed: {flow: after_hours}
    when_full: {queue: sales}
    when_late: callback
    when_empty: {number: "+15550177"}
    overflow:
      - {to: {queue: sales}, after: 120}
      - {to: voicemail, expected: 300}
      - {to: hang_up, length: 80}
    options: {"1": callback, "2": voicemail, "*": {queue: sales}}
    callback: {first: agent, attempts: 5, retry: 120, ring_timeout: 20, calendar: office}
    wrap_up_extension: 15
    wrap_up_longest: 90
groups:
  seniors: {queues: [support, sales], skills: {en: 4, zh: 2}, tiers: {sales: 3}}
  night: {queues: [support], skills: {zh: 4}, tiers: {support: 2}}
agents:
  "1001": {name: Ada, groups: [seniors, night], skills: {en: 5}, tiers: {support: 1}, wrap_up: 5}
  "1002":
    name: Bo
    queues: [support]
    delays: {rejected: 5, busy: 6, no_answer: 7, unreachable: 8}
    number: "+491700000000"
numbers:
  "5000": {flow: main, survival_queue: support, head_start: 30}
"""


def whole() -> Centre:
    return parse_centre(WHOLE, source="c.yaml")


def support() -> Queue:
    return whole().queues["support"]  # type: ignore[index]


def target(kind: str, name: str = "") -> Target:
    return Target(kind=TargetKind(kind), name=name)


def seconds(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()


def test_what_a_queue_asks_and_is_worth() -> None:
    queue = support()
    assert queue.requires == parse_requirement("(en>=4 and zh>=3) or (en>=4 and interpreter)")
    assert (queue.weight, seconds(queue.head_start), queue.count_menu, seconds(queue.tier_wait)) == (3, 12.5, True, 20)
    assert queue.preference is not None
    assert (queue.preference.own, seconds(queue.preference.last), seconds(queue.preference.hold)) == (False, 86400, 45)
    assert (seconds(queue.wrap_up_extension), seconds(queue.wrap_up_longest)) == (15, 90)


def test_limits_and_where_they_lead() -> None:
    queue = support()
    assert (queue.calendar, queue.max_length, seconds(queue.max_wait)) == ("office", 50, 600)
    assert queue.join_empty == {AgentState.OFFLINE, AgentState.NOT_READY}
    assert queue.leave_empty == {AgentState.OFFLINE}
    assert queue.when_closed == target("flow", "after_hours")
    assert queue.when_full == target("queue", "sales")
    assert queue.when_late == target("callback")
    assert queue.when_empty == target("number", "+15550177")
    assert [(rule.to, seconds(rule.after), seconds(rule.expected), rule.length) for rule in queue.overflow] == [
        (target("queue", "sales"), 120, None, None),
        (target("voicemail"), None, 300, None),
        (target("hang_up"), None, None, 80),
    ]
    assert queue.options == {"1": target("callback"), "2": target("voicemail"), "*": target("queue", "sales")}
    rules = queue.callback
    assert (rules.first, rules.attempts, seconds(rules.retry), seconds(rules.ring_timeout), rules.calendar) == (
        CallbackFirst.AGENT, 5, 120, 20, "office",
    )  # fmt: skip


def test_groups_give_and_the_agents_own_word_counts_first() -> None:
    ada, bo = whole().agents["1001"], whole().agents["1002"]  # type: ignore[index]
    assert ada.queues == ("support", "sales")
    assert ada.skills == {"en": 5, "zh": 4}  # own before groups; of two groups the higher
    assert ada.tiers == {"support": 1, "sales": 3}
    assert (ada.tier("support"), ada.tier("sales"), bo.tier("support")) == (1, 3, 1)  # type: ignore[arg-type]
    assert (ada.groups, seconds(ada.wrap_up), bo.wrap_up) == (("seniors", "night"), 5, None)
    delays = bo.delays
    assert [seconds(d) for d in (delays.rejected, delays.busy, delays.no_answer, delays.unreachable)] == [5, 6, 7, 8]
    assert bo.number == "+491700000000"


def test_the_centre_itself() -> None:
    centre = whole()
    assert centre.not_ready_limits == {"break": timedelta(minutes=15)}
    assert centre.not_ready_allowed == {"break": timedelta(minutes=30)}
    out = centre.outbound
    assert (out.allow, out.caller_id, out.most_at_once) == (("+1555", "+49"), "+15550105000", 4)
    assert seconds(centre.numbers["5000"].head_start) == 30


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-02 07:59", False),
        ("2026-03-02 08:00", True),
        ("2026-03-02 11:59", True),
        ("2026-03-02 12:00", False),
        ("2026-03-02 17:29", True),
        ("2026-03-02 17:30", False),
        ("2026-03-07 09:00", True),  # Saturday
        ("2026-03-08 10:00", False),  # Sunday
        ("2026-04-03 10:00", False),  # Good Friday
        ("2026-06-04 10:00", False),  # Corpus Christi: a holiday of Bavaria, not of all Germany
        ("2026-12-24 10:00", False),  # closed
        ("2026-12-25 10:00", False),  # Christmas
        ("2026-12-26 10:30", True),  # a holiday with hours of its own
        ("2026-12-26 11:30", False),
        ("2026-12-31 11:59", True),
        ("2026-12-31 14:00", False),
        ("2026-03-30 08:00", True),  # the Monday after the clocks went on
        ("2026-10-26 08:00", True),
        ("2026-10-26 07:59", False),
    ],
)
def test_opening_hours(moment: str, is_open: bool) -> None:
    assert whole().calendars["office"].is_open(berlin(moment), ZoneInfo("Europe/Berlin")) is is_open


def test_when_it_opens_next() -> None:
    office, zone = whole().calendars["office"], ZoneInfo("Europe/Berlin")
    # Over Easter, and over the night in which the clocks go on.
    assert office.next_change(berlin("2026-04-02 17:30"), zone) == berlin("2026-04-04 09:00")
    assert office.next_change(berlin("2026-03-28 12:00"), zone) == berlin("2026-03-30 08:00")
    assert office.next_change(berlin("2026-12-24 00:00"), zone) == berlin("2026-12-26 10:00")


def test_a_calendar_without_a_week_is_closed_and_whole_days_are_open_to_the_end() -> None:
    text = WHOLE.replace(
        'hours: {mon-fri: ["08:00-12:00", "13:00-17:30"], sat: "09:00-12:00"}', 'hours: {mon-sun: "00:00-24:00"}'
    )
    office = parse_centre(text, source="x").calendars["office"]
    assert office.is_open(berlin("2026-03-08 23:59"), ZoneInfo("Europe/Berlin"))
    assert office.next_change(berlin("2026-03-08 10:00"), ZoneInfo("Europe/Berlin")) == berlin("2026-04-03 00:00")
    assert office.spans(date(2026, 3, 8)) == ((0, 1440),)


REFUSED: list[tuple[str, str, str]] = [
    # a target
    ("when_late: callback", "when_late: somewhere", "queues.support.when_late: a target is voicemail, callback, hang_up"),
    ("when_late: callback", "when_late: {queue: sales, flow: x}", "queues.support.when_late: a target is"),
    ("when_late: callback", "when_late: {queue: nowhere}", "queues.support.when_late: there is no queue nowhere"),
    ("when_late: callback", "when_late: {queue: support}", "queues.support.when_late: a queue cannot overflow into itself"),
    ("when_late: callback", 'when_late: {number: "5550177"}', "queues.support.when_late: a target is"),
    ("when_late: callback", 'when_late: {number: "+33555017"}', "queues.support.when_late: +33555017 is not on the list outbound.allow"),
    ("to: voicemail, expected: 300", "to: {queue: none_such}, expected: 300", "queues.support.overflow.1.to: there is no queue none_such"),
    ('"*": {queue: sales}', '"*": {queue: support}', "queues.support.options.*: a queue cannot overflow into itself"),
    ('"*": {queue: sales}', '"10": voicemail', "queues.support.options.10"),
    # overflow: one limit each
    ("to: voicemail, expected: 300", "to: voicemail", "queues.support.overflow.1: give exactly one of after, expected and length"),
    ("to: voicemail, expected: 300", "to: voicemail, expected: 300, after: 5", "queues.support.overflow.1: give exactly one of"),
    ("to: voicemail, expected: 300", "expected: 300", "queues.support.overflow.1.to: this key is missing"),
    ("to: voicemail, expected: 300", "to: voicemail, expected: 0", "queues.support.overflow.1.expected: "),
    ("length: 80", "length: 0", "queues.support.overflow.2.length: "),
    # what is asked for
    ("requires: en>=4 and (zh>=3 or interpreter)", "requires: en>=4 and", "queues.support.requires: column 10: a skill is missing"),
    ("requires: en>=4 and (zh>=3 or interpreter)", "requires: en>=9", "queues.support.requires: column 3: a level is 1 to 5"),
    ("requires: en>=4 and (zh>=3 or interpreter)", "requires: (en", "queues.support.requires: column 1: the bracket is not closed"),
    # numbers out of bounds, words that are none
    ("weight: 3", "weight: 10", "queues.support.weight: "),
    ("head_start: 12.5", "head_start: -1", "queues.support.head_start: "),
    ("count_menu: true", "count_menu: sometimes", "queues.support.count_menu: "),
    ("tier_wait: 20", "tier_wait: -1", "queues.support.tier_wait: "),
    ("hold: 45", "hold: soon", "queues.support.preferred.hold: "),
    ("last: 86400", "last: 0", "queues.support.preferred.last: "),
    ("own: false", "mine: false", "queues.support.preferred.mine: there is no such key"),
    ("max_length: 50", "max_length: 0", "queues.support.max_length: "),
    ("max_wait: 600", "max_wait: 0", "queues.support.max_wait: "),
    ("join_empty: [offline, not_ready]", "join_empty: [ready]", "queues.support.join_empty: whoever is ready can take the call"),
    ("leave_empty: [offline]", "leave_empty: [asleep]", "queues.support.leave_empty.0: "),
    ("first: agent", "first: both", "queues.support.callback.first: "),
    ("attempts: 5", "attempts: 0", "queues.support.callback.attempts: "),
    ("retry: 120", "retry: 1", "queues.support.callback.retry: "),
    ("ring_timeout: 20, calendar: office", "ring_timeout: 20, calendar: none", "queues.support.callback.calendar: there is no calendar none"),
    ("calendar: office\n    max", "calendar: home\n    max", "queues.support.calendar: there is no calendar home"),
    ("wrap_up_extension: 15", "wrap_up_extension: 9999", "queues.support.wrap_up_extension: "),
    ("wrap_up_longest: 90", "wrap_up_longest: ages", "queues.support.wrap_up_longest: "),
    # groups and agents
    ("groups: [seniors, night]", "groups: [seniors, day]", "agents.1001.groups: there is no group day"),
    ("{name: Ada, groups: [seniors, night]", "{name: Ada, groups: []", "agents.1001: the agent serves no queue"),
    ("tiers: {support: 1}", "tiers: {nowhere: 1}", "agents.1001.tiers: there is no queue of this agent nowhere"),
    ("tiers: {support: 1}", "tiers: {support: 0}", "agents.1001.tiers.support: "),
    ("tiers: {sales: 3}", "tiers: {vip: 3}", "groups.seniors.tiers: there is no queue of this group vip"),
    ("night: {queues: [support]", "night: {queues: [nowhere]", "groups.night.queues: there is no queue nowhere"),
    ("skills: {zh: 4}", "skills: {zh: 0}", "groups.night.skills.zh: "),
    ("rejected: 5", "rejected: -5", "agents.1002.delays.rejected: "),
    ("busy: 6", "engaged: 6", "agents.1002.delays.engaged: there is no such key"),
    ('number: "+491700000000"', 'number: "0170"', "agents.1002.number: "),
    ('number: "+491700000000"', 'number: "+331700000000"', "agents.1002.number: +331700000000 is not on the list outbound.allow"),
    # calendars
    ("sat: \"09:00-12:00\"", "Saturday: \"09:00-12:00\"", "calendars.office.hours: Saturday is no day"),
    ("sat: \"09:00-12:00\"", "sat-mon: \"09:00-12:00\"", "calendars.office.hours: sat-mon: the week begins on mon"),
    ("sat: \"09:00-12:00\"", "fri: \"09:00-12:00\"", "calendars.office.hours: fri is named twice"),
    ("sat: \"09:00-12:00\"", "sat: 9-12", "calendars.office.hours: 9-12 is no time of day"),
    ("sat: \"09:00-12:00\"", "sat: \"09:00-25:00\"", "calendars.office.hours: 09:00-25:00 is no time of day"),
    ("sat: \"09:00-12:00\"", "sat: \"22:00-06:00\"", "calendars.office.hours: 22:00-06:00 ends before it begins; over midnight"),
    ('["08:00-12:00", "13:00-17:30"]', '["08:00-12:00", "11:00-17:30"]', "calendars.office.hours: 11:00-17:30 begins before"),
    ("country: DE", "country: Germany", "calendars.office.holidays.country: "),
    ("country: DE", "country: XX", "calendars.office.holidays: no holidays are known of XX BY"),
    ("subdivision: BY", "subdivision: QQ", "calendars.office.holidays: no holidays are known of DE QQ"),
    ("closed: [2026-12-24]", "closed: [24.12.]", "calendars.office.closed.0: "),
    ("closed: [2026-12-24]", "closed: [2026-02-30]", "not valid YAML: day is out of range for month"),
    ('2026-12-31: "09:00-12:00"', '2026-12-31: "noon"', "calendars.office.special: noon is no time of day"),
    # the centre
    ("not_ready_limits: {break: 900}", "not_ready_limits: {nap: 900}", "not_ready_limits: there is no reason nap"),
    ("not_ready_limits: {break: 900}", "not_ready_limits: {break: 1}", "not_ready_limits.break: "),
    ("not_ready_allowed: {break: 1800}", "not_ready_allowed: {nap: 900}", "not_ready_allowed: there is no reason nap"),
    ("not_ready_allowed: {break: 1800}", "not_ready_allowed: {break: -1}", "not_ready_allowed.break: "),
    ('allow: ["+1555", "+49"]', 'allow: ["1555", "+49"]', "outbound.allow.0: "),
    ('caller_id: "+15550105000"', 'caller_id: "5000"', "outbound.caller_id: "),
    ("most_at_once: 4", "most_at_once: 0", "outbound.most_at_once: "),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "told"), REFUSED)
def test_refused_with_line_and_remedy(old: str, new: str, told: str) -> None:
    assert WHOLE.count(old) == 1, old
    text = WHOLE.replace(old, new)
    with pytest.raises(ConfigError) as caught:
        parse_centre(text, source="c.yaml")
    error: Any = caught.value
    (line,) = [line for line in error.message.splitlines() if told in line]
    number = int(line.removeprefix("c.yaml:").partition(":")[0])
    began = WHOLE[: WHOLE.index(old)].count("\n") + 1
    first = began - 1 if told.startswith(("queues.support.overflow", "agents.1002.delays")) else began
    assert first <= number <= began + old.count("\n"), line
    assert error.remedy


def test_lists_of_problems_name_every_line() -> None:
    text = WHOLE.replace("calendar: office\n    max", "calendar: home\n    max").replace(
        "{queue: sales}, after", "{queue: x}, after"
    )
    with pytest.raises(ConfigError) as caught:
        parse_centre(text, source="c.yaml")
    assert [line.split(": ")[1] for line in caught.value.message.splitlines()] == [
        "queues.support.calendar", "queues.support.overflow.0.to",
    ]  # fmt: skip


def test_dispositions_are_names_or_a_tree() -> None:
    text = WHOLE.replace(
        "calendar: office\n    max",
        "dispositions: [resolved, {name: billing, titles: {en: Billing, zh: 账单}, of: [late, {name: sum, titles: {en: Sum}}]}]\n"
        "    disposition_required: true\n    script: {en: Hello}\n"
        '    knowledge: [{titles: {en: Returns}, url: "https://wiki.example/returns"}]\n    calendar: office\n    max',
    )
    queue = parse_centre(text, source="c.yaml").queues[QueueName("support")]
    assert queue.dispositions == ("resolved", "late", "sum")
    assert (queue.desk.required, queue.desk.script, queue.desk.knowledge[0].url) == (
        True, {"en": "Hello"}, "https://wiki.example/returns",
    )  # fmt: skip
    for old, new, told in (
        ("[late,", "[resolved,", "each name can stand in the tree once"),
        ("of: [late", "of: [{name: a, of: [{name: b, of: [c]}]}", "levels deep"),
        ("https://wiki", "javascript:wiki", "knowledge.0.url"),
    ):
        with pytest.raises(ConfigError, match=told):
            parse_centre(text.replace(old, new, 1), source="c.yaml")


@pytest.mark.parametrize("kind", ["supervisors", "walls"])
@pytest.mark.parametrize("user", ["webcall", "webcaller"])
def test_nobody_is_called_as_the_lines_of_visitors_are(kind: str, user: str) -> None:
    with pytest.raises(ConfigError, match=f"{user} is the name of something else"):
        parse_centre(f"{WHOLE}{kind}: {{{user}: [sales]}}\n", source="x")
