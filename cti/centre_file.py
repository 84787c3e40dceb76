"""centre.yaml: read and checked into a `Centre`, or refused with file, line, key and remedy."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from cti.errors import ConfigError
from cti.ids import AgentId, FlowName, QueueName
from cti.model.centre import Agent, Announce, Centre, Number, Queue, Relaxation, Strategy, Tier
from cti.settings import plain_words

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Extension = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{1,5}$")]
Did = Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{2,15}$")]
Level = Annotated[int, Field(ge=1, le=5)]
Seconds = Annotated[float, Field(ge=0, le=86400)]
DisplayName = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r'^[^\x00-\x1f"<>;\\\x7f]+$')]
"""A person's or centre's name. Signs that mean something in Asterisk's configuration files are refused."""

F = TypeVar("F", bound=BaseModel)


class Form(BaseModel):
    """A mapping of a file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class AnnounceForm(Form):
    """What waiting callers are told, as the file has it."""

    place: bool = True
    wait: bool = True
    every: Annotated[float, Field(ge=10, le=600)] = 30
    comfort: list[Name] = ["thank_you_for_waiting"]


class _Relaxation(Form):
    after: Annotated[float, Field(gt=0, le=86400)]
    skills: dict[Name, Annotated[int, Field(ge=0, le=5)]] = Field(min_length=1)


class QueueForm(Form):
    """A queue as the file has it. Times are seconds."""

    titles: dict[str, DisplayName]
    strategy: Strategy = Strategy.LONGEST_IDLE
    ring_timeout: Annotated[float, Field(ge=3, le=120)] = 15
    wrap_up: Seconds = 30
    service_level: Seconds = 20
    short_abandon: Seconds = 5
    refusal_pause: Seconds = 10
    record: bool = False
    dispositions: list[Name] = ["resolved", "follow_up", "wrong_number", "other"]
    skills: dict[Name, Level] = {}
    announce: AnnounceForm = AnnounceForm()
    ceiling: Annotated[float, Field(gt=0, le=86400)] | None = None
    relax: list[_Relaxation] = []

    @field_validator("relax")
    @classmethod
    def _by_time(cls, value: list[_Relaxation]) -> list[_Relaxation]:
        times = [step.after for step in value]
        if times != sorted(set(times)):
            raise ValueError("each step must come later than the one before it")
        return value


class _Agent(Form):
    name: DisplayName
    queues: list[Name]
    skills: dict[Name, Level] = {}
    miss_limit: Annotated[int, Field(ge=0, le=100)] = 3
    weight: Annotated[float, Field(ge=0.01, le=100)] = 1


class TierForm(Form):
    """A tier as the file has it."""

    head_start: Seconds = 0
    strict: Annotated[int, Field(ge=0, le=9)] = 0


class _Number(Form):
    flow: Name
    survival_queue: Name
    title: str = ""
    head_start: Seconds = 0


class _Centre(Form):
    name: DisplayName
    region: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "US"
    time_zone: str = "UTC"
    languages: list[Name] = ["en", "zh"]
    queues: dict[Name, QueueForm] = Field(min_length=1)
    agents: dict[Extension, _Agent] = {}
    tiers: dict[Name, TierForm] = {}
    numbers: dict[Did, _Number] = Field(min_length=1)
    not_ready_reasons: list[Name] = ["break", "lunch", "meeting", "training", "admin"]

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except Exception as error:
            raise ValueError(f"{value} is no time zone of the IANA data base, such as Asia/Shanghai") from error
        return value


def read_tree(text: str, *, source: str) -> Any:
    """YAML text as a mapping that knows its lines. Raises `ConfigError`."""
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark is not None else source
        raise ConfigError(f"{line}: not valid YAML: {error.problem}", remedy="mend that line") from None
    except YAMLError as error:  # a character YAML forbids; the library tells no line
        raise ConfigError(
            f"{source}: not valid YAML: {str(error).splitlines()[0]}", remedy="delete that character"
        ) from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{source}: empty or not a mapping", remedy="start from the demo's file") from None
    return tree


def check(form: type[F], tree: Any, *, source: str, docs: str) -> F:
    """The tree as `form`. Raises `ConfigError` with file, line, key and remedy for every problem; `docs` tells the keys."""
    try:
        return form.model_validate(_plain(tree))
    except ValidationError as error:
        lines = [
            f"{place_of(source, tree, p['loc'])}: {'.'.join(map(str, p['loc']))}: {plain_words(p)}"
            for p in error.errors()
        ]
        raise ConfigError("\n".join(lines), remedy=f"correct these keys; {docs} describes each") from None


def parse_centre(text: str, *, source: str) -> Centre:
    """Check `text` (YAML) and give the centre. Raises `ConfigError` with `source`, line and remedy for every problem."""
    tree = read_tree(text, source=source)
    if bent := _bent_keys(text, source, tree):
        raise ConfigError("\n".join(bent), remedy="write these keys in quotes")
    form = check(_Centre, tree, source=source, docs="docs/centre.md")
    problems = [
        f"{place_of(source, tree, where)}: {'.'.join(where)}: there is no queue {queue}"
        for where, queue in [
            *((("agents", ext, "queues"), q) for ext, agent in form.agents.items() for q in agent.queues),
            *((("numbers", did, "survival_queue"), number.survival_queue) for did, number in form.numbers.items()),
        ]
        if queue not in form.queues
    ]
    if problems:
        raise ConfigError("\n".join(problems), remedy=f"the queues are {', '.join(form.queues)}")
    if alike := _alike(source, tree, form):
        raise ConfigError("\n".join(alike), remedy="keep one of the two")
    return _centre(form)


def load_centre(path: Path) -> Centre:
    """Read a centre file. Raises `ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no centre file",
            remedy="`cti up` starts with the demo centre's (cti/demo/centre.yaml); copy it there, or set `centre`",
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", remedy="set `centre` to a file that can be read") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text", remedy="save the file as UTF-8") from None
    return parse_centre(text, source=str(path))


def _bent_keys(text: str, source: str, tree: Any) -> list[str]:
    """Numbers and extensions without quotes that YAML reads as other numbers: 0500 is 500 to it, and +1555 is 1555."""
    lines = text.splitlines()
    problems = []
    for section in ("numbers", "agents"):
        table = tree.get(section)
        for key, (line, column, *_) in (getattr(getattr(table, "lc", None), "data", None) or {}).items():
            written = lines[line][column:].partition(":")[0].strip()
            if not isinstance(key, str) and written != str(key):
                problems.append(f"{source}:{line + 1}: {section}: {written} without quotes is the number {key} to YAML")
    return problems


def _alike(source: str, tree: Any, form: _Centre) -> list[str]:
    """Numbers that differ only by the plus: callers reach both by the same digits."""
    taken: dict[str, str] = {}
    problems = []
    for did in form.numbers:
        first = taken.setdefault(did.removeprefix("+"), did)
        if first != did:
            problems.append(f"{place_of(source, tree, ('numbers', did))}: numbers: {first} and {did} are dialled alike")
    return problems


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def place_of(source: str, tree: Any, path: tuple[int | str, ...]) -> str:
    """`file:line` of the deepest key of `path` that the file has."""
    line = 1
    for key in path:
        marks = getattr(getattr(tree, "lc", None), "data", None)
        if not marks:
            break
        actual = key if key in marks else next((k for k in marks if str(k) == str(key)), None)
        if actual is None:
            break
        line = marks[actual][0] + 1
        tree = tree[actual]
    return f"{source}:{line}"


def queue_of(name: str, q: QueueForm) -> Queue:
    """The queue a form tells of."""
    return Queue(
        name=QueueName(name),
        titles=dict(q.titles),
        strategy=q.strategy,
        ring_timeout=timedelta(seconds=q.ring_timeout),
        wrap_up=timedelta(seconds=q.wrap_up),
        service_level=timedelta(seconds=q.service_level),
        short_abandon=timedelta(seconds=q.short_abandon),
        refusal_pause=timedelta(seconds=q.refusal_pause),
        record=q.record,
        dispositions=tuple(q.dispositions),
        skills=dict(q.skills),
        announce=Announce(
            place=q.announce.place,
            wait=q.announce.wait,
            every=timedelta(seconds=q.announce.every),
            comfort=tuple(q.announce.comfort),
        ),
        ceiling=timedelta(seconds=q.ceiling) if q.ceiling is not None else None,
        relax=tuple(Relaxation(after=timedelta(seconds=r.after), skills=dict(r.skills)) for r in q.relax),
    )


def tier_of(name: str, t: TierForm) -> Tier:
    """The tier a form tells of."""
    return Tier(name=name, head_start=timedelta(seconds=t.head_start), strict=t.strict)


def _centre(form: _Centre) -> Centre:
    return Centre(
        name=form.name,
        region=form.region,
        time_zone=form.time_zone,
        languages=tuple(form.languages),
        not_ready_reasons=tuple(form.not_ready_reasons),
        queues={QueueName(name): queue_of(name, q) for name, q in form.queues.items()},
        agents={
            AgentId(ext): Agent(
                agent_id=AgentId(ext),
                name=a.name,
                queues=tuple(QueueName(q) for q in a.queues),
                skills=dict(a.skills),
                miss_limit=a.miss_limit,
                weight=a.weight,
            )
            for ext, a in form.agents.items()
        },
        tiers={name: tier_of(name, t) for name, t in form.tiers.items()},
        numbers={
            did: Number(
                did=did,
                flow=FlowName(n.flow),
                title=n.title,
                survival_queue=QueueName(n.survival_queue),
                head_start=timedelta(seconds=n.head_start),
            )
            for did, n in form.numbers.items()
        },
    )
