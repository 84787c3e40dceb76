"""A card's digits, said and keyed while the recording is paused, are nowhere afterwards: not in the sound, a log, a table, the
journal, Asterisk's ledger, or any other file of the centre. Digits said and keyed before the pause are found by the same means.

The short profile runs with the other tests. The long one: CTI_FAULTS=long pytest -s tests/faults/test_payment_digits.py (20 cards).
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom
from tests.acceptance.people import SipAgent, call_in, caller, sip_agent
from tests.support.centre import ApiPerson, TestCentre, running_centre
from tests.support.heard_digits import decode_keys, keys_as_tones, read, share_of_voice, spoken
from tests.support.recorded import kept, sound_of

LONG = os.environ.get("CTI_FAULTS") == "long"
SEED = int(os.environ.get("CTI_SEED", "20266"))
CARDS = int(os.environ.get("CTI_CARDS", "20" if LONG else "2"))
NUMBERS = ("+15550100001", "+15550100002")
AGENTS = ("1001", "1004")
PART = 4
"""So many digits of a secret in a row are too many."""

pytestmark = [
    pytest.mark.real,
    pytest.mark.needs("espeak-ng", "sox"),
    pytest.mark.timeout(1800 if LONG else 200),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is said and keyed. The first two are no secrets: they show that what is looked for would be found."""

    open_keys: str
    open_voice: str
    voice: str
    tones: str
    callers_keys: str
    agents_keys: str
    page_keys: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that must be nowhere."""
        return (self.voice, self.tones, self.callers_keys, self.agents_keys, self.page_keys)


def parts(digits: str) -> set[str]:
    return {digits[at : at + PART] for at in range(len(digits) - PART + 1)}


def card(seed: int) -> Card:
    rng = random.Random(seed)

    def digits(count: int, of: str = "0123456789") -> str:
        return "".join(rng.choice(of) for _ in range(count))

    while True:  # a voice says the same digit the same way each time: what is no secret has other digits
        made = Card(
            open_keys=digits(6), open_voice=digits(9, "12"), voice=digits(12, "03456789"), tones=digits(12), callers_keys=digits(12),
            agents_keys=digits(12), page_keys=digits(12),
        )  # fmt: skip
        if not parts(made.open_keys) & set().union(*(parts(one) for one in made.secrets)):
            return made


class Payment:
    """One call in which somebody pays."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.card = card(seed)
        self._folder = folder / str(seed)
        self._folder.mkdir()
        self.call_id = ""
        self.pauses = 0.0

    def _wave(self, name: str, digits: str) -> tuple[Path, float]:
        path = self._folder / f"{name}.wav"
        return path, (keys_as_tones if name.endswith("keys") else spoken)(digits, path)

    async def begin(self, centre: TestCentre, room: PhoneRoom, agent: SipAgent, number: str) -> None:
        await agent.ready()
        self.agent = agent
        self.call: PhoneCall = await call_in(await caller(centre, room, number), "5000", keys="1")
        self.leg: PhoneCall = await agent.rings(30)
        await self.leg.answer()
        mine = await agent.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        self.call_id = mine["agent"]["call_id"]
        await agent.api.until(f"/calls/{self.call_id}/recording", lambda a: a["recording"])

    async def pay(self) -> None:
        own, mine = f"/calls/{self.call_id}/recording", self.card
        tones, long = self._wave("open_keys", mine.open_keys)
        voice, longer = self._wave("open_voice", mine.open_voice)
        secret_tones, tones_last = self._wave("keys", mine.tones)
        secret_voice, voice_last = self._wave("voice", mine.voice)
        await self.call.say(tones)
        await self.leg.say(voice)
        await asyncio.sleep(max(long, longer) + 0.5)
        assert (await self.agent.api.post(own, {"action": "pause"}))["paused"]
        # The caller says it, the agent reads it back; then it is keyed: as tones, as events of both telephones, by the page.
        await self.call.say(secret_voice)
        await asyncio.sleep(0.7)
        await self.leg.say(secret_voice)
        await asyncio.sleep(voice_last + 0.3)
        await self.call.say(secret_tones)
        await asyncio.sleep(tones_last + 0.3)
        await self.call.press(mine.callers_keys)
        await self.leg.press(mine.agents_keys)
        await self.agent.api.post(f"/agent/calls/{self.call_id}/keys", {"keys": mine.page_keys})
        await asyncio.sleep(4.5)
        assert not (await self.agent.api.post(own, {"action": "resume"}))["paused"]
        await asyncio.sleep(0.7)
        await self.call.hang_up()
        await self.agent.wrap_up()
        await self.agent.api.post(
            "/agent/state", {"state": "not_ready", "reason": "break"}
        )  # the next call is another's

    async def listen(self, centre: TestCentre, supervisor: ApiPerson) -> None:
        """What is in the sound, and what is not."""
        row = await kept(supervisor, self.call_id)
        samples, rate = await sound_of(centre, supervisor, self.call_id)
        assert rate == 8000
        (open_voice, voice) = (read(self._folder / f"{name}.wav") for name in ("open_voice", "voice"))
        (gap,) = (await supervisor.get(f"/recordings/{self.call_id}"))["pauses"]
        self.pauses = gap[1] - gap[0]
        assert row["silence"] == pytest.approx(self.pauses, abs=0.2)
        assert np.abs(samples[int((gap[0] + 0.3) * rate) : int((gap[1] - 0.3) * rate)]).max() == 0
        # What was no secret is found, but for what a busy machine lost on the way.
        assert parts(decode_keys(samples[:, 0])) & parts(self.card.open_keys)
        assert share_of_voice(samples[:, 1], open_voice) > 0.2
        for channel in (samples[:, 0], samples[:, 1]):
            assert share_of_voice(channel, voice) == 0
            heard = decode_keys(channel)
            assert not parts(heard) & set().union(*(parts(one) for one in self.card.secrets))


async def in_tables(centre: TestCentre, secrets: list[str]) -> list[str]:
    """Tables with a row that has one of these."""
    tables = await centre.query(
        "SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables"
        " WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    assert len(tables) > 30
    patterns = [f"%{secret}%" for secret in secrets]
    found = []
    for table in tables:
        rows = await centre.query(
            f"SELECT count(*) AS n FROM {table['name']} t WHERE t::text LIKE ANY ($1::text[])", patterns
        )
        found += [table["name"]] * bool(rows[0]["n"])
    return found


async def test_what_is_said_and_keyed_in_a_pause_is_nowhere(tmp_path: Path) -> None:
    data, sounds = tmp_path / "data", tmp_path / "said"
    sounds.mkdir()
    payments = [Payment(SEED + n, sounds) for n in range(CARDS)]
    with running_centre(data) as centre:
        async with (
            PhoneRoom() as room,
            sip_agent(centre, room, AGENTS[0], ready=False) as ada,
            sip_agent(centre, room, AGENTS[1], ready=False) as dora,
            ApiPerson(centre, "supervisor") as supervisor,
        ):
            for first in range(0, CARDS, 2):
                pair = payments[first : first + 2]
                for one, agent, number in zip(pair, (ada, dora), NUMBERS, strict=False):
                    await one.begin(centre, room, agent, number)
                await asyncio.gather(*(one.pay() for one in pair))
                for one in pair:
                    await one.listen(centre, supervisor)
        secrets = [secret for one in payments for secret in one.card.secrets]
        tables = await in_tables(centre, secrets)
        # Every call's end is in the ledger: what was looked through is what was written of these calls.
        ledger = b"".join(file.read_bytes() for file in data.rglob("*.csv"))
        assert all(one.call_id.encode() in ledger for one in payments)
        (manager,) = data.rglob("asterisk/manager.conf")
        off = next(line for line in manager.read_text().splitlines() if line.startswith("disabledevents"))
        assert {"DTMFBegin", "DTMFEnd"} <= set(re.split(r"[ =,]+", off))
    wanted = re.compile(b"|".join(secret.encode() for secret in secrets))
    files = [file for file in data.rglob("*") if file.is_file()] + [centre.log]
    bad = [str(file.relative_to(tmp_path)) for file in files if wanted.search(file.read_bytes())]
    logs = [file for file in files if file.suffix in (".log", ".jsonl")]
    told = [
        str(file)
        for file in logs
        if re.search(rb"DTMF\W{0,3}(?:begin|end|digit)?\W{0,3}[0-9]", file.read_bytes(), re.I)
    ]
    print(
        f"\nN={CARDS} cards ({len(secrets)} secrets) seed={SEED}: pauses of {min(p.pauses for p in payments):.1f} to"
        f" {max(p.pauses for p in payments):.1f} s; {len(files)} files searched; in sound 0, tables {len(tables)}, files {len(bad)}"
    )
    assert tables == []
    assert bad == []
    assert told == []
