"""Asterisk's configuration, rendered from the settings, the centre and the secrets. Text in, text out: starts nothing.

The templates lie in `asterisk_conf/`. What belongs to the centre (dialplan, endpoints, queues, the bridge's account) is
rendered into `cti/` below the configuration folder and included from there, so the same files serve an Asterisk of one's
own (docs/own-asterisk.md). A file is only written when its text changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cti.asterisk.hold_music import write_hold_music
from cti.asterisk.install import AsteriskBinary
from cti.certificates import encrypted, ensure, speaks_sip_tls
from cti.clock import SystemClock
from cti.errors import ConfigError
from cti.model.centre import Centre
from cti.services.phone_secrets import line_names, places_of
from cti.settings import Settings

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).resolve().parents[2] / "asterisk_conf"

LEDGER_COLUMNS = (
    "event", "at", "unique_id", "linked_id", "channel", "bridge_peer", "context", "extension", "number", "extra",
)  # fmt: skip
"""Columns of the ledger (`RenderedPaths.ledger`), a CSV file without a heading. `event` is CEL's name or ours
(CTI_INBOUND, CTI_SURVIVAL, CTI_VOICEMAIL); `at` is seconds since the epoch with six decimals; `extra` is a JSON object or
empty. Of our own events it has one key, "extra", whose value is fields joined by "|": call|number|did, call|queue,
call|file|seconds."""

AMI_EVENTS = (
    "FullyBooted", "Shutdown", "UserEvent", "DialBegin", "DialState", "DialEnd", "BridgeEnter", "BridgeLeave", "Hold",
    "Unhold", "HangupRequest", "Hangup", "MixMonitorStart", "DeviceStateChange", "OriginateResponse", "ContactStatus",
)  # fmt: skip
"""The only events the bridge's session is sent (answers to its own actions come besides)."""

AMI_UNUSED = (
    "AGIExecEnd", "AGIExecStart", "BridgeCreate", "BridgeDestroy", "CEL", "ChallengeSent", "DTMFBegin",
    "DTMFEnd", "ExtensionStatus", "LocalBridge", "MusicOnHoldStart", "MusicOnHoldStop", "NewAccountCode", "NewCallerid",
    "NewConnectedLine", "Newchannel", "Newexten", "Newstate", "PeerStatus", "QueueMemberStatus", "RTCPReceived", "RTCPSent",
    "SoftHangupRequest", "SuccessfulAuth", "VarSet",
)  # fmt: skip
"""Frequent events that nobody here reads, off for all of this Asterisk: an event that is only filtered out still wakes
every session, and six of seven events of a call are of this kind."""

AMI_READ = "system,call,user"
AMI_WRITE = "system,call,user,reporting,originate"
"""Class system is needed to list contacts and bridges; `command`, `config` and `security` are left out."""

REQUIRED_MODULES = (
    # The core of calls: timing, dialplan, bridges between two.
    "res_timing_timerfd", "pbx_config", "bridge_simple", "bridge_native_rtp", "bridge_softmix",
    # SIP and media.
    "res_pjproject", "res_sorcery_config", "res_sorcery_memory", "res_sorcery_astdb", "res_pjsip", "res_pjsip_session",
    "res_pjsip_authenticator_digest", "res_pjsip_caller_id", "res_pjsip_dlg_options",
    "res_pjsip_endpoint_identifier_ip", "res_pjsip_endpoint_identifier_user", "res_pjsip_header_funcs", "res_pjsip_nat",
    "res_pjsip_acl", "res_pjsip_registrar", "res_pjsip_rfc3326", "res_pjsip_sdp_rtp", "chan_pjsip", "res_rtp_asterisk",
    # Browser phones: SIP over WebSocket, DTLS-SRTP.
    "res_http_websocket", "res_pjsip_transport_websocket", "res_crypto", "res_srtp",
    # Codecs, and the formats of prompts, recordings and music.
    "codec_ulaw", "codec_alaw", "codec_a_mu", "codec_gsm", "codec_resample",
    "format_pcm", "format_gsm", "format_wav", "format_sln",
    # What the dialplan uses.
    "res_speech", "res_agi", "res_musiconhold", "app_celgenuserevent", "app_chanspy", "app_confbridge", "app_dial", "app_echo", "app_mixmonitor", "app_playback", "app_playtones",
    "app_queue", "app_read", "app_record", "app_senddtmf", "app_stack", "app_userevent",
    "func_callerid", "func_channel", "func_cut", "func_db", "func_export", "func_groupcount", "func_logic", "func_strings", "func_timeout",
    # The ledger, and the states of devices over AMI.
    "cel_custom", "res_manager_devicestate",
    # Who was refused at the SIP port, in notices.log.
    "res_security_log",
)  # fmt: skip
OPTIONAL_MODULES = (
    "res_cdrel_custom", "res_pjsip_pubsub", "bridge_holding", "bridge_builtin_features", "res_format_attr_opus",
    "codec_opus_open_source", "codec_opus", "codec_g722",
)  # fmt: skip
"""Loaded where they exist: opus is separate in some builds; the first three are what others above depend on."""

FLOW_LIMIT_SECONDS = 300
"""A flow session longer than this is taken for a hung bridge and asked again (the flow resumes at its step)."""
VISIT_LIMIT_SECONDS = 45
"""A visit from the wait context longer than this is a missed one; announcements fit in."""
SHORT_WAIT_SECONDS = 3
"""Between visits after a missed one."""
HELD_LOOK_SECONDS = 3
"""Between looks of a held caller whether anybody is left to come back to: two in vain and the caller waits for an agent again."""
RING_SECONDS = 15
"""How long an agent rings when the bridge did not say."""
RECORD_PROMPTS = "*77"
"""What is dialled to record a prompt by telephone."""
RESUME_SECONDS = 8
"""How long the page of an agent is rung that takes its caller back by itself."""
KEYPAD_LIMIT_SECONDS = 10
"""How long the bridge may think about a number that was dialled on an agent's telephone."""
RTP_TIMEOUT_SECONDS = 4
"""So long after the last sound of an agent's browser its leg is taken for gone. Browsers send all the time, muted too."""
OUT_SECONDS = 60
"""How long an outside number rings that a caller is sent to; then voicemail."""

AUTHORITIES = (Path("/etc/ssl/certs"), Path("/etc/pki/tls/certs"))
"""Where systems keep the certificates they trust, for a carrier's."""

_SAFE_PATH = re.compile(r"[\w/.~+@ -]+")
_SAFE_VALUE = re.compile(r"[\x20-\x3a\x3c-\x7e]+")
_EXTENSION = re.compile(r"exten => ([^,]+),(\d+|hint),")
_SOCKET_PATH_LIMIT = 100
"""Unix sockets take 107 bytes; the name is `asterisk.ctl`."""


class AsteriskSecrets(Protocol):
    """The secrets Asterisk must know. `cti.secrets_file.Secrets` is one."""

    @property
    def ami(self) -> str:
        """Secret of the bridge's AMI account."""
        ...

    @property
    def sip(self) -> Mapping[str, str]:
        """Endpoint name -> SIP password."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPaths:
    """Where a rendered Asterisk has its things."""

    etc: Path
    """Configuration folder; `asterisk.conf` lies in it."""
    run: Path
    """Folder of the control socket and the process id; short, because socket names are."""
    state: Path
    """Asterisk's own database (registrations survive a restart)."""
    log: Path
    ledger: Path
    """CEL as CSV, see `LEDGER_COLUMNS`. Grows; reconciliation reads it from where it stopped."""
    recordings: Path
    voicemail: Path
    music: Path
    """What waiting callers hear."""
    moment_music: Path
    """What they hear for a moment, between two things that are said: it begins at once."""
    changed: tuple[str, ...]
    """Configuration files that were written anew this time."""

    @property
    def asterisk_conf(self) -> Path:
        """The file to start Asterisk with."""
        return self.etc / "asterisk.conf"

    @property
    def log_file(self) -> Path:
        """Notices, warnings and errors."""
        return self.log / "asterisk.log"

    @property
    def console_file(self) -> Path:
        """What the process itself prints."""
        return self.log / "console.log"


def render(
    settings: Settings, centre: Centre, secrets: AsteriskSecrets, binary: AsteriskBinary, prompts: Path, out: Path
) -> RenderedPaths:
    """Write the configuration into `out` and make the folders it names.

    `prompts` is the folder of built sounds (`<lang>/<name>`); a prompt that is not there yet is replaced by a packaged
    one. Raises `ConfigError` when a setting cannot be written into Asterisk's files (a line break in a name, two numbers
    that are dialled alike), and `OSError` when a folder cannot be made. Files are 0600, folders 0700.
    """
    data = settings.data
    paths = RenderedPaths(
        etc=out,
        run=run_folder(settings),
        state=out / "state",
        log=out / "log",
        ledger=out / "log" / "cel-custom" / "cti.csv",
        recordings=settings.folder("recordings"),
        voicemail=settings.folder("voicemail"),
        music=_music_folder(binary.music, prompts, data),
        moment_music=_music_folder(None, prompts, data),
        changed=(),
    )
    for folder in (paths.etc, paths.state, paths.log, paths.ledger.parent, paths.recordings, paths.voicemail):
        _refuse_unsafe(folder)
    _refuse_unsafe(prompts)
    texts = _texts(settings, centre, secrets, binary, prompts, paths)
    for folder in (
        paths.etc, paths.etc / "cti", paths.run, paths.state, paths.state / "spool", paths.state / "keys", paths.log, paths.ledger.parent,
        paths.recordings, paths.recordings / "live", paths.voicemail,
    ):  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _own_privately(paths.run)
    (paths.etc / "cti" / "banned.conf").touch(0o600)  # the bridge writes it
    _keep_private(paths.state / "astdb.sqlite3")
    if paths.moment_music == data / "hold-music":
        write_hold_music(paths.moment_music)
    changed = tuple(name for name, text in sorted(texts.items()) if _write(paths.etc / name, text))
    return RenderedPaths(**{**{name: getattr(paths, name) for name in RenderedPaths.__slots__}, "changed": changed})


def _texts(
    settings: Settings,
    centre: Centre,
    secrets: AsteriskSecrets,
    binary: AsteriskBinary,
    prompts: Path,
    paths: RenderedPaths,
) -> dict[str, str]:
    """All files by name."""
    if not TEMPLATES.is_dir():
        raise ConfigError(
            f"{TEMPLATES}: no such folder; the templates of Asterisk's configuration lie beside the package",
            remedy="install from a checkout of the repository: pip install --editable <checkout>",
        )
    environment = _environment()
    english = "en" if (binary.sounds / "en").is_dir() else "en_US_f_Allison"
    packaged = binary.sounds / english
    asked = {
        "settings": settings,
        "lines": line_names(settings.sip.webcall_lines) if settings.sip.browser_secrets == "short" else (),
        "places": places_of,
        "centre": centre,
        "secrets": secrets,
        "binary": binary,
        "paths": paths,
        "numbers": _numbers(centre),
        "agi": f"agi://{settings.asterisk.agi_host}:{settings.ports.of('agi')}",
        "trunk": _trunk(settings, centre),
        "out_seconds": OUT_SECONDS,
        "deliveries": ["_" + "X" * 10 + "[12]" + "X" * digits for digits in range(2, 7)],
        "delivery_to_several": "_" + "X" * 10 + "0",
        "resumes": ["_" + "X" * digits for digits in range(2, 7)],
        "resume_seconds": RESUME_SECONDS,
        "keypad": ["_X" + "X" * digits for digits in range(6, 17)] + ["_+X" + "X" * digits for digits in range(6, 16)],
        "keypad_limit": KEYPAD_LIMIT_SECONDS,
        "rtp_timeout": RTP_TIMEOUT_SECONDS,
        "flow_limit": FLOW_LIMIT_SECONDS,
        "visit_limit": VISIT_LIMIT_SECONDS,
        "record_prompts": RECORD_PROMPTS,
        "short_wait": SHORT_WAIT_SECONDS,
        "ring_seconds": RING_SECONDS,
        "held_look": HELD_LOOK_SECONDS,
        "languages": [{"tag": language, "folder": prompts / language} for language in centre.languages],
        "voicemail_packaged": packaged / "vm-intro" if (packaged / "vm-intro.gsm").is_file() else "",
        "beep": packaged / "beep",
        "ledger_columns": LEDGER_COLUMNS,
        "modules": {
            "required": REQUIRED_MODULES,
            "optional": [name for name in OPTIONAL_MODULES if binary.module_exists(name)],
        },
        "certificate": ensure(settings, SystemClock().now()) if encrypted(settings) else None,
        "sip_tls": _sip_tls(settings),
        "authorities": _authorities(settings),
        "ami": {"read": AMI_READ, "write": AMI_WRITE, "events": AMI_EVENTS, "unused": AMI_UNUSED},
        "recorded": [name for name, queue in centre.queues.items() if queue.recording_rule.without_bridge],
        "trap_length": 1,
    }
    parts = [
        environment.get_template(f"include/{name}.conf.j2")
        for name in ("extensions", "rooms", "supervision", "dialling")
    ]
    steps = max(longest_extension(part.render(asked)) for part in parts)
    asked["trap_length"] = steps + 4
    texts: dict[str, str] = {}
    for template in sorted(TEMPLATES.glob("*.conf.j2")):
        texts[template.name.removesuffix(".j2")] = environment.get_template(template.name).render(asked)
    for template in sorted((TEMPLATES / "include").glob("*.conf.j2")):
        name = f"cti/{template.name.removesuffix('.j2')}"
        texts[name] = environment.get_template(f"include/{template.name}").render(asked)
    _check_targets(texts["cti/extensions.conf"] + texts["cti/rooms.conf"] + texts["cti/supervision.conf"], steps)
    return texts


@cache
def _environment() -> jinja2.Environment:
    import jinja2  # a bridge renders when its centre's file changes, not at its start

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - not markup; `value` and `display` guard what people write
    )
    environment.filters["value"] = _value
    environment.filters["display"] = _display
    return environment


def longest_extension(dialplan: str) -> int:
    """How many priorities the longest extension of a dialplan has."""
    longest = count = 0
    for line in dialplan.splitlines():
        started = _EXTENSION.match(line)
        if started:
            count = int(started[2]) if started[2].isdigit() else 0
        elif re.match(r"\s*same => n", line):
            count += 1
        longest = max(longest, count)
    return longest


def _check_targets(dialplan: str, steps: int) -> None:
    """The rule that keeps callers: every target of a Redirect has more priorities than any extension has steps."""
    for context in (
        "cti-flow",
        "cti-wait",
        "cti-deliver",
        "cti-survival",
        "cti-voicemail",
        "cti-bye",
        "cti-asked",
        "cti-resume",
        "cti-out",
        "cti-held",
        "cti-room",
        "cti-watch",
    ):
        if context == "cti-out" and "\n[cti-out]\n" not in dialplan:
            continue  # there is no trunk to send calls to
        body = dialplan.split(f"\n[{context}]\n", 1)[1].split("\n[", 1)[0]
        reached = max(
            int(match[2])
            for match in map(_EXTENSION.match, body.splitlines())
            if match and match[2].isdigit() and match[1] not in ("i", "t", "T")
        )
        if reached <= steps:
            raise AssertionError(f"[{context}] reaches priority {reached}, but an extension has {steps} steps")


def _authorities(settings: Settings) -> Path | None:
    """The file of certificates that vouch for the carrier's, or the folder of those that this machine trusts. Raises `ConfigError`
    when the trunk needs it and it is not there: the carrier's certificate would go unchecked."""
    told = settings.trunk.authority
    if told is not None:
        _refuse_unsafe(told)
        if not told.is_file():
            raise ConfigError(
                f"{told}: no such file, named by trunk.authority", remedy="put the carrier's authority there"
            )
        return told
    found = next((folder for folder in AUTHORITIES if folder.is_dir()), None)
    if found is None and settings.trunk.encrypted:
        raise ConfigError(
            f"trunk.encrypted, and none of {', '.join(map(str, AUTHORITIES))} is there to know the carrier's certificate by",
            remedy="install the package ca-certificates",
        )
    return found


def _sip_tls(settings: Settings) -> bool:
    """Whether SIP over TLS is there. Raises `ConfigError` when the trunk needs it and it is not."""
    there = speaks_sip_tls(settings)
    if settings.trunk.encrypted and not there:
        raise ConfigError(
            "trunk.encrypted, and there is no SIP over TLS", remedy="set tls.mode to on, and leave sip.tls at true"
        )
    if settings.sip.srtp == "required" and not there:
        raise ConfigError(
            "sip.srtp required, and there is no SIP over TLS: keys of SRTP would be readable by all",
            remedy="set tls.mode to on, and leave sip.tls at true",
        )
    return there


def _trunk(settings: Settings, centre: Centre) -> dict[str, object]:
    """What may leave over the trunk, as the dialplan says it. Without an address nothing is dialled.

    Patterns are of whole numbers, a length each; agents are those whose own outside number may be dialled.
    """
    outbound = centre.outbound
    shown = outbound.caller_id or next((did for did in centre.numbers if re.fullmatch(r"\+[1-9][0-9]{5,14}", did)), "")
    if not re.fullmatch(r"\+?[0-9]{0,20}", shown):
        raise ConfigError(
            f"outbound.caller_id {shown!r}: only digits and a leading +", remedy="correct it in the centre's file"
        )
    address = settings.trunk.address
    return {
        "address": address,
        "caller_id": shown,
        "numbers": ["_Z" + "X" * digits for digits in range(5, 15)],
        "agents": [
            {"pattern": "_" + "X" * 10 + f"3{agent.agent_id}", "digits": agent.number.removeprefix("+")}
            for agent in centre.agents.values()
            if address and re.fullmatch(r"\+[1-9][0-9]{5,14}", agent.number) and outbound.may_dial(agent.number)
        ],
    }


def _numbers(centre: Centre) -> list[dict[str, object]]:
    """The centre's numbers with all forms in which a carrier may dial them."""
    rows: list[dict[str, object]] = []
    taken: dict[str, str] = {}
    for number in centre.numbers.values():
        digits = number.did.removeprefix("+")
        if not re.fullmatch(r"[0-9]{1,20}", digits):
            raise ConfigError(
                f"number {number.did!r}: only digits and a leading +", remedy="correct it in the centre's file"
            )
        if digits in taken:
            raise ConfigError(
                f"numbers {taken[digits]!r} and {number.did!r} are dialled alike", remedy="keep one of them"
            )
        taken[digits] = number.did
        rows.append({"did": number.did, "dialled": (digits, f"+{digits}"), "survival_queue": number.survival_queue})
    return rows


def _value(text: object) -> str:
    """A value that Asterisk's files can hold as it is; a comment sign or a line break would cut or forge lines."""
    if not _SAFE_VALUE.fullmatch(str(text)):
        raise ConfigError(
            "a secret or an address has a character that Asterisk's files cannot hold",
            remedy="use printable ASCII without a semicolon",
        )
    return str(text)


def _display(text: str) -> str:
    """A person's name as a SIP display name: quotes, brackets, comment signs and control characters become spaces."""
    plain = "".join(" " if char in '"\\<>;[]{}$' or not char.isprintable() else char for char in text)
    return " ".join(plain.split())[:60]


def _refuse_unsafe(path: Path) -> None:
    """Raise when a folder's name has a meaning in the dialplan (commas, brackets, dollar signs)."""
    if not _SAFE_PATH.fullmatch(str(path)):
        raise ConfigError(
            f"{path}: Asterisk's dialplan cannot hold this name",
            remedy="set `data` to a folder whose path has letters, digits and . _ - + @ only",
        )


def run_folder(settings: Settings) -> Path:
    """Where the control socket lies: below the data folder, or in a short private place when that path is too long."""
    folder = settings.run / "asterisk"
    if len(os.fsencode(folder / "asterisk.ctl")) <= _SOCKET_PATH_LIMIT:
        return folder
    mark = hashlib.sha256(os.fsencode(settings.data)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"cti-{os.getuid()}-{mark}"


def _own_privately(folder: Path) -> None:
    """Raise unless the folder is ours alone: the control socket in it commands Asterisk."""
    status = folder.lstat()
    if status.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink():
        raise ConfigError(f"{folder} belongs to somebody else", remedy="remove it, or set `data` to a shorter path")
    folder.chmod(0o700)


def _keep_private(database: Path) -> None:
    """Asterisk's database has secrets of telephones in pages. An empty file is one to it; its journal gets the same mode."""
    database.touch(0o600)
    database.chmod(0o600)


def _music_folder(packaged: Path | None, prompts: Path, data: Path) -> Path:
    """Music on hold: the centre's own, else the packaged, else a made one; there is always some."""
    for folder in (prompts / "music", packaged):
        if folder is not None and folder.is_dir() and any(folder.iterdir()):
            return folder
    return data / "hold-music"


def _write(path: Path, text: str) -> bool:
    """Write `text` whole and readable by the owner only; False when it was there already."""
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except (OSError, UnicodeDecodeError):
        pass
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
    return True
