"""What the web needs from the rest of the house, as one value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from cti.certificates import encrypted, speaks_sip_tls
from cti.clock import Clock, SystemClock
from cti.metrics.registry import Metrics
from cti.model.centre import Centre
from cti.services.acts import Acts
from cti.services.agent_line import AgentLine, NoLine
from cti.services.casework import Casework
from cti.services.configuration import Configuration
from cti.services.floor import Floor
from cti.services.flow_changes import FlowChanges
from cti.services.inspections import Inspections
from cti.services.phone_secrets import PhoneSecrets
from cti.services.prompt_sounds import PromptSounds
from cti.services.recordings import RecordingRooms
from cti.services.report_desk import ReportDesk
from cti.services.reporting import Reports
from cti.services.spending import Spending
from cti.services.supervision import SupervisionDesk
from cti.settings import Access, Oidc, Settings
from cti.web.auth.access_file import AccessFile
from cti.web.auth.accounts import Accounts
from cti.web.auth.sessions import Sessions
from cti.web.calls.queries import CallQueries
from cti.web.customers.queries import CustomerRooms
from cti.web.cuts import Figures, no_figures
from cti.web.explain.queries import Explanations, LiveCalls
from cti.web.flows.queries import Flows, FlowTraffic
from cti.web.prompts.queries import RecordingCodes
from cti.web.proxies import Network
from cti.web.supervision.queries import ActQueries


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyPart:
    """One part of what must work. `needed`: without it no call can be served."""

    name: str
    ok: bool
    needed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneServer:
    """Where phones register. `passwords` is by endpoint name ("1001", and where they stand "1001-web", "webcall")."""

    ws_url: str
    domain: str
    """Host part of SIP addresses."""
    registrar: str
    """host:port for SIP softphones (UDP)."""
    tls_registrar: str = ""
    """host:port for SIP softphones over TLS; empty: there is none."""
    passwords: Mapping[str, str]


def phone_server(settings: Settings, passwords: Mapping[str, str]) -> PhoneServer:
    """The phone server as the settings place it."""
    host = settings.network.public_address
    in_url = f"[{host}]" if ":" in host else host
    proxy = settings.network.public_url
    own = f"{'https' if encrypted(settings) else 'http'}://{in_url}:{settings.ports.of('ws')}"
    return PhoneServer(
        ws_url=f"ws{(proxy or own).removeprefix('http')}/ws",
        domain=in_url,
        registrar=f"{in_url}:{settings.ports.of('sip')}",
        tls_registrar=f"{in_url}:{settings.ports.of('sip_tls')}" if speaks_sip_tls(settings) else "",
        passwords=passwords,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebDeps:
    """Everything `build_app` is given."""

    floor: Floor
    centre_now: Callable[[], Centre]
    """The centre changes while we run: ask each time."""
    configuration: Configuration
    accounts: Accounts
    session_key: str
    revoked_file: Path
    """Where logged-out sessions are remembered over a restart."""
    phone: PhoneServer
    calls: CallQueries
    live: LiveCalls
    explanations: Explanations
    flows: Flows
    flow_traffic: FlowTraffic
    readiness: Callable[[], Sequence[ReadyPart]]
    """The parts outside the web; it adds its own."""
    metrics: Metrics
    static: Path
    """Folder of the built pages."""
    origins: frozenset[str]
    """Exact origins of our own pages, see `cti.web.auth.origins.allowed_origins`."""
    usual_origin: str = ""
    """The one of them that others are sent to, whatever the asker calls us; empty: any."""
    reports: Reports | None = None
    """None: there are no figures of the past here."""
    line: AgentLine = field(default_factory=NoLine)
    """Dialling, heartbeats, the quality of calls."""
    acts: Acts | None = None
    """The audit log; None: acts are written down nowhere."""
    stored_acts: ActQueries | None = None
    """The audit log as it can be read; None: it cannot."""
    supervision: SupervisionDesk | None = None
    """None: nobody can act on calls, agents and queues of others here."""
    spending: Spending | None = None
    """What dialling out costs; None: nobody counts."""
    emergency_voice: Callable[[Mapping[str, str]], Awaitable[str]] | None = None
    """Speaks words by language, and gives the name of the prompt; None: there is no voice."""
    customers: CustomerRooms | None = None
    """None: there is no customer file here."""
    casework: Casework | None = None
    """None: there is no casework here."""
    inspections: Inspections | None = None
    """Quality: forms, scores, feedback, surveys. None: there is none here."""
    contact_queues: tuple[str, ...] = ()
    """Queues that customers may ask on the web to be called back by; empty: the one of the first number."""
    clock: Clock = field(default_factory=SystemClock)
    secure_cookies: bool = False
    """True when browsers reach us by https."""
    trusted_certificate: bool = False
    """True when they do by a certificate of the centre's own: browsers are then told to come by https only."""
    proxies: tuple[Network, ...] = ()
    """Proxies of the house, which say whose requests they bring."""
    access: Access = field(default_factory=Access)
    """How long log-ins last, and who needs a second factor."""
    oidc: Oidc = field(default_factory=Oidc)
    """Where else people may log in."""
    flow_changes: FlowChanges | None = None
    """None: nobody keeps versions of flows here."""
    report_desk: ReportDesk | None = None
    """None: nothing is made of reports here."""
    prompts: PromptSounds | None = None
    recording_codes: RecordingCodes | None = None
    recordings: RecordingRooms | None = None
    """None: there are no recordings here."""
    centre_of: Figures = no_figures
    """The centre's row of certain queues: what their supervisors see of the day."""
    phone_secrets: PhoneSecrets | None = None
    """None: telephones in pages have the standing passwords of `phone`."""
    feed_queue: int = 256
    """Messages that may wait for one feed client before it is dropped."""
    feed_queue_bytes: int = 4 * 1024 * 1024
    """The same in bytes."""

    @property
    def centre(self) -> Centre:
        """The centre as it is now."""
        return self.centre_now()


DEPS = web.AppKey("deps", WebDeps)
HANDLERS: web.AppKey[dict[str, Handler]] = web.AppKey("handlers")
"""What serves each operation, behind its guard: for the audit log, which reads what an act changes."""
SESSIONS = web.AppKey("sessions", Sessions)
ACCESS = web.AppKey("access", AccessFile)
