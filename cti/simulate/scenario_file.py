"""scenario.yaml: read and checked into a `Scenario`, or refused with file, line, key and remedy."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, model_validator

from cti.centre_file import check, load_centre, place_of, read_tree
from cti.centre_forms import QueueForm, RequirementField, TierForm, queue_of, tier_of
from cti.errors import ConfigError
from cti.form_types import Extension, Form, Level, Name
from cti.ids import AgentId, QueueName
from cti.model.centre import Agent, Centre
from cti.model.requirement import ANYBODY
from cti.simulate.scenario import CallerKind, Law, Replay, Scenario, Shift, Times

DOCS = "docs/acd.md"
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]
Span = Annotated[str, StringConstraints(pattern=r"^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$")]
Positive = Annotated[float, Field(gt=0, le=86400)]
Rate = Annotated[float, Field(ge=0, le=1_000_000)]


class _Queue(QueueForm):
    titles: dict[str, str] = Field(default_factory=dict)


class _Times(Form):
    fixed: Positive | None = None
    exponential: Positive | None = None
    lognormal: Positive | None = None
    spread: Annotated[float, Field(gt=0, le=10)] = 1.0

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.fixed, self.exponential, self.lognormal)) != 1:
            raise ValueError("give one of fixed, exponential, lognormal, with the mean in seconds")
        return self


class _Staff(Form):
    count: Annotated[int, Field(ge=1, le=20_000)] = 1
    queues: list[Name]
    skills: dict[Name, Level] = Field(default_factory=dict)
    tiers: dict[Name, Annotated[int, Field(ge=1, le=9)]] = Field(default_factory=dict)
    weight: Annotated[float, Field(gt=0, le=1000)] = 1
    shifts: list[Span] = Field(default_factory=list)


class _Callers(Form):
    queue: Name
    tier: Name | None = None
    per_half_hour: Rate | Annotated[list[Rate], Field(min_length=1)]
    handling: _Times
    patience: _Times | None = None
    skills: dict[Name, Level] = Field(default_factory=dict)
    requires: RequirementField = ""


class _Replay(Form):
    begin: Annotated[date | datetime | str, Field(alias="from")]
    end: Annotated[date | datetime | str, Field(alias="to")]
    file: str | None = None
    languages: dict[Name, Level] = Field(default_factory=dict)


class _Scenario(Form):
    name: str = "scenario"
    seed: int = 1
    day: date = date(2026, 3, 2)
    start: TimeOfDay = "00:00"
    hours: Annotated[float, Field(gt=0, le=100_000)] = 24
    warm_up: Annotated[float, Field(ge=0)] = 0
    ring: Annotated[float, Field(ge=0, le=15)] = 0
    centre: str | None = None
    queues: dict[Name, _Queue] = Field(default_factory=dict)
    tiers: dict[Name, TierForm] = Field(default_factory=dict)
    agents: list[_Staff] | None = None
    shifts: dict[Extension, list[Span]] = Field(default_factory=dict)
    time_zone: str | None = None
    callers: list[_Callers] = Field(default_factory=list)
    replay: _Replay | None = None


def load_scenario(path: Path, *, replay: str = "", file: Path | None = None) -> Scenario:
    """Read a scenario file, and the centre's file it names. Raises `ConfigError`.

    With `replay` ("FROM..TO") or `file` (an export of `report.calls`) the callers are those of the past, not the file's.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", remedy=f"give the path of a scenario file; {DOCS} has one") from None
    return parse_scenario(text, source=str(path), folder=path.parent, replay=replay, file=file)


def parse_scenario(text: str, *, source: str, folder: Path, replay: str = "", file: Path | None = None) -> Scenario:
    """Check `text` (YAML) and give the scenario. Files it names are looked for from `folder`. Raises `ConfigError`."""
    tree = read_tree(text, source=source)
    if isinstance(tree.get("callers"), dict) and list(tree["callers"]) == ["replay"]:
        callers = tree.pop("callers")
        tree["replay"] = callers["replay"]
        tree.lc.data["replay"] = callers.lc.data["replay"]
    form = check(_Scenario, tree, source=source, docs=DOCS)
    centre = _centre(form, folder)
    problems = []

    def wrong(where: tuple[Any, ...], what: str) -> None:
        problems.append(f"{place_of(source, tree, where)}: {'.'.join(map(str, where))}: {what}")

    if form.centre is not None and (form.queues or form.tiers):
        wrong(("centre",), "the centre's file has the queues and tiers; leave them out here, or leave `centre` out")
    if not centre.agents:
        wrong(("agents",), "nobody is there to answer")
    for n, staff in enumerate(form.agents or ()):
        for queue in staff.queues:
            if queue not in centre.queues:
                wrong(("agents", n, "queues"), f"there is no queue {queue}")
    for extension in form.shifts:
        if extension not in centre.agents:
            wrong(("shifts", extension), "there is no such agent")
    for n, callers in enumerate(form.callers):
        if callers.queue not in centre.queues:
            wrong(("callers", n, "queue"), f"there is no queue {callers.queue}")
        if callers.tier is not None and callers.tier not in centre.tiers:
            wrong(("callers", n, "tier"), f"there is no tier {callers.tier}")
    zone = _zone(form, centre)
    if zone is None:
        wrong(("time_zone",), "there is no such time zone")
        zone = UTC
    centre = dataclasses.replace(centre, time_zone=form.time_zone or centre.time_zone)
    asked = _asked(form, replay, file, folder)
    plan = None
    if asked is not None:
        try:
            plan = Replay(
                begin=_moment(asked.begin, zone), end=_moment(asked.end, zone), file=asked.file or "",
                languages=asked.languages,
            )  # fmt: skip
        except ValueError as error:
            wrong(("replay",), f"{error}: give dates or times, as in 2026-03-02 or 2026-03-02T08:00")
        if plan is not None and plan.end <= plan.begin:
            wrong(("replay",), "it ends before it begins")
    elif not form.callers:
        wrong(("callers",), "nobody comes")
    if problems:
        raise ConfigError("\n".join(problems), remedy=f"correct these; {DOCS} describes each key")
    return Scenario(
        name=form.name,
        seed=form.seed,
        day=form.day,
        start=_time(form.start),
        length=timedelta(hours=form.hours),
        warm_up=timedelta(seconds=form.warm_up),
        ring=timedelta(seconds=form.ring),
        centre=centre,
        rosters=_rosters(form),
        callers=tuple(_kind(callers) for callers in form.callers),
        replay=plan,
    )


def _asked(form: _Scenario, replay: str, file: Path | None, folder: Path) -> _Replay | None:
    """What is to be replayed, of the command line first."""
    found = form.replay
    if found is not None and found.file is not None:
        found = found.model_copy(update={"file": str(folder / found.file)})
    if replay:
        begin, _, end = replay.partition("..")
        languages = found.languages if found is not None else {}
        kept = found.file if found is not None else None
        found = _Replay.model_validate({"from": begin, "to": end, "file": kept, "languages": languages})
    if found is not None and file is not None:
        found = found.model_copy(update={"file": str(file)})
    if found is None and file is not None:
        raise ConfigError(f"of when are the calls of {file} wanted?", remedy="give the range: --replay FROM..TO")
    return found


def _zone(form: _Scenario, centre: Centre) -> tzinfo | None:
    try:
        return ZoneInfo(form.time_zone or centre.time_zone)
    except (KeyError, ValueError, OSError):
        return None


def _moment(value: date | datetime | str, zone: tzinfo) -> datetime:
    """A day begins at midnight; without a time zone it is the centre's. Raises `ValueError`."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return (value if value.tzinfo is not None else value.replace(tzinfo=zone)).astimezone(UTC)


def _centre(form: _Scenario, folder: Path) -> Centre:
    agents = {agent.agent_id: agent for agent in _staff(form)}
    if form.centre is None:
        return Centre(
            name=form.name,
            queues={QueueName(name): queue_of(name, queue) for name, queue in form.queues.items()},
            tiers={name: tier_of(name, tier) for name, tier in form.tiers.items()},
            agents=agents,
            numbers={},
        )
    whole = load_centre(folder / form.centre)
    return Centre(
        name=form.name,
        time_zone=whole.time_zone,
        calendars=whole.calendars,
        queues=whole.queues,
        tiers=whole.tiers,
        agents=whole.agents if form.agents is None else agents,
        numbers={},
    )


def _staff(form: _Scenario) -> list[Agent]:
    """Agents by the dozen; their extensions count from 1001."""
    out: list[Agent] = []
    for staff in form.agents or ():
        queues = tuple(QueueName(queue) for queue in staff.queues)
        for _ in range(staff.count):
            agent_id = AgentId(str(1001 + len(out)))
            out.append(
                Agent(
                    agent_id=agent_id,
                    name=agent_id,
                    queues=queues,
                    skills=dict(staff.skills),
                    tiers={QueueName(queue): tier for queue, tier in staff.tiers.items()},
                    weight=staff.weight,
                )
            )
    return out


def _rosters(form: _Scenario) -> dict[AgentId, tuple[Shift, ...]]:
    spans = [staff.shifts for staff in form.agents or () for _ in range(staff.count)]
    rosters = {AgentId(str(1001 + n)): _shifts(shifts) for n, shifts in enumerate(spans)}
    return rosters | {AgentId(extension): _shifts(shifts) for extension, shifts in form.shifts.items()}


def _shifts(spans: list[str]) -> tuple[Shift, ...]:
    out = []
    for span in spans:
        begin, _, end = span.partition("-")
        first, last = _time(begin), _time(end)
        # A night's shift ends on the next day.
        out.append(Shift(begin=first, end=last if last > first else last + timedelta(days=1)))
    return tuple(out)


def _time(of_day: str) -> timedelta:
    hours, _, minutes = of_day.partition(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def _kind(form: _Callers) -> CallerKind:
    rates = form.per_half_hour
    return CallerKind(
        queue=QueueName(form.queue),
        tier=form.tier or "",
        per_half_hour=tuple(rates) if isinstance(rates, list) else (rates,),
        handling=_times(form.handling),
        patience=_times(form.patience) if form.patience else None,
        skills=tuple(sorted(form.skills.items())),
        requires=form.requires or ANYBODY,
    )


def _times(form: _Times) -> Times:
    for law, mean in ((Law.FIXED, form.fixed), (Law.EXPONENTIAL, form.exponential), (Law.LOGNORMAL, form.lognormal)):
        if mean is not None:
            return Times(law=law, mean=timedelta(seconds=mean), spread=form.spread)
    raise AssertionError("checked before")
