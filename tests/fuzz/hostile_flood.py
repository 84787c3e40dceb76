"""Crafted callers, many at once, through real Asterisk; every byte that comes out to the bridge is read strictly.

    python -m tests.fuzz.hostile_flood [--calls 100000] [--seed 7] [--rate 200] [--at-once 200] [--seconds n]

First plain callers come, and from what AMI, FastAGI and the ledger say of them the grammar is learned: whole packets, line by
line, with nothing left open but the call's own id, channel, number and the times. Then the crafted ones come, and whatever is
said of them must be one of those packets. What number each may have is known beforehand (`tests.support.crafted_callers`), so
numbers are compared as well. Beside them an innocent caller talks with an agent and another waits: nothing may happen to these.

What became of each caller is accounted for: it came into the dialplan, or Asterisk answered with a status that is known, or its
log tells which header it has dropped the request for. A caller without any of these is wrong, and so is one who was told of and
should not have been.

The same seed makes the same callers. Prints its progress every 15 s and a summary in the end; ends with code 1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.integration.asterisk_rig import AgiSession, RawAmi, Rig, running_asterisk, until
from tests.support.crafted_callers import CENTRES, CraftedCaller, crafted, plain
from tests.support.crafted_line import CraftedLine, LineCall, crafted_line
from tests.support.sip_phone import SipPhone

PLAIN = 144
"""Plain callers to learn from, at least; the crafted come until the plain have shown nothing new for as many."""
EVERY = 15.0
"""Seconds between lines of progress."""
QUERY = "${CALLERID(all)}|${CONNECTEDLINE(all)}|${CTI_FROM}${CTI_USER}|${CTI_NUMBER}"
"""What is asked of some channels: nothing of From is left on them."""
_NUMBER_KEYS = ("CallerIDNum", "ConnectedLineNum", "Number", "agi_callerid", "agi_arg_2")
_TIME = re.compile(r"\d{10}\.\d{6}")
_CALL = re.compile(r"a1-\d{10}\.\d+")
_CHANNEL = re.compile(r"PJSIP/trunk-[0-9a-f]{8}")
_THREAD = re.compile(r"agi_threadid: \d+")
_OWN = {
    key: re.compile(rule)
    for key, rule in {
        "Priority": r"\d{1,3}",
        "Context": r"cti-(enter|refused|flow-run|wait-run|bye-run)",
        "Exten": "[sht]",
        "ChanVariable": r"CTI_QUEUE=(support)?",
        "Cause": r"\d{1,3}",
        "Cause-txt": r"[A-Za-z ()/-]{0,50}",
        "TechCause": r"\d{3}",
        "agi_network_script": "call|wait",
        "agi_request": r"agi://127\.0\.0\.1:\d+/(call|wait)",
        "agi_context": "cti-(flow|wait)-run",
        "agi_priority": r"\d{1,3}",
    }.items()
}
"""What depends on when somebody hung up, and what it may be."""
_ENDED = re.compile(r'\{"hangupcause":\d{1,3},"hangupsource":"(<channel>)?","dialstatus":""\}')
_OF_A_DEVICE = re.compile(
    rb"Event: (DeviceStateChange|ContactStatus)\r\nPrivilege: (call|system),all\r\nTimestamp: \d{10}\.\d{6}\r\nSystemName: a1\r\n"
    rb"(Device: PJSIP/(trunk|1001|1002)\r\nState: [A-Z_]+|URI: sip:100[12]@127\.0\.0\.1:\d+\r\nContactStatus: [A-Za-z]+\r\n"
    rb"AOR: 100[12]\r\nEndpointName: 100[12]\r\nRoundtripUsec: \d+)"
)
"""How telephones and the trunk are; it comes at any time, and of a busy machine's telephones as unreachable ones."""
_DIALLED = re.compile(r"\+?[0-9]{1,20}")


_ANSWERS = (
    "HANGUP\n",
    "200 result=1\n",
    "200 result=-1\n",
    "511 Command Not Permitted on a dead channel or intercept routine\n",
)
"""What FastAGI answers when somebody hangs up just then; plain callers do not always show it."""


@dataclass(slots=True)
class Grammar:
    """Packets as they may be, learned from plain callers; then anything else is wrong."""

    learning: bool = True
    known: set[str] = field(default_factory=lambda: set(_ANSWERS))
    news: int = 0
    """Packets since the last that was new."""
    read: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def see(self, kind: str, packet: str) -> None:
        """Read one."""
        self.read[kind] += 1
        if packet in self.known:
            self.news += 1
        elif self.learning:
            self.known.add(packet)
            self.news = 0
        else:
            self.fault(f"{kind}: {packet!r}")

    def fault(self, what: str) -> None:
        """Something is wrong."""
        if len(self.wrong) < 1000:
            self.wrong.append(what)


@dataclass(slots=True)
class Told:
    """What was told of each call, by its id."""

    inbound: dict[str, tuple[str, str]] = field(default_factory=dict)
    """AMI: number and dialled number."""
    agi: dict[str, tuple[str, str]] = field(default_factory=dict)
    ahead: set[str] = field(default_factory=set)
    """Calls that have not ended."""
    innocent: set[str] = field(default_factory=set)

    def number(self, call: str) -> str:
        """The call's number, by AMI or FastAGI, whichever came first."""
        return (self.inbound.get(call) or self.agi.get(call) or ("", ""))[0]


def bare(line: str, number: str) -> str:
    """A line without what is each call's own: ids, times, number, and where in our dialplan it was when it ended."""
    line = _CHANNEL.sub("<channel>", _CALL.sub("<call>", _TIME.sub("<time>", line)))
    key, colon, value = line.partition(": ")
    if number and key in _NUMBER_KEYS and value == number:
        return f"{key}{colon}<number>"
    if key in ("Did", "agi_arg_3", "Exten") and value not in CENTRES and _DIALLED.fullmatch(value):
        return f"{key}{colon}<dialled>"
    return f"{key}{colon}<own>" if (own := _OWN.get(key)) and own.fullmatch(value) else line


class StrictAmi(RawAmi):
    """The bridge's link, read packet by packet; keeps nothing but what is wrong."""

    grammar: Grammar
    told: Told

    async def _read(self) -> None:
        buffer = b""
        while data := await self._reader.read(1 << 18):
            *blocks, buffer = (buffer + data).split(b"\r\n\r\n")
            for block in blocks:
                if block.startswith((b"Response: ", b"Asterisk Call Manager/")):
                    fields = dict(line.partition(": ")[::2] for line in block.decode().split("\r\n"))
                    self._answers[fields.get("ActionID", "")] = fields
                elif hasattr(self, "grammar"):
                    self._packet(block)
            async with self._news:
                self._news.notify_all()

    def _packet(self, block: bytes) -> None:
        try:
            lines = block.decode("ascii").split("\r\n")
        except UnicodeDecodeError:
            lines = block.decode("latin-1").replace("Ann A æ\x9d\x8e", "Ann A").split("\r\n")  # an agent's own name
        fields: dict[str, str] = {}
        for line in lines:
            fields.setdefault(*line.partition(": ")[::2])
        call = fields.get("Call") or fields.get("Linkedid") or ""
        if fields.get("Event") == "UserEvent" and fields.get("UserEvent") == "CtiInbound":
            self.told.inbound[call] = fields.get("Number", "?"), fields.get("Did", "?")
            self.told.ahead.add(call)
            if not call == fields.get("Uniqueid") == fields.get("Linkedid"):
                self.grammar.fault(f"AMI: not of its own channel: {block!r}")
        if call in self.told.innocent and not self.grammar.learning:
            self.grammar.fault(f"AMI: something happened to an innocent call: {block!r}")
        if fields.get("Event") == "Hangup":
            self.told.ahead.discard(fields.get("Uniqueid", ""))
        if _OF_A_DEVICE.fullmatch(block):
            return
        number = self.told.number(call)
        told = [bare(line, number) for line in lines]
        while told[0].startswith("Event: Hangup") and told[-1] in (
            "TechCause: <own>",
            "Cause: <own>",
            "Cause-txt: <own>",
        ):
            told.pop()
        self.grammar.see("AMI", "\n".join(told))


class StrictBridge:
    """What FastAGI asks and answers, read strictly. Callers are sent away, a few are put in line first."""

    def __init__(self, grammar: Grammar, told: Told) -> None:
        self.grammar, self.told = grammar, told
        self.turns: Counter[tuple[str, str]] = Counter()
        """How many of a kind there were: each kind of caller is treated in each way in turn."""
        self.kept: set[str] = set()
        """Numbers of innocent callers: they wait."""

    async def call(self, session: AgiSession) -> None:
        """A caller's first visit."""
        fields = dict(line.split(": ", 1) for line in session.raw.decode("ascii").splitlines() if ": " in line)
        call, number, dialled = fields["agi_arg_1"], fields["agi_arg_2"], fields["agi_arg_3"]
        if number in self.kept:
            await session.set(CTI_QUEUE="support", CTI_RING="5", CTI_NEXT="wait")
            return
        if call in self.told.agi:
            self.grammar.fault(f"FastAGI: asked twice of {call}")
        self.told.agi[call] = number, dialled
        self._headers(session, number)
        kind = "+" if number.startswith("+") else number and "0", dialled
        self.turns[kind] += 1
        if self.turns[kind] % 4 == 1:
            session.writer.write(f"GET FULL VARIABLE {QUERY}\n".encode())
            line = (await session.reader.readline()).decode("ascii", "backslashreplace")
            found = re.fullmatch(r"200 result=1 \((.*)\)\n", line)
            if found and found[1].split("|")[-1] == number:
                line = (
                    line.replace(f"<{number}>|", "<number>|").replace(f"|{number})", "|<number>)") if number else line
                )
            self.grammar.see("FastAGI", line)
        if self.turns[kind] % 5 == 1:
            await self._set(session, 'CTI_QUEUE "support"')
            await self._set(session, 'CTI_NEXT "wait"')
        else:
            await self._set(session, 'CTI_NEXT "hangup"')
        with contextlib.suppress(OSError):  # gone already
            session.writer.write_eof()
        self._answers(await session.reader.read())

    async def wait(self, session: AgiSession) -> None:
        """A visit of somebody who waits."""
        number = session.args[1]
        if number not in self.kept:
            self._headers(session, number)
        await session.set(CTI_NEXT="wait")

    def _headers(self, session: AgiSession, number: str) -> None:
        text = _THREAD.sub("agi_threadid: <thread>", session.raw.decode("ascii", "backslashreplace"))
        self.grammar.see("FastAGI", "\n".join(bare(line, number) for line in text.split("\n")))

    async def _set(self, session: AgiSession, what: str) -> None:
        session.writer.write(f"SET VARIABLE {what}\n".encode())
        self._answers(await session.reader.readline())

    def _answers(self, data: bytes) -> None:
        for line in data.decode("ascii", "backslashreplace").splitlines(keepends=True):
            self.grammar.see("FastAGI", line)


def ledger_rows(path: Path, at: int) -> Iterator[str]:
    """Whole lines of the ledger from a byte on; one that is no text is told with what it is."""
    with path.open("rb") as file:
        file.seek(at)
        for line in file:
            yield line.decode("ascii", "backslashreplace").rstrip("\n")


async def see_ledger(path: Path, at: int, grammar: Grammar, told: Told, numbers: dict[str, tuple[str, str]]) -> int:
    """Read the ledger from a byte on; gives where it ends. `numbers`: what it tells of each call."""
    for count, line in enumerate(ledger_rows(path, at)):
        if count % 2000 == 0:  # half a million rows: telephones and links live on
            await asyncio.sleep(0)
        (row,) = csv.reader([line])
        found = re.search(r'"extra":"(a1-\d+\.\d+)\|([^|]*)\|([^|"]*)"', row[9]) if len(row) == 10 else None
        if row[0] == "CTI_INBOUND" and found:
            numbers[found[1]] = found[2], found[3]
        if not grammar.learning and row[2:4] and set(row[2:4]) & told.innocent:
            grammar.fault(f"ledger: something happened to an innocent call: {line}")
        number = told.number(row[3]) if len(row) > 3 else ""
        cells = [
            "<number>" if number and index == 8 and cell == number and row[0] != "CHAN_START" else bare(cell, "")
            for index, cell in enumerate(row)
        ]
        if found and row[0] == "CTI_INBOUND" and found[2] == number:
            did = found[3] if found[3] in CENTRES or not _DIALLED.fullmatch(found[3]) else "<dialled>"
            cells[9] = cells[9].replace(f"|{found[2]}|{found[3]}", f"|{'<number>' if number else ''}|{did}")
        if len(row) == 10:
            cells[6] = bare(f"Context: {row[6]}", "").removeprefix("Context: ")
            cells[9] = "<ended>" if _ENDED.fullmatch(cells[9]) else cells[9]
        if len(row) > 7 and row[7] not in CENTRES and _DIALLED.fullmatch(row[7].replace("-", "")):
            cells[7] = "<dialled>"
        grammar.see("ledger", "|".join(cells))
    return path.stat().st_size


_REFUSALS = {400, 404, 414, 416, 420, 422, 481}
"""Statuses by which Asterisk may refuse what was crafted; any other but 200 is wrong."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a caller, as the line heard it; a LineCall without what is needed only while it lasts."""

    number: str | None
    dialled: str
    known: bool
    finals: tuple[int, ...]
    """Final statuses, one for each call that Asterisk made of it."""
    dropped: str
    copies: int
    stuck: str
    or_withheld: bool = False

    @classmethod
    def of(cls, call: LineCall) -> Outcome:
        """Of a call on the line."""
        return cls(
            number=call.caller.number, dialled=call.caller.dialled, known=call.caller.known, finals=tuple(call.finals.values()),
            dropped=call.dropped, copies=call.sent, stuck=call.stuck, or_withheld=call.caller.or_withheld,
        )  # fmt: skip

    @property
    def entered(self) -> int:
        """How often it came into the dialplan: answered, or refused there as no number of the centre's, which is told of."""
        return sum(status == 200 or (status == 404 and bool(self.dialled)) for status in self.finals)

    @property
    def account(self) -> str:
        """What became of it, in words."""
        if self.finals:
            status = self.finals[0]
            words = {200: "answered", 404: "404 as no number of the centre's" if self.dialled else "404 as no number"}
            return words.get(status, f"refused by {status}")
        return f"dropped for {self.dropped}" if self.dropped else "silence"


@dataclass(slots=True)
class Costs:
    """What a run takes, measured: processor time of Asterisk and of this process, and packets that the kernel has dropped."""

    process: int
    """Asterisk's id."""
    ports: tuple[int, ...]
    """UDP ports: Asterisk's and the line's."""

    def processor(self) -> tuple[float, float]:
        """Seconds of Asterisk and of this process so far."""
        cells = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK"), time.process_time()

    def lost(self) -> int:
        """Packets dropped because a socket's buffer was full."""
        rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        return sum(int(row[-1]) for row in rows if int(row[1].split(":")[1], 16) in self.ports)


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What came of a flood."""

    sent: int
    accounts: Counter[str]
    """What became of how many."""
    entered: int
    """Calls told of in the dialplan."""
    again: int
    """Callers whose request was sent more than once, for nothing was heard of it."""
    twice: int
    """Of these, taken for two calls by Asterisk, both accounted for."""
    lost: int
    """Packets that the kernel has dropped at a full socket."""
    later: Counter[str]
    """Packets of calls already heard of that Asterisk dropped as no SIP, by header. We say From and To as Asterisk has said them."""
    withheld: int
    numbered: int
    read: Counter[str]
    """AMI packets, FastAGI headers and answers, and rows of the ledger that were read."""
    learned: int
    seconds: float
    rate: float
    asterisk_ms: float
    """Processor time of Asterisk for a caller, in milliseconds."""
    ours_ms: float
    wrong: list[str]

    def __str__(self) -> str:
        accounts = ", ".join(f"{count} {what}" for what, count in self.accounts.most_common())
        read = ", ".join(f"{count} {kind}" for kind, count in sorted(self.read.items()))
        return (
            f"{self.sent} crafted callers in {self.seconds:.0f} s ({self.rate:.0f} a second; load {os.getloadavg()[0]:.0f}; processor time a caller: "
            f"{self.asterisk_ms:.1f} ms of Asterisk, {self.ours_ms:.1f} ms of the generator and the bridge): {accounts}; "
            f"{self.entered} came into the dialplan, {self.numbered} with a number, {self.withheld} withheld; "
            f"{self.again} sent again, {self.twice} taken twice, {self.lost} packets lost at full sockets, "
            f"{self.later.total()} later packets of calls dropped {dict(self.later)}; read strictly: {read}, "
            f"against {self.learned} packets learned of plain callers; wrong: {len(self.wrong)}"
        )


async def outer_state(rig: Rig) -> list[str]:
    """What of Asterisk no caller may change, but for how long things last."""
    said = []
    for command in (
        "core show channels concise",
        "dialplan show globals",
        "database show",
        "manager show connected",
    ):
        text = await rig.process.cli(command)
        if command.startswith("core"):
            text = "\n".join(sorted("!".join(line.split("!")[:8]) for line in text.splitlines() if "PJSIP" in line))
        if command.startswith("manager"):
            text = " ".join(line.split()[0] for line in text.splitlines() if line.strip())
        if command.startswith("database"):  # who registers again moves the time at which it ends
            text = re.sub(r'"expiration_time":"\d+"', "", text)
        said.append(text)
    return [*said, *sorted(f"{path}: {path.stat().st_mtime_ns}" for path in rig.paths.etc.rglob("*.conf"))]


@contextlib.asynccontextmanager
async def innocents(
    rig: Rig, line: CraftedLine, bridge: StrictBridge, told: Told
) -> AsyncIterator[tuple[list[LineCall], list[SipPhone]]]:
    """A caller talks with 1001, another waits, and the telephone of 1002 is free."""
    async with rig.phone("1001") as ann, rig.phone("1002", behaviour="ring") as bo:
        await ann.register()
        await bo.register()
        calls = []
        for number in ("+15559990001", "+15559990002"):
            bridge.kept.add(number)
            caller = CraftedCaller(
                sender=b"<sip:" + number.encode() + b"@@HERE@>", target=b"5000", more=(), number=number, dialled="5000", hang_up_after=1e9
            )  # fmt: skip
            calls.append(await line.call(caller, hold=True))
            await until(lambda wanted=number: any(n == wanted for n, _ in told.inbound.values()), "an innocent call")  # type: ignore[misc]
        talks = await waiting_channel(rig, "+15559990001")
        rig.deliver(talks, 1)
        await until(lambda: ann.answered_count == 1, "the innocent talk")
        told.innocent.update(call for call, (number, _) in told.inbound.items() if number in bridge.kept)

        async def stay() -> None:
            while True:
                await asyncio.sleep(60)
                for phone in (ann, bo):  # for 300 s each time; a busy machine may miss one of them
                    with contextlib.suppress(TimeoutError):
                        await phone.register()

        staying = asyncio.create_task(stay())
        try:
            yield calls, [ann, bo]
        finally:
            staying.cancel()
            for call in calls:
                line.hang_up(call)


async def waiting_channel(rig: Rig, number: str) -> str:
    """The channel of this caller, as soon as it waits."""
    for _ in range(200):
        for row in (await rig.process.cli("core show channels concise")).splitlines():
            cells = row.split("!")
            if len(cells) > 7 and cells[7] == number and cells[1].startswith("cti-wait"):
                return cells[0]
        await asyncio.sleep(0.05)
    raise AssertionError(f"{number} does not wait")


async def flood(
    rig: Rig,
    *,
    calls: int,
    seed: int,
    rate: float = 200,
    at_once: int = 200,
    say: bool = False,
    learn: int = PLAIN,
    most: float = 1e9,
) -> Verdict:
    """Send them through this Asterisk, for `most` seconds at most. The rig's own link and bridge are replaced."""
    grammar, told = Grammar(), Told()
    bridge = StrictBridge(grammar, told)
    rig.bridge.handlers |= {"call": bridge.call, "wait": bridge.wait}
    await rig.ami.close()
    rig.ami = ami = await StrictAmi.connect(
        rig.settings.ports.of("ami"), rig.settings.asterisk.ami_user, rig.secrets.ami
    )
    ami.told, ami.grammar = told, grammar  # type: ignore[attr-defined]
    hit = rig.paths.log.parent / "hit"
    hit.mkdir()
    done: list[Outcome] = []
    room = asyncio.Semaphore(at_once)

    async with crafted_line(rig.carrier, rig.sip, rig.paths.log / "notices.log") as line:
        costs = Costs(rig.process.pid or 0, (rig.sip[1], line.port))

        async def one(caller: CraftedCaller, keep: bool) -> None:
            try:
                call = await line.call(caller)
                line.calls.pop(call.call_id, None)
                if keep:
                    done.append(Outcome.of(call))
            finally:
                room.release()

        async def send(callers: Iterator[CraftedCaller], keep: bool) -> None:
            began, count = time.monotonic(), 0
            async with asyncio.TaskGroup() as group:
                for caller in callers:
                    if time.monotonic() - began > most:
                        break
                    await room.acquire()
                    group.create_task(one(caller, keep))
                    count += 1
                    if (ahead := count / rate - (time.monotonic() - began)) > 0:
                        await asyncio.sleep(ahead)
                    del rig.bridge.sessions[:], rig.bridge.visits[:]

        async def progress() -> None:
            last, began = 0, time.monotonic()
            while True:
                await asyncio.sleep(EVERY)
                print(
                    f"{time.monotonic() - began:.0f} s: {len(done)} done ({(len(done) - last) / EVERY:.0f} a second, load {os.getloadavg()[0]:.0f}), "
                    f"{len(told.inbound)} told of, {len(told.ahead) - len(told.innocent)} in the dialplan, "
                    f"{sum(not one.finals and not one.dropped for one in done)} unexplained, {costs.lost()} packets lost, {len(grammar.wrong)} wrong",
                    flush=True,
                )
                last = len(done)

        async def quiet() -> None:
            try:
                await until(lambda: not told.ahead - told.innocent, "all calls over", seconds=120)
            except AssertionError:
                print(await rig.process.cli("core show channels concise"))
                grammar.fault(f"never ended: {sorted(told.ahead - told.innocent)[:20]}")

        async with innocents(rig, line, bridge, told) as (kept, phones):
            # The plain ones, until there is nothing new.
            if say:
                print("Asterisk runs; learning from plain callers", flush=True)
            made = 0
            while made < learn or (grammar.news < 2 * learn and made < 20 * learn):
                await send((plain(made + n) for n in range(learn)), False)
                made += learn
            await quiet()
            plain_calls = set(told.inbound)
            await until(lambda: "LINKEDID_END" in rig.paths.ledger.read_text()[-600:], "the ledger")
            of_ledger: dict[str, tuple[str, str]] = {}
            at = await see_ledger(rig.paths.ledger, 0, grammar, told, of_ledger)
            before, rung = await outer_state(rig), [len(phone.calls) for phone in phones]
            learned, grammar.learning = len(grammar.known), False
            grammar.read.clear()
            of_ledger.clear()
            began, spent, lost = time.monotonic(), costs.processor(), costs.lost()
            saying = asyncio.create_task(progress()) if say else None
            await send((crafted(index, seed, str(hit)) for index in range(calls)), True)
            await quiet()
            if saying is not None:
                saying.cancel()
            seconds = time.monotonic() - began
            spent = tuple(now - then for now, then in zip(costs.processor(), spent, strict=True))
            lost = costs.lost() - lost
            # What is written last: the ends of the calls in the ledger.
            entered = {call: known for call, known in told.inbound.items() if call not in plain_calls}
            ends = LedgerEnds(rig.paths.ledger, at)
            await until(lambda: ends.so_far() >= len(entered), "the ledger's end", seconds=120)
            await see_ledger(rig.paths.ledger, at, grammar, told, of_ledger)
            judge(grammar, done, entered, {c: n for c, n in told.agi.items() if c not in plain_calls}, of_ledger)
            if (after := await outer_state(rig)) != before:
                grammar.fault(f"the state of Asterisk changed: {sorted(set(after) ^ set(before))}")
            if any(call.over.is_set() for call in kept) or [len(phone.calls) for phone in phones] != rung:
                grammar.fault("an innocent call ended, or a telephone rang")
            if ran := list(hit.iterdir()):
                grammar.fault(f"a text was run: {ran}")
    return Verdict(
        sent=len(done), accounts=Counter(one.account for one in done), entered=len(entered), again=sum(one.copies > 1 for one in done),
        twice=sum(len(one.finals) > 1 for one in done), lost=lost, later=line.strange, withheld=sum(not number for number, _ in entered.values()),
        numbered=sum(bool(number) for number, _ in entered.values()), read=grammar.read, learned=learned, seconds=seconds,
        rate=len(done) / seconds, asterisk_ms=1000 * spent[0] / len(done), ours_ms=1000 * spent[1] / len(done), wrong=grammar.wrong,
    )  # fmt: skip


class LedgerEnds:
    """How many calls have ended in the ledger from a byte on, each byte read once."""

    def __init__(self, path: Path, at: int) -> None:
        self._path, self._at, self._count = path, at, 0

    def so_far(self) -> int:
        """By now."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._at += len(line)
                self._count += line.startswith(b'"LINKEDID_END"')
        return self._count


def judge(
    grammar: Grammar,
    done: list[Outcome],
    entered: dict[str, tuple[str, str]],
    agi: dict[str, tuple[str, str]],
    ledger: dict[str, tuple[str, str]],
) -> None:
    """Each caller accounted for; the numbers as many as there should be, each what it should be, and the same to everybody."""

    def canonical(dialled: str) -> str:
        return next((one for one in CENTRES if one.lstrip("+") == dialled.lstrip("+")), dialled)

    expected: Counter[tuple[str, str]] = Counter()
    broken: Counter[str] = Counter()
    either: Counter[tuple[str, str]] = Counter()
    for one in done:
        if one.stuck or not (one.finals or one.dropped):
            grammar.fault(f"unexplained, {one.stuck or 'an answer'} never came: {one}")
        if unknown := set(one.finals) - _REFUSALS - {200}:
            grammar.fault(f"refused for no reason that is known, {unknown}: {one}")
        if 200 in one.finals and not one.known:
            grammar.fault(f"answered although it is no number of the centre's: {one}")
        if one.number is None:
            broken[canonical(one.dialled)] += one.entered
        elif one.or_withheld:
            either[one.number, canonical(one.dialled)] += one.entered
        else:
            expected[one.number, canonical(one.dialled)] += one.entered
    told = Counter(entered.values())
    for (number, dialled), count in either.items():
        with_it = min(count, max(0, told[number, dialled] - expected[number, dialled]))
        expected[number, dialled] += with_it
        expected["", dialled] += count - with_it
    if missing := expected - told:
        grammar.fault(f"not told of, or otherwise ({sum(missing.values())}): {list(missing.items())[:20]}")
    left = told - expected
    by_dialled = Counter(dialled for (_, dialled), count in left.items() for _ in range(count))
    if by_dialled != +broken:
        these = set((by_dialled - broken) + (broken - by_dialled))
        grammar.fault(
            f"told of without a reason ({dict(by_dialled - broken)}), of what breaks the grammar not told of: {dict(broken - by_dialled)}; "
            f"{[(known, count) for known, count in left.items() if known[1] in these][:20]}; "
            f"such callers: {[one for one in done if one.number is None and canonical(one.dialled) in these][:5]}"
        )
    if odd := [number for number, _ in told if number and not re.fullmatch(r"\+?[0-9]{1,20}", number)]:
        grammar.fault(f"these are no numbers: {odd}")
    if ledger != entered:
        grammar.fault(f"the ledger tells otherwise: {list(set(ledger.items()) ^ set(entered.items()))[:20]}")
    if other := {call: known for call, known in agi.items() if entered.get(call) != known}:
        grammar.fault(f"FastAGI tells otherwise: {list(other.items())[:20]}")


async def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rate", type=float, default=200, help="new callers a second, at most")
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1e9, help="at most so long, however many there were by then")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cti-flood-") as folder:
        # Callers here send no sound; the innocent ones would be found out after ten minutes. On a busy machine the start is slow.
        async with running_asterisk(Path(folder), start_seconds=300, network={"silence_seconds": 0}) as rig:
            verdict = await flood(
                rig, calls=told.calls, seed=told.seed, rate=told.rate, at_once=told.at_once, say=True, most=told.seconds
            )
    print(verdict, flush=True)
    for line in verdict.wrong[:50]:
        print("  " + line[:1500])
    return 1 if verdict.wrong else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Asterisk is stopped then, too
    sys.exit(asyncio.run(main()))
