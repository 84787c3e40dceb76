"""What strangers and agents may type to have a dear number dialled: nothing off the list ever leaves, however it is written.

A hundred thousand: CTI_TOLL_RUNS=100000 pytest -s tests/fuzz/test_toll_fraud.py. The same seed makes the same texts.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

from cti.asterisk.ami.adapter import action_of
from cti.asterisk.ami.errors import AmiActionInvalid
from cti.asterisk.ami.wire import encode_action
from cti.crm.numbers import normalise
from cti.ids import AgentId, CallId, ChannelName
from cti.model.centre import Outbound
from cti.model.commands import Command, DialCustomer, DialParty, SendOut
from cti.model.dial_commands import RingToDial
from cti.model.facts import Device
from cti.services.trunk_lines import E164

RUNS = int(os.environ.get("CTI_TOLL_RUNS", "3000"))
SEED = int(os.environ.get("CTI_SEED", "7"))
LIST = Outbound(allow=("+1555", "+4930"))
DEAR = ("+19005551234", "+881612345678", "+2524567890", "+3706812345", "+5355512345", "+447011234567", "+1555", "+493")
"""Premium and satellite numbers, favourites of fraud, and numbers too short to be one."""
DISGUISES = (
    "%2b", "%30", "%26", "&", "&&", "|", ",", ";", ";ext=", ";phone-context=", "@", "@trunk", "/", "PJSIP/", "Local/", "tel:", "sip:", "00",
    "011", "*72", "*21*", "#31#", "p", "w", "W", " ", "\t", "\r\n", "\r\nAction: Originate", "\x00", "${EXTEN}", "^", "~", "(", ")", "-", ".",
    "\uff0b", "\u0661\u0662\u0663", "\uff11\uff12", "\u200b", "\u202e", "\u00a0", "²", "①", "५", "e5", "0x1", "+", "++", "-1", "1e9",
)  # fmt: skip
"""What has opened dial plans before: separators, second targets, encodings, digits of other scripts, invisible signs."""


def texts(seed: int, runs: int) -> Iterator[str]:
    """Numbers on the list and off it, disguised."""
    chance = random.Random(seed)
    for _ in range(runs):
        number = (
            chance.choice(DEAR) if chance.random() < 0.6 else chance.choice(LIST.allow) + str(chance.randrange(10**9))
        )
        parts = list(number)
        for _ in range(chance.randrange(5)):
            at = chance.randrange(len(parts) + 1)
            match chance.randrange(4):
                case 0:
                    parts[at:at] = chance.choice(DISGUISES)
                case 1:
                    parts[at:at] = chance.choice(DISGUISES) + chance.choice(DEAR)
                case 2:
                    parts[at:at] = chr(chance.choice((chance.randrange(32, 127), chance.randrange(0x110000 - 0x800))))
                case _:
                    del parts[at : at + chance.randrange(3)]
        yield "".join(parts)


def commands(number: str) -> list[Command]:
    """Every command that has Asterisk dial a number over the trunk."""
    call, channel, agent = CallId("a1-1.1"), ChannelName("PJSIP/trunk-00000001"), AgentId("1001")
    return [
        SendOut(call_id=call, channel=channel, number=number),
        DialCustomer(call_id=call, channel_id="a1-c-1", number=number, ring_timeout=timedelta(seconds=20)),
        DialParty(call_id=call, channel_id="a1-p-1", number=number, ring_timeout=timedelta(seconds=20)),
        DialParty(
            call_id=call, channel_id="a1-p-1", agent_id=agent, device=Device.EXTERNAL, number=number,
            ring_timeout=timedelta(seconds=20),
        ),
        RingToDial(call_id=call, agent_id=agent, device=Device.SIP, number=number),
        RingToDial(call_id=call, agent_id=agent, device=Device.EXTERNAL, agent_number=number, number="+15550100"),
    ]  # fmt: skip


def dialled(action: Mapping[str, object]) -> set[str]:
    """The numbers, of six digits and more, that stand in an action where Asterisk would dial them."""
    where = " ".join(str(action.get(key, "")) for key in ("Channel", "Exten", "Variable"))
    # Asterisk's names of channels and our own ids have digits, too.
    where = re.sub(r"PJSIP/trunk-[0-9a-f]{8}|a1-[0-9a-z.-]+", "", where)
    return set(re.findall(r"[0-9]{6,}", where))


def test_nothing_off_the_list_is_dialled() -> None:
    allowed = refused = 0
    for text in texts(SEED, RUNS):
        number = normalise(text, "US") or ""
        on_the_list = E164.fullmatch(number) is not None and LIST.may_dial(number)
        assert on_the_list == (re.fullmatch(r"\+(1555|4930)[0-9]{2,11}", number) is not None), text
        if on_the_list:
            allowed += 1
            for command in commands(number):
                action = action_of(command)
                assert dialled(action) <= {number[1:], "15550100"}, (text, action)
                assert number[1:] in dialled(action), (text, action)
                assert encode_action({**action, "ActionID": "1"}).count(b"\r\n\r\n") == 1
        else:
            refused += 1
    assert allowed > RUNS // 20
    assert refused > RUNS // 2
    print(f"{RUNS} texts, seed {SEED}: {allowed} read as numbers on the list, {refused} not; 0 off the list")


def test_the_last_door_takes_nothing_but_a_whole_number() -> None:
    """The raw text itself, past every list: AMI is sent E.164 or nothing."""
    said = 0
    for text in texts(SEED + 1, RUNS):
        for command in commands(text):
            try:
                action = action_of(command)
            except AmiActionInvalid:
                continue
            said += 1
            assert re.fullmatch(r"\+[1-9][0-9]{5,14}", text), (text, action)
            assert dialled(action) <= {text[1:], "15550100"}, (text, action)
            assert "\r\n\r\n" not in encode_action({**action, "ActionID": "1"})[:-4].decode()
    assert said
