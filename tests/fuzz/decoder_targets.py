"""What else is fuzzed: all that strangers, files, other systems and crashes bring, behind the wire formats of `fuzz_targets`.

Each target reads bytes as the product does, by the product's own function; only the socket is missing. A promise that holds
for all: the documented error or a value, and a value can be handed on (stored, written as JSON).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import struct
import tempfile
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import orjson
from aiohttp import StreamReader, web
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from aiohttp.http_websocket import WebSocketError
from itsdangerous import URLSafeSerializer
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from multidict import MultiMapping
from pydantic import BaseModel, ValidationError
from yarl import URL

from cti.asterisk.ami.snapshot import snapshot_of
from cti.asterisk.ami.translate import OrderCheck, Translator, accounts_of
from cti.asterisk.ami.wire import AmiReader
from cti.asterisk.cel_facts import infer_facts, settled_position
from cti.asterisk.cel_lines import read_ledger
from cti.centre_file import parse_centre
from cti.clock import SystemClock
from cti.crm.checking import Rules, checked
from cti.crm.columns import guess, read_row
from cti.crm.numbers import normalise, typed
from cti.crm.tables import form_of, rows_of
from cti.errors import ConfigError
from cti.ids import AgentId
from cti.ivr.expression import Kind
from cti.ivr.verbs.call_service import Kept, _value
from cti.journal.codec import HEAD_LENGTH, Opaque, decode, encode, frame, read_segment_head, replay, segment_head
from cti.journal.errors import JournalError
from cti.model.outside_crm import OddAnswer, customers_of
from cti.outside.services import LARGEST_ANSWER
from cti.places import DEMO_CENTRE
from cti.prompts.recordings import judge
from cti.services.customer_file import CustomerRefused
from cti.services.prompt_sounds import RecordingRefused
from cti.settings import Oidc
from cti.web import feed
from cti.web.app import OPERATIONS
from cti.web.auth.accounts import Account, Accounts
from cti.web.auth.permissions import Role
from cti.web.auth.provider import OidcProvider, ProviderAway, ProviderRefused, object_of
from cti.web.auth.sessions import Sessions
from cti.web.errors import ApiError
from cti.web.wire import encode as encode_answer
from cti.web.wire import read_query, refuse_invalid
from tests.fuzz.fuzz_targets import TARGETS as WIRE_TARGETS
from tests.fuzz.fuzz_targets import FuzzTarget, cut
from tests.support.ledger_lines import bridge, hangup, line, own

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORDED = Path(__file__).resolve().parents[1] / "recordings" / "ami"
T = TypeVar("T")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


# ---- Asterisk


def ami_events(data: bytes) -> None:
    """Whatever events say, they are signals or are passed over; what goes on is of the agreed signs only."""
    reader = AmiReader()
    reader.feed(b"Asterisk Call Manager/11.0.0\r\n")
    messages = reader.feed(data)
    accounts = accounts_of([AgentId("1001"), AgentId("1002")])
    translator, order = Translator(accounts), OrderCheck()
    for message in messages:
        order.behind(message)
        signal = translator.signal(message, NOW)
        call_id = getattr(signal, "call_id", None)
        assert call_id is None or (call_id.isascii() and len(call_id) <= 80 and "\n" not in call_id)
        number = getattr(signal, "caller_number", None)
        assert number is None or (number.removeprefix("+").isascii() and number.removeprefix("+").isdigit())
    snapshot_of(messages, messages, accounts=accounts, at=NOW, restarted=False)


def ledger_lines(data: bytes) -> None:
    """The ledger says the same wherever a reading stops, and facts that can be kept."""
    whole = read_ledger(data)
    events, skipped, at = [], 0, 0
    for place in sorted(random.Random(data).randrange(len(data) + 1) for _ in range(3)) if data else ():
        read = read_ledger(data[at : max(at, place)], offset=at)
        events += read.events
        skipped, at = skipped + read.skipped, read.position
    read = read_ledger(data[at:], offset=at)
    assert [*events, *read.events] == [*whole.events]
    assert (skipped + read.skipped, read.position) == (whole.skipped, whole.position)
    assert settled_position(whole, {}) <= len(data)
    for fact in infer_facts(whole.events, {}, asterisk_started_at=NOW):
        assert fact.inferred
        kept = decode(encode(fact))
        assert not isinstance(kept, Opaque)
        assert encode(kept) == encode(fact)


# ---- our own files


def journal_segment(data: bytes) -> None:
    """A damaged segment gives its whole records up to the damage, and any payload is a fact or kept as it is."""
    with contextlib.suppress(JournalError):
        assert read_segment_head(data).first >= 0
    found = replay(data[HEAD_LENGTH:])
    assert found.good_length <= max(0, len(data) - HEAD_LENGTH)
    again = b"".join(frame(record.payload) for record in found.records)
    assert again == data[HEAD_LENGTH : HEAD_LENGTH + found.good_length]
    for payload in [record.payload for record in found.records] + data.split(b"\n"):
        fact = decode(payload)
        if isinstance(fact, Opaque):
            assert fact.payload == payload
        else:
            assert encode(decode(encode(fact))) == encode(fact)  # type: ignore[arg-type]


def centre_file(data: bytes) -> None:
    """A centre's file is a centre, or the problems are told in words."""
    with contextlib.suppress(ConfigError):
        parse_centre(data.decode("utf-8", "replace"), source="centre.yaml")


# ---- browsers and programs


@cache
def _bodies() -> Sequence[tuple[str, type[BaseModel]]]:
    return sorted(
        ((one.name, one.body) for one in OPERATIONS if one.body is not None), key=lambda pair: pair[0]
    )  # fmt: skip


@cache
def _params() -> Sequence[type[BaseModel]]:
    models = [model for one in OPERATIONS for model in (one.query, one.params) if model is not None]
    for model in models:
        model.model_rebuild()
    return models


def _as_answer(error: ValidationError) -> None:
    answer = refuse_invalid(error, "body")
    encode_answer({"message": answer.message, "details": answer.details})


def http_body(data: bytes) -> None:
    """A body of any operation (the first byte says which) fits its schema, or is refused with an answer that can be written."""
    bodies = _bodies()
    model = bodies[data[0] % len(bodies)][1] if data else bodies[0][1]
    try:
        body = model.model_validate_json(data[1:], strict=True)
    except ValidationError as error:
        _as_answer(error)
        return
    encode_answer(body)


@dataclass(frozen=True, slots=True)
class _Asked:
    """As much of a request as is read: aiohttp takes the request line's bytes the same way."""

    query: MultiMapping[str]


def http_query(data: bytes) -> None:
    """The same for queries and the variable parts of paths."""
    models = _params()
    model = models[data[0] % len(models)] if data else models[0]
    text = data[1:].decode("utf-8", "surrogateescape").replace("#", "")
    try:
        read_query(_Asked(query=URL("/x?" + text, encoded=True).query), model)  # type: ignore[arg-type]
    except ApiError as error:
        encode_answer({"message": error.message, "details": error.details})
    try:
        model.model_validate(dict.fromkeys(model.model_fields, data[1:].decode("utf-8", "replace")))
    except ValidationError as error:
        _as_answer(error)


def feed_message(data: bytes) -> None:
    """What a page says on its feed is one of three things, or nothing."""
    try:
        said = feed._FROM_CLIENT.validate_json(data.decode("utf-8", "replace"))
    except ValidationError:
        return
    assert isinstance(said, feed.Ping | feed.PopSeen | feed.Heartbeat)


class _Quiet(BaseProtocol):
    """A connection that nobody reads on."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]

    def pause_reading(self) -> None:
        """Does not."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Nor this."""


def websocket_frames(data: bytes) -> None:
    """The library's own reader of frames, as the feed uses it: frames of at most 4 KB, or the connection ends."""
    queue = WebSocketDataQueue(_Quiet(), 1 << 16, loop=None)  # type: ignore[arg-type]
    reader = WebSocketReader(queue, 4096, False, True)
    for chunk in cut(data, random.Random(data)):
        try:
            ended, _ = reader.feed_data(chunk)
        except WebSocketError:
            return
        if ended:
            assert queue.exception() is not None
            break
    for message, _size in queue._buffer:
        assert not isinstance(message.data, str | bytes) or len(message.data) <= 4096


class _NoLoop:
    """What the parser asks of a loop: nothing that happens."""

    def create_future(self) -> Any:
        raise AssertionError("nobody waits")

    def get_debug(self) -> bool:
        return False


def http_requests(data: bytes) -> None:
    """The library's own parser of requests, with the limits we give it: messages, or one error that is an answer."""
    parser = HttpRequestParser(_Quiet(), _NoLoop(), 1 << 16)  # type: ignore[arg-type]
    for chunk in cut(data, random.Random(data)):
        try:
            messages, upgraded, _ = parser.feed_data(chunk)
        except (HttpProcessingError, web.HTTPException):
            return
        for message, payload in messages:
            assert "\n" not in message.path
            assert "\r" not in message.path
            assert isinstance(payload, StreamReader) or payload is not None
        if upgraded:
            return


@cache
def _sessions() -> tuple[Sessions, str, URLSafeSerializer]:
    folder = Path(tempfile.mkdtemp(prefix="cti-fuzz-"))
    accounts = Accounts.__new__(Accounts)
    account = Account(username="alice", role=Role.ADMIN, hash="", epoch=1)
    accounts.get = {"alice": account}.get  # type: ignore[method-assign, assignment]
    sessions = Sessions(accounts, key="k" * 32, revoked_file=folder / "revoked.json", clock=SystemClock())
    token, _ = sessions.create(account)
    return sessions, token, sessions._signer


def session_token(data: bytes) -> None:
    """A cookie is a session only with our own signature; what is signed and odd is nobody's."""
    sessions, good, signer = _sessions()
    text = data.decode("latin-1")
    found = sessions.read(text)
    # The signature's own base64 may be written in several ways; what it signs may not.
    assert found is None or text.rpartition(".")[0] == good.rpartition(".")[0]
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        signed = signer.dumps(said)
    except UnicodeEncodeError:
        return  # half a sign: nobody can sign it
    sessions.read(signed if isinstance(signed, str) else signed.decode())


# ---- other systems


_KEPT = (
    Kept(name="a", kind=Kind.TEXT, path=("order", "state")),
    Kept(name="b", kind=Kind.NUMBER, path=("order", "lines", "0")),
    Kept(name="c", kind=Kind.FLAG, path=("known",)),
)


def service_answer(data: bytes) -> None:
    """A service's answer is what the flow asked for, of the kind it asked for, or a failure; so is a customer system's."""
    try:
        body = orjson.loads(data)
    except ValueError:
        return
    assert len(data) <= LARGEST_ANSWER
    for kept in _KEPT:
        value = _value(body, kept)
        assert value is None or not isinstance(value, str) or len(value) <= len(data)
    try:
        customers = customers_of(body)
    except OddAnswer:
        return
    for one in customers:
        assert one.reference
        encode_answer(one)


@cache
def _provider() -> tuple[OidcProvider, KeySet, OKPKey]:
    key = OKPKey.generate_key("Ed25519", {"kid": "one", "use": "sig"})
    settings = Oidc(
        issuer="https://id.example.com", client_id="cti", roles={"leads": "supervisor", "desks": "agent"},
        agent_claim="ext.number", role_claim="realm.roles",
    )  # fmt: skip
    return OidcProvider(settings, SystemClock()), KeySet([key]), key


def provider_answer(data: bytes) -> None:
    """A provider's answers: signed claims of any kind name a person or are refused; tokens and documents of any kind are refused."""
    provider, keys, key = _provider()
    with contextlib.suppress(ProviderRefused):
        provider._signed(data.decode("latin-1"), keys)
        raise AssertionError("nobody signed this")
    try:
        said = object_of(data)
    except ProviderAway:
        return

    async def asked(_method: str, _address: str, **_more: object) -> tuple[int, Mapping[str, Any]]:
        return 200, said

    provider._ask = asked  # type: ignore[method-assign]
    with contextlib.suppress(ProviderAway):
        at_once(provider._discover())
    now = int(time.time())
    usual = {"iss": "https://id.example.com", "aud": "cti", "iat": now, "exp": now + 300, "nonce": "n", "sub": "x"}
    try:
        token = jwt.encode({"alg": "Ed25519", "kid": "one"}, {**usual, **said}, key, algorithms=["Ed25519"])
    except (ValueError, TypeError, OverflowError):
        return  # a claim that no honest library writes
    try:
        claims = provider._signed(token, keys)
        provider._check(claims, "n")
        person = provider.person_of(claims)
    except ProviderRefused:
        return
    encode_answer(person)
    assert person.role in (Role.SUPERVISOR, Role.AGENT)
    assert all(now - 700 <= claims[name] <= now + 10**12 for name in ("iat", "exp"))


# ---- files of people


@cache
def _table() -> Path:
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="cti-fuzz-", dir=folder)) / "table"


def customer_table(data: bytes) -> None:
    """A list of customers is rows, each taken or refused with its reasons, or a file that cannot be read."""
    path = _table()
    path.write_bytes(data)
    rules = Rules(region="US", custom={}, now=NOW, by="x")
    try:
        rows = [cells for _, cells in zip(range(40), rows_of(path, form_of(path)), strict=False)]
    except CustomerRefused:
        return
    if not rows:
        return
    columns = rows[0][1]
    mapping = guess(columns, ())
    for _, cells in rows[1:]:
        with contextlib.suppress(CustomerRefused):
            encode_answer(checked(read_row(cells, mapping, columns, {}), rules))


def uploaded_sound(data: bytes) -> None:
    """An uploaded sound is one that can be a prompt, or is refused."""
    try:
        audio = judge(data)
    except RecordingRefused:
        return
    assert abs(audio.samples).max() <= 1.0


def telephone_number(data: bytes) -> None:
    """A number is read the same when it is read again, and is digits."""
    text = data.decode("utf-8", "surrogateescape")
    number = normalise(text, "US")
    typed(text, "US")
    if number is not None:
        assert number.removeprefix("+").isascii()
        assert number.removeprefix("+").isdigit()
        assert normalise(number, "US") == number


# ---- seeds


def _blocks() -> list[bytes]:
    found = []
    for file in sorted(RECORDED.glob("*.ami")):
        blocks = file.read_bytes().split(b"\r\n\r\n")
        found += [b"\r\n\r\n".join(blocks[at : at + 3]) + b"\r\n\r\n" for at in range(0, len(blocks), 3)]
    return [one for one in found if len(one) < 4000][:200]


_MARKS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"null",
    b"true",
    b"1e999",
    b"-1",
    b"9" * 30,
    b'"\\ud800"',
    b"\\u0000",
    b"[" * 90,
    b"\xff",
]


def _example(schema: Mapping[str, Any], known: Mapping[str, Any], depth: int = 0) -> Any:
    """Some value that fits a JSON schema, more or less."""
    if "$ref" in schema:
        return _example(known[schema["$ref"].rpartition("/")[2]], known, depth + 1)
    for key in ("const", "default", "examples"):
        if key in schema:
            return schema[key][0] if key == "examples" else schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return _example(schema[key][0], known, depth + 1)
    kind = schema.get("type")
    if kind == "object":
        return (
            {}
            if depth > 8
            else {name: _example(one, known, depth + 1) for name, one in schema.get("properties", {}).items()}
        )
    if kind == "array":
        return [] if depth > 8 or "items" not in schema else [_example(schema["items"], known, depth + 1)]
    if kind == "string":
        formats = {"date-time": "2026-03-01T12:00:00Z", "date": "2026-03-01", "time": "12:00:00"}
        return formats.get(schema.get("format", ""), "a" * max(1, schema.get("minLength", 1)))
    return {"integer": schema.get("minimum", 1), "number": 1.5, "boolean": True}.get(str(kind))


def _body_seeds() -> list[bytes]:
    found = []
    for place, (_, model) in enumerate(_bodies()):
        schema = model.model_json_schema()
        found.append(bytes([place % 256]) + orjson.dumps(_example(schema, schema.get("$defs", {}))))
    return found


def _query_seeds() -> list[bytes]:
    return [
        bytes([place % 256]) + "&".join(f"{name}=1" for name in model.model_fields).encode()
        for place, model in enumerate(_params())
    ]


def _journal_seeds() -> list[bytes]:
    facts = infer_facts(read_ledger(_ledger()).events, {}, asterisk_started_at=NOW)
    head = segment_head("ab" * 16, 0)  # type: ignore[arg-type]
    records = [encode(fact) for fact in facts]
    return [head + b"".join(map(frame, records)), b"\n".join(records), *records]


def _frame(payload: bytes, opcode: int, *, mask: bool = True) -> bytes:
    head = bytes([0x80 | opcode, (0x80 if mask else 0) | min(len(payload), 125)])
    return head + (b"\0\0\0\0" if mask else b"") + payload[:125]


def _ledger() -> bytes:
    at = [NOW + timedelta(seconds=number) for number in range(12)]
    call, caller, leg, agent = "a1-1.1", "PJSIP/trunk-00000001", "a1-1.2", "PJSIP/1001-00000002"
    return "".join(
        (
            line("CHAN_START", at[0], call, caller),
            own("CTI_INBOUND", at[0], call, caller, "+15550001", "5000"),
            line("ANSWER", at[1], call, caller),
            line("CHAN_START", at[2], leg, agent, linked_id=call),
            bridge("BRIDGE_ENTER", at[3], call, caller, bridge_id="b", call=call),
            bridge("BRIDGE_ENTER", at[3], leg, agent, bridge_id="b", call=call, peer=caller),
            bridge("BRIDGE_EXIT", at[6], leg, agent, bridge_id="b", call=call),
            own("CTI_SURVIVAL", at[7], call, caller, "sales"),
            own("CTI_VOICEMAIL", at[9], call, caller, "a1-1.1.wav", "7"),
            hangup(at[8], leg, agent, source=agent, call=call),
            hangup(at[10], call, caller, source="dialplan/builtin"),
            line("LINKEDID_END", at[11], call, caller),
        )
    ).encode()


def _wave(rate: int, kind: int, bits: int, seconds: float) -> bytes:
    chance, size = random.Random(1), bits // 8
    samples = b"".join(
        (
            chance.randrange(40, 210).to_bytes(1)
            if size == 1
            else chance.randrange(-9000, 9000).to_bytes(size, "little", signed=True)
        )
        for _ in range(int(rate * seconds))
    )
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, kind, 1, rate, rate * size, size, bits
    )
    return head + struct.pack("<4sI", b"data", len(samples)) + samples


def _workbook() -> bytes:
    from openpyxl import Workbook

    book, out = Workbook(), io.BytesIO()
    book.active.append(["Name", "Phone"])
    book.active.append(["Ann", "+1 555 0100"])
    book.save(out)
    return out.getvalue()


_CSV = (
    'Name,Phone,E-mail,Tags,Notes,Birthday\nAnn,+1 555 0100,a@b.example,"x;y","two\nlines",1\n李,13800138000,,vip,,\n'
)
_CLAIMS = (
    {"realm": {"roles": ["leads"]}, "preferred_username": "ann", "name": "Ann", "ext": {"number": "1001"}},
    {"realm": {"roles": "desks"}, "preferred_username": "bo", "aud": ["cti", "x"], "azp": "cti", "nbf": 1.5},
    {
        "issuer": "https://id.example.com", "authorization_endpoint": "https://a/b", "token_endpoint": "https://a/c",
        "jwks_uri": "https://a/d",
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "one"},
            {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
             "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        ],
    },
)  # fmt: skip
_REQUESTS = (
    b"GET /api/v1/me HTTP/1.1\r\nHost: a\r\nCookie: cti_session=x; b=\"c\"\r\n\r\n",
    b"POST /api/v1/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"GET /api/v1/feed HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
)  # fmt: skip


def _more() -> Sequence[FuzzTarget]:
    journal = _journal_seeds()
    return (
        FuzzTarget(
            name="ami_events", run=ami_events, seeds=_blocks(),
            pieces=[b"\r\n", b"\r\n\r\n", b": ", b"Event: UserEvent", b"UserEvent: CtiInbound", b"Call: ", b"Number: ", b"CTI_CALL=",
                    b"Uniqueid: ", b"\xff", b"9" * 20, b"Timestamp: ", b"PJSIP/1001-", b"Variable: CTI_OFFER=0000000001"],
        ),
        FuzzTarget(
            name="ledger_lines", run=ledger_lines, share=4, seeds=[_ledger()],
            pieces=[b'"', b",", b"\n", b'"CTI_INBOUND","1.000000",', b"|", b"{", b"}", b'\\u0000', b"9" * 12, b"\xff", b"\0", b"BRIDGE_ENTER"],
        ),
        FuzzTarget(name="journal_segment", run=journal_segment, seeds=journal, pieces=[*_MARKS, b"\n", frame(b"{}"), b"\0" * 8]),
        FuzzTarget(
            name="centre_file", run=centre_file, share=400, seeds=[DEMO_CENTRE.read_bytes()], slowest=1.0,
            pieces=[b": ", b"- ", b"{", b"}", b"[", b"]", b"\n  ", b"\n", b"&a", b"*a", b"<<: ", b"!!python/x ", b"'", b'"', b"2026-02-30", b"9" * 30],
        ),
        FuzzTarget(name="http_body", run=http_body, seeds=_body_seeds(), pieces=_MARKS),
        FuzzTarget(
            name="http_query", run=http_query, seeds=_query_seeds(),
            pieces=[b"&", b"=", b"%00", b"%ff", b"%", b"+", b"9" * 30, b"-1", b"2026-03-01T00:00:00Z", b"&&", b"%2526", b"[]", b"\xff", b";"],
        ),
        FuzzTarget(
            name="feed_message", run=feed_message, pieces=_MARKS,
            seeds=[b'{"type":"ping"}', b'{"type":"pop_seen","offer_id":12}', b'{"type":"heartbeat","microphone":"ok","registered":true,"visible":false}'],
        ),
        FuzzTarget(
            name="websocket_frames", run=websocket_frames,
            seeds=[_frame(b'{"type":"ping"}', 1), _frame(b"", 9) + _frame(b"\x03\xe8bye", 8), _frame(b"a", 1, mask=False), b"\x01\x81\0\0\0\0a\x80\x81\0\0\0\0b"],
            pieces=[b"\x81\xfe\xff\xff", b"\x81\xff" + b"\xff" * 8, b"\x88\x80\0\0\0\0", b"\xc1\x81\0\0\0\0x", b"\0", b"\xff"],
        ),
        FuzzTarget(
            name="http_requests", run=http_requests, seeds=_REQUESTS,
            pieces=[b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b": ", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"%0d%0a", b"\xff", b"HTTP/1.1"],
        ),
        FuzzTarget(
            name="session_token", run=session_token, pieces=[*_MARKS, b"."],
            seeds=[_sessions()[1].encode(), b'{"u":"alice","r":"admin","e":1,"i":1,"x":2,"n":"a","m":"password"}'],
        ),
        FuzzTarget(
            name="service_answer", run=service_answer, pieces=[*_MARKS, b'"customers":', b'"order":', b'"reference":'],
            seeds=[
                b'{"order":{"state":"sent","lines":[1.5]},"known":true}',
                b'{"customers":[{"reference":"7","name":"Ann","phones":["+1"],"tier":"vip","url":"https://a/b","notes":"x\\ny"}]}',
            ],
        ),
        FuzzTarget(
            name="provider_answer", run=provider_answer, pieces=[*_MARKS, b'"nonce":', b'"exp":NaN,', b'"exp":', b'"aud":', b'"iat":Infinity,', b'"kty":"EC"', b'"crv":"x"'],
            seeds=[json.dumps(one).encode() for one in _CLAIMS],
        ),
        FuzzTarget(
            name="customer_table", run=customer_table, share=10, slowest=1.0, pieces=[b",", b";", b"\t", b'"', b"\n", b"\r", b"\0", b"\xff\xfe", b"=1+1", b"@", b"9" * 40, "李".encode()],
            seeds=[_CSV.encode(), _CSV.encode("utf-16"), _CSV.replace(",", ";").encode("gb18030"), _workbook()],
        ),
        FuzzTarget(
            name="uploaded_sound", run=uploaded_sound, share=4, slowest=1.0, pieces=[b"RIFF", b"data", b"fmt ", b"\0", b"\xff" * 4, b"\0\0\xc0\x7f"],
            seeds=[_wave(8000, 1, 8, 0.35), _wave(8000, 7, 8, 0.35), _wave(8000, 1, 16, 0.34), _wave(8000, 3, 64, 0.05)],
        ),
        FuzzTarget(
            name="telephone_number", run=telephone_number, pieces=[b"+", b"00", b"011", b"(", b")", b" ", b"-", b"ext", b";ext=", b"tel:", "０".encode(), b"*", b"1" * 17, b"@", b"\xff"],
            seeds=[b"+15550100", b"(415) 555-0100 x12", b"00493012345", b"sip:+1555@x", "＋４９３０".encode(), "٠١٢٣".encode()],
        ),
    )  # fmt: skip


TARGETS = {**WIRE_TARGETS, **{target.name: target for target in _more()}}
"""All of them."""
