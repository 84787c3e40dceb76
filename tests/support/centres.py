"""Centres as Hypothesis draws them: everything a file can say, in small."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from hypothesis import strategies as st

from cti.ids import AgentId, FlowName, QueueName
from cti.model.alerts import LESS_IS_WORSE, OF_QUEUES, USUAL_TARGETS, AlertRules, Figure, Threshold
from cti.model.calendar import Calendar, Span
from cti.model.centre import (
    Agent,
    Announce,
    CallbackFirst,
    CallbackRules,
    Centre,
    Delays,
    HttpService,
    Number,
    Outbound,
    Overflow,
    Preference,
    Presence,
    Queue,
    Relaxation,
    Strategy,
    Target,
    TargetKind,
    Tier,
)
from cti.model.desk import Disposition, QueueDesk
from cti.model.facts import AgentState
from cti.model.outside_crm import CrmEventKind, Opens, OutsideCrm, Webhook
from cti.model.requirement import MOST_ALTERNATIVES, Requirement, RequirementError, all_of, either

SKILLS = ("en", "zh", "billing", "on", "yes", "null")
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
LEVELS = st.integers(1, 5)
SKILL_TABLES = st.dictionaries(st.sampled_from(SKILLS), LEVELS, max_size=3)
PEOPLE = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters='"<>;\\'), min_size=1, max_size=12)
TITLES = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
PROMPTS = st.lists(NAMES, max_size=2).map(tuple)


def within(least: float, most: float) -> st.SearchStrategy[timedelta]:
    """Times in whole or broken seconds."""
    whole = st.integers(int(least) + (least > int(least)), int(most))
    return st.one_of(whole, whole, st.floats(least, most)).map(lambda seconds: timedelta(seconds=seconds))


def maybe(strategy: st.SearchStrategy[timedelta]) -> st.SearchStrategy[timedelta | None]:
    """That, or nothing."""
    return st.one_of(st.none(), strategy)


@st.composite
def spans(draw: st.DrawFn) -> tuple[Span, ...]:
    """Spans of a day, in order, which may touch."""
    # Many at night, when clocks are changed.
    edges = sorted(set(draw(st.lists(st.integers(0, 240) | st.integers(0, 1440), max_size=6))))
    return tuple(zip(edges[::2], edges[1::2], strict=False))


def calendars(name: str = "office") -> st.SearchStrategy[Calendar]:
    """Opening hours."""
    days = st.dictionaries(st.dates(date(2026, 1, 1), date(2026, 12, 31)), spans(), max_size=6)
    return st.builds(Calendar, name=st.just(name), week=st.tuples(*[spans()] * 7), days=days)


@st.composite
def requirements(draw: st.DrawFn, levels: st.SearchStrategy[int] = LEVELS) -> Requirement:
    """Requirements in their normal form."""
    tables = draw(st.lists(st.dictionaries(st.sampled_from(SKILLS), levels, max_size=3), min_size=1, max_size=4))
    needed = all_of(tables[0])
    for table in tables[1:]:
        try:
            needed = either(needed, all_of(table))
        except RequirementError:
            assert len(tables) > MOST_ALTERNATIVES
    return needed


def _targets(queues: tuple[str, ...], outside: tuple[str, ...]) -> st.SearchStrategy[Target]:
    plain = [Target(kind=kind) for kind in (TargetKind.VOICEMAIL, TargetKind.CALLBACK, TargetKind.HANG_UP)]
    plain += [Target(kind=TargetKind.QUEUE, name=name) for name in queues]
    plain += [Target(kind=TargetKind.NUMBER, name=number) for number in outside]
    return st.one_of(st.sampled_from(plain), NAMES.map(lambda name: Target(kind=TargetKind.FLOW, name=name)))


@st.composite
def _queues(draw: st.DrawFn, name: str, others: tuple[str, ...], outside: tuple[str, ...]) -> Queue:
    targets = _targets(tuple(other for other in others if other != name), outside)
    limit = st.sampled_from(("after", "expected", "length"))

    def rule(to: Target, kind: str, time: timedelta, length: int) -> Overflow:
        return Overflow(
            to=to,
            after=time if kind == "after" else None,
            expected=time if kind == "expected" else None,
            length=length if kind == "length" else None,
        )

    steps = sorted(draw(st.sets(st.integers(1, 900), max_size=2)))
    empties = st.frozensets(
        st.sampled_from([state for state in AgentState if state is not AgentState.READY]), max_size=2
    )
    calendar = st.sampled_from(("", "office"))
    dispositions = draw(st.lists(NAMES, max_size=2, unique=True).map(tuple))
    return draw(
        st.builds(
            Queue,
            desk=st.just(QueueDesk(dispositions=tuple(Disposition(name=one) for one in dispositions))),
            name=st.just(QueueName(name)),
            titles=st.dictionaries(st.sampled_from(("en", "zh")), PEOPLE, min_size=1),
            strategy=st.sampled_from(Strategy),
            ring_timeout=within(3, 120),
            wrap_up=within(0, 900),
            wrap_up_extension=within(0, 900),
            wrap_up_longest=within(0, 900),
            service_level=within(0, 900),
            short_abandon=within(0, 90),
            refusal_pause=within(0, 90),
            record=st.booleans(),
            dispositions=st.just(dispositions),
            skills=SKILL_TABLES,
            requires=requirements(),
            relax=st.tuples(
                *[
                    st.builds(
                        Relaxation,
                        after=st.just(timedelta(seconds=step)),
                        skills=st.dictionaries(st.sampled_from(SKILLS), st.integers(0, 5), min_size=1, max_size=2),
                    )
                    for step in steps
                ]
            ),
            weight=st.integers(0, 9),
            head_start=within(0, 900),
            count_menu=st.booleans(),
            ceiling=maybe(within(0.5, 900)),
            tier_wait=within(0, 900),
            preference=st.none()
            | st.builds(Preference, own=st.booleans(), last=maybe(within(0.5, 900)), hold=within(0, 90)),
            announce=st.builds(Announce, place=st.booleans(), wait=st.booleans(), every=within(10, 600), comfort=PROMPTS),
            calendar=calendar,
            max_length=st.none() | st.integers(1, 500),
            max_wait=maybe(within(0.5, 900)),
            join_empty=empties,
            leave_empty=empties,
            when_closed=targets,
            when_full=targets,
            when_late=targets,
            when_empty=targets,
            overflow=st.lists(st.builds(rule, targets, limit, within(0.5, 900), st.integers(1, 50)), max_size=2).map(tuple),
            options=st.dictionaries(st.sampled_from("0123456789*#"), targets, max_size=3),
            callback=st.builds(
                CallbackRules,
                first=st.sampled_from(CallbackFirst),
                attempts=st.integers(1, 20),
                retry=within(5, 900),
                ring_timeout=within(5, 120),
                calendar=calendar,
            ),
            caller_id=st.sampled_from(("", "+15550105003")),
        )
    )  # fmt: skip


@st.composite
def _agents(draw: st.DrawFn, extension: str, queues: tuple[str, ...], outside: tuple[str, ...]) -> Agent:
    mine = draw(st.lists(st.sampled_from(queues), min_size=1, unique=True).map(tuple))
    return draw(
        st.builds(
            Agent,
            agent_id=st.just(AgentId(extension)),
            name=PEOPLE,
            queues=st.just(tuple(QueueName(name) for name in mine)),
            skills=SKILL_TABLES,
            miss_limit=st.integers(0, 100),
            weight=st.floats(0.01, 100),
            tiers=st.dictionaries(st.sampled_from([QueueName(name) for name in mine]), st.integers(1, 9), max_size=2),
            groups=st.lists(NAMES, max_size=2, unique=True).map(tuple),
            wrap_up=maybe(within(0, 90)),
            delays=st.builds(
                Delays, rejected=within(0, 9), busy=within(0, 9), no_answer=within(0, 9), unreachable=within(0, 9)
            ),
            number=st.sampled_from(("", *outside)),
            auto_answer=st.booleans(),
        )
    )


OUTSIDE_CRMS = st.builds(
    OutsideCrm,
    open_url=st.sampled_from(("", "https://crm.example/find?phone={number}&call={call}&queue={queue}")),
    open=st.sampled_from(Opens),
    webhook=st.none()
    | st.builds(
        Webhook,
        url=st.sampled_from(("https://crm.example/calls", "http://127.0.0.1:8000/x?y=1")),
        secret_file=st.just("/etc/crm.secret"),
        events=st.lists(st.sampled_from(CrmEventKind), unique=True).map(tuple),
        deadline=within(0.5, 30),
        give_up=within(1, 3600),
    ),
    look_up_first=st.booleans(),
    look_up_keep=within(0, 3600),
)


def _threshold(bounds: tuple[float, float], figure: Figure) -> Threshold:
    mild, bad = sorted(bounds, reverse=figure in LESS_IS_WORSE)
    return Threshold(warn=mild, critical=bad, back=0.5, hold=timedelta(seconds=20))


def _thresholds(figures: Iterable[Figure]) -> st.SearchStrategy[dict[Figure, Threshold]]:
    bounds = st.tuples(st.floats(0, 100), st.floats(0, 100))
    return st.dictionaries(st.sampled_from(sorted(figures)), bounds, max_size=2).map(
        lambda found: {figure: _threshold(two, figure) for figure, two in found.items()}
    )


ALERT_RULES = st.builds(
    AlertRules,
    centre=_thresholds(Figure),
    each_queue=_thresholds(OF_QUEUES),
    webhook=st.none()
    | st.builds(
        Webhook,
        url=st.just("https://ops.example/cti"),
        secret_file=st.just("/etc/ops.secret"),
        deadline=within(0.5, 30),
    ),
)


@st.composite
def centres(draw: st.DrawFn) -> Centre:
    """Whole centres, such as a file can describe."""
    queues = tuple(draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)))
    extensions = draw(st.lists(st.integers(10, 999999).map(str), max_size=3, unique=True))
    dids = draw(
        st.lists(
            st.from_regex(r"\+?[0-9]{2,6}", fullmatch=True),
            min_size=1,
            max_size=3,
            unique_by=lambda did: did.lstrip("+"),
        )
    )
    outside = draw(st.sampled_from(((), ("+15550100", "+15550199"))))
    reasons = tuple(draw(st.lists(NAMES, max_size=3, unique=True)))
    tiers = draw(st.lists(NAMES, max_size=2, unique=True))
    return Centre(
        name=draw(PEOPLE),
        region=draw(st.sampled_from(("US", "DE", "NO"))),
        time_zone=draw(st.sampled_from(("UTC", "Europe/Berlin", "America/New_York"))),
        languages=tuple(draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))),
        queues={QueueName(name): draw(_queues(name, queues, outside)) for name in queues},
        agents={AgentId(extension): draw(_agents(extension, queues, outside)) for extension in extensions},
        tiers={
            name: draw(st.builds(Tier, name=st.just(name), head_start=within(0, 900), strict=st.integers(0, 9)))
            for name in tiers
        },
        numbers={
            did: Number(
                did=did,
                flow=FlowName(draw(NAMES)),
                title=draw(TITLES),
                survival_queue=QueueName(draw(st.sampled_from(queues))),
                head_start=draw(within(0, 900)),
            )
            for did in dids
        },
        not_ready_reasons=reasons,
        not_ready_allowed=draw(
            st.dictionaries(st.sampled_from(reasons), within(0, 3600), max_size=2) if reasons else st.just({})
        ),
        not_ready_limits=draw(
            st.dictionaries(st.sampled_from(reasons), within(10, 900), max_size=2) if reasons else st.just({})
        ),
        calendars={"office": draw(calendars())},
        outbound=Outbound(
            allow=("+1555",) if outside else draw(st.sampled_from(((), ("+49",)))),
            caller_id=draw(st.sampled_from(("", "+15550105000"))),
            caller_ids=draw(st.sampled_from(((), ("+15550105001", "+15550105002")))),
            most_at_once=draw(st.integers(1, 1000)),
        ),
        presence=draw(st.builds(Presence, resume=within(5, 300), grace=within(5, 300))),
        crm=draw(OUTSIDE_CRMS),
        alerts=draw(ALERT_RULES),
        targets=dict(USUAL_TARGETS)
        | draw(st.dictionaries(st.sampled_from(sorted(USUAL_TARGETS)), st.floats(0, 1), max_size=2)),
        services={
            "shop": HttpService(
                name="shop",
                url=draw(st.sampled_from(("https://shop.example/orders", "http://127.0.0.1:8000"))),
                method=draw(st.sampled_from(("GET", "POST"))),
                deadline=draw(within(0.5, 30)),
                retries=draw(st.integers(0, 5)),
                token_file=draw(st.sampled_from(("", "/etc/token"))),
            )
        }
        if draw(st.booleans())
        else {},
    )
