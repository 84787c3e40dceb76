"""Random flows and random callers: always an end or a wait, never an exception, and the same again for the same keys."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cti.ivr import effects as e
from cti.ivr.checker import check_flow, check_text, live
from cti.ivr.flow import Flow
from cti.ivr.interpreter import MAX_STEPS, Turn, advance, start
from cti.ivr.parser import parse_flow
from cti.ivr.problems import Position
from cti.ivr.prompt_book import parse_prompts
from cti.model.facts import Match
from tests.support.examples import examples
from tests.support.flow_corpus import CLOCK, FLOWS, SCRIPTS, SHIPPED, corpus_flows, corpus_prompts, demo_centre

PROMPTS = ("welcome", "menu", "hours", "order", "invalid", "goodbye")
prompt = st.sampled_from(PROMPTS)
flag = st.sampled_from(["true", "false"])
VERBS = [
    "say",
    "menu",
    "menu",
    "collect",
    "choose_language",
    "look_up",
    "when",
    "set",
    "open_hours",
    "call_service",
    "record",
    "survey",
    "callback",
    "transfer",
    "sub_flow",
    "return",
    "run_script",
    "python",
    "voicemail",
    "queue",
    "hang_up",
]
WAYS_TO_FAIL = ("set", "call_service", "record", "transfer", "python")
"""Verbs with an exit of this name; for others it means that an unchecked flow led nowhere."""
variable = st.sampled_from(["x", "y"])
number = st.sampled_from(
    ["1 + 1", "now.hour * 60", "x + 1", "length(answer.number)", "1 / (now.day - 2)", "number(caller.number)"]
)
condition = st.sampled_from(
    ['customer.tier == "vip"', "now.hour < 12", "x > 1", "length(answer.number) > 3 and y == 2", "not customer.known"]
)


@st.composite
def flow_texts(draw: st.DrawFn) -> str:
    """The text of a flow that parses; its targets may be missing, its loops may be endless."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 7)))]
    stray = draw(st.sampled_from([[], [], [], ["missing"]]))
    target = st.sampled_from([*names, "out", *stray])
    lines = ["flow: test", "languages: [en, zh]", f"start: {draw(target)}", "failure: out", "steps:"]
    for name in names:
        verb = draw(st.sampled_from(VERBS))
        if verb == "say":
            read_back = draw(st.sampled_from(["", ", {digits_of: number}"]))
            body = f"say: [{draw(prompt)}{read_back}], barge_in: {draw(flag)}, go: {draw(target)}"
        elif verb == "look_up":
            exits = ", ".join(f"{exit_}: {draw(target)}" for exit_ in ("found", "several", "unknown", "unavailable"))
            tiers = f"tiers: {{vip: {draw(target)}}}, " if draw(st.booleans()) else ""
            body = f"look_up_customer: caller_number, use_language: {draw(flag)}, {tiers}{exits}"
        elif verb == "when":
            cases = [f"{{if: '{draw(condition)}', go: {draw(target)}}}" for _ in range(draw(st.integers(1, 3)))]
            body = f"when: [{', '.join(cases)}], else: {draw(target)}"
        elif verb == "set":
            values = [f"{draw(variable)}: '{draw(number)}'" for _ in range(1)]
            body = f"set: {{{', '.join(values)}}}, go: {draw(target)}, failure: {draw(target)}"
        elif verb == "call_service":
            body = f"call_service: orders, keep: {{x: number n}}, go: {draw(target)}, failure: {draw(target)}"
        elif verb == "open_hours":
            body = f"open_hours: office, open: {draw(target)}, closed: {draw(target)}"
        elif verb == "queue":
            body = f"queue: support, say: [{draw(prompt)}]" if draw(st.booleans()) else "queue: sales"
        elif verb == "record":
            exits = ", ".join(f"{exit_}: {draw(target)}" for exit_ in ("go", "empty", "failure"))
            body = f"record: [{draw(prompt)}], terminator: {draw(st.sampled_from(['any', 'none']))}, {exits}"
        elif verb == "survey":
            rows = [f"{{name: q{n}, ask: [{draw(prompt)}]}}" for n in range(draw(st.integers(1, 3)))]
            comment = f"comment: {{say: {draw(prompt)}}}, " if draw(st.booleans()) else ""
            body = f"survey: [{', '.join(rows)}], {comment}go: {draw(target)}, left: {draw(target)}"
        elif verb == "callback":
            exits = ", ".join(f"{exit_}: {draw(target)}" for exit_ in ("go", "not_possible", "no_input", "invalid"))
            tries = draw(st.integers(1, 3))
            body = f"request_callback: support, confirm: [{draw(prompt)}], ask: [order], tries: {tries}, {exits}"
            if draw(st.booleans()):
                body += (
                    f', ask_when: [{draw(prompt)}], windows: {{1: {{label: Soon}}, 5: {{label: Late, from: "15:00"}}}}'
                )
        elif verb == "transfer":
            busy = f"busy: {draw(target)}, " if draw(st.booleans()) else ""
            whom = draw(st.sampled_from(['number: "+15550100042"', 'agent: "1001"', "agent: own"]))
            body = f"transfer: {{{whom}}}, {busy}failure: {draw(target)}"
        elif verb == "sub_flow":
            words = f"returns: {{known: {draw(target)}}}, " if draw(st.booleans()) else ""
            body = f"sub_flow: identify, {words}go: {draw(target)}"
        elif verb == "run_script":
            body = f"run_script: check_pin, go: {draw(target)}, failed: {draw(target)}, overdue: {draw(target)}"
        elif verb == "python":
            body = f"python: discount, send: {{n: '{draw(number)}'}}, keep: {{y: number n}}, go: {draw(target)}, failure: {draw(target)}"
        elif verb == "return":
            body = "return: done"
        elif verb == "voicemail":
            body = f"voicemail: {draw(st.sampled_from(['silently', '[goodbye]']))}"
        elif verb == "hang_up":
            body = f"hang_up: {draw(st.sampled_from(['silently', '[goodbye]']))}"
        else:
            failed = f"no_input: {draw(target)}, invalid: {{say: [invalid], go: {draw(target)}}}"
            asked = f"{verb}: [{draw(prompt)}], tries: {draw(st.integers(1, 3))}, barge_in: {draw(flag)}, {failed}"
            if verb == "menu":
                keys = draw(st.lists(st.sampled_from(e.ALL_KEYS), min_size=1, max_size=4, unique=True))
                choices = ", ".join(f'"{key}": {{label: L{key}, go: {draw(target)}}}' for key in keys)
                body = f"{asked}, choices: {{{choices}}}"
            elif verb == "collect":
                least = draw(st.integers(1, 4))
                length = f"{{min: {least}, max: {draw(st.integers(least, 6))}}}"
                end = draw(st.sampled_from(['"#"', '"*"', "none"]))
                body = f"{asked}, length: {length}, terminator: {end}, overall: 6s, as: number, go: {draw(target)}"
            else:
                body = f"{asked}, choices: {{1: en, 2: zh}}, default: {draw(st.sampled_from(['en', 'zh']))}, go: {draw(target)}"
        lines.append(f"  {name}: {{{body}}}")
    lines.append("  out: {queue: support}")
    return "\n".join(lines) + "\n"


customers = st.builds(
    e.LookedUp,
    match=st.sampled_from(list(Match)),
    tier=st.sampled_from(["", "vip", "regular"]),
    language=st.sampled_from(["", "en", "zh", "fr"]),
)
# What a caller does at each prompt and each wait: a key, nothing, or (rarely) hanging up.
acts = st.lists(st.sampled_from([*e.ALL_KEYS, *"....", "!"]) | st.sampled_from([*e.ALL_KEYS, ""]), max_size=60)


def answer(effect: e.Effect, act: str, customer: e.LookedUp) -> e.Result:
    if act == "!":
        return e.Gone()
    if isinstance(effect, e.Play):
        return e.Heard(digit=act if act and act in effect.interrupt else None)
    if isinstance(effect, e.AwaitDigit):
        assert effect.timeout > timedelta()
        return e.Key(digit=act, after=effect.timeout / 2) if act in e.ALL_KEYS and act else e.Silence()
    if isinstance(effect, e.LookAtClock):
        return e.ClockSeen(local=CLOCK)
    if isinstance(effect, e.AskCalendar):
        return e.CalendarSeen(is_open=act != "")
    if isinstance(effect, e.CallService | e.CallFunction):
        return (
            e.ServiceAnswered(status="ok", body={"n": 7} if act else {})
            if act != "#"
            else e.ServiceAnswered(status="failed")
        )
    match effect:
        case e.SendTo(target=target) if target.name and act:
            return e.NotAnswered(status="busy") if act in "0123456789" else e.Sent(ok=False)
        case e.SendTo():
            return e.Sent()
        case e.SendToAgent():
            return e.AgentAsked(status="busy" if act == "#" else "unknown" if act else "sent")
        case e.AskCallback():
            return e.CallbackPromised(ok=act != "")
        case e.Record():
            return e.Recorded(status="recorded" if act in "01234" else "failure" if act == "#" else "empty")
        case e.FindFlow():
            return e.FlowFound(flow=corpus_flows().get(effect.flow))
        case e.RunScript():
            return e.ScriptEnded(status="failed" if act == "#" else "done" if act else "overdue")
        case e.LookUpCustomer():
            return customer
        case _:
            return e.Done()


def play(flow: Flow, script: list[str], customer: e.LookedUp, *, at: str | None = None) -> list[Turn]:
    turns = [start(flow, language="en", at=at)]
    for act in [*script, *[""] * 4000]:
        if isinstance(turns[-1].effect, e.Ending):
            return turns
        turns.append(advance(turns[-1].state, answer(turns[-1].effect, act.replace(".", ""), customer)))
    raise AssertionError("no end")


@examples(80, nightly=10_000)
@given(text=flow_texts(), script=acts, customer=customers)
def test_every_dialogue_ends_and_is_the_same_again(text: str, script: list[str], customer: e.LookedUp) -> None:
    flow = parse_flow(text, "test.yaml")
    assert isinstance(flow, Flow), "\n".join(map(str, flow))
    problems = check_flow(flow, demo_centre(), corpus_prompts(), corpus_flows(), SCRIPTS)
    turns = play(flow, script, customer)
    assert turns == play(flow, script, customer)
    traces = [trace for turn in turns for trace in turn.traces]
    assert len(traces) <= MAX_STEPS + 2
    for turn in turns:
        for number, trace in enumerate(turn.traces):
            # The number of a condition is none of the caller's keys.
            assert trace.verb == "when" or not set(trace.exit) & set(e.ALL_KEYS)
            assert trace.choice == "" or trace.verb == "menu"
            assert trace.flow == flow.name or trace.resume_at in flow.steps
            if number + 1 < len(turn.traces) and trace.next_step is not None:
                assert turn.traces[number + 1].step == trace.next_step
    if live(problems):
        for trace in traces:
            own = trace.flow == flow.name
            assert trace.next_step is None or not own or trace.next_step in flow.steps
            assert trace.exit != "failure" or trace.verb in WAYS_TO_FAIL
        # A caller who presses nothing always gets to an end without the guard on runaway flows.
        silent = play(flow, [], customer)
        assert not any(trace.exit == "runaway" for turn in silent for trace in turn.traces)


@examples(50, nightly=4_000)
@given(text=flow_texts(), script=acts, customer=customers, cut=st.integers(0, 30))
def test_a_session_resumes_at_the_step_it_was_in(text: str, script: list[str], customer: e.LookedUp, cut: int) -> None:
    flow = parse_flow(text, "test.yaml")
    assert isinstance(flow, Flow)
    turns = play(flow, [act for act in script if act != "!"], customer)
    done = [trace for turn in turns[:cut] for trace in turn.traces]
    at = (done[-1].resume_at or done[-1].next_step) if done else None
    if at in flow.steps:
        resumed = play(flow, [], customer, at=at)
        assert resumed[0].state.step == at or resumed[0].traces
        assert resumed[-1].state.ended


CORPUS = [file.read_text(encoding="utf-8") for file in [*FLOWS.glob("*/*.yaml"), *SHIPPED.glob("*.yaml")]]


@examples(100, nightly=10_000)
@given(data=st.data())
def test_a_damaged_flow_is_a_flow_or_a_list_of_problems(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(CORPUS))
    for _ in range(data.draw(st.integers(1, 4))):
        first = data.draw(st.integers(0, len(text)))
        last = min(len(text), first + data.draw(st.integers(0, 20)))
        text = (
            text[:first]
            + data.draw(st.text(max_size=8) | st.sampled_from([*"{}[]:-#*&!|>'\"%@\t\n ", ": ", "- "]))
            + text[last:]
        )
    problems = check_text(text, "main.yaml", demo_centre(), corpus_prompts())
    assert all(problem.at >= Position(1, 1) and problem.message and problem.remedy for problem in problems)
    parse_prompts(text, "prompts.yaml")


@examples(100, nightly=10_000)
@given(text=st.text(max_size=200))
def test_any_text_at_all(text: str) -> None:
    assert isinstance(parse_flow(text, "main.yaml"), list)
