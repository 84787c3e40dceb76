"""`cti doctor` at an Asterisk that runs: only questions are asked, nothing is commanded."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta

from cti.asterisk.ami.client import AmiLink, AmiSession
from cti.asterisk.ami.errors import AmiRefused, AmiUnreachable
from cti.asterisk.ami.link_timings import LinkTimings
from cti.asterisk.ami.wire import AmiMessage
from cti.doctor.findings import Finding, Grade, Seen, some
from cti.model.centre import Centre
from cti.secrets_file import endpoints
from cti.services.phone_secrets import VISITORS, line_names

CONTEXTS = ("cti-inbound", "cti-flow", "cti-wait", "cti-deliver", "cti-survival", "cti-voicemail", "cti-bye")
"""Where the dialplan is entered from outside: by a caller, or by a Redirect of the bridge."""
ACTIONS = ("Redirect", "Hangup", "Status", "DeviceStateList")
"""AMI actions the bridge cannot do without."""


async def examine_asterisk(seen: Seen) -> list[Finding]:
    """Ask the Asterisk that runs, over AMI: does it let us in, and does it know what the centre's file says."""
    subject = "manager interface"
    settings = seen.settings
    if not seen.ami_secret:
        return [Finding(grade="note", subject=subject, finding="not asked: there is no password for it yet")]
    second = timedelta(seconds=1)
    link = AmiLink(
        host=settings.asterisk.ami_host,
        port=settings.ports.of("ami"),
        username=settings.asterisk.ami_user,
        secret=seen.ami_secret,
        event_classes="system",
        timings=LinkTimings(connect=second, login=second, boot=second, action=second),
    )
    try:
        session = await link.open()
    except AmiUnreachable as error:
        grade: Grade = "bad" if seen.bridge else "note"
        remedy = error.remedy if seen.bridge else "start the centre (cti up), or your own Asterisk"
        return [Finding(grade=grade, subject=subject, finding=error.message, remedy=remedy)]
    try:
        return await _ask(session, seen)
    finally:
        await session.close()


async def _ask(session: AmiSession, seen: Seen) -> list[Finding]:
    settings = seen.settings
    told = await session.ask({"Action": "CoreSettings"})
    found = [
        Finding(
            grade="ok",
            subject="manager interface",
            finding=f"Asterisk {told.get('AsteriskVersion')} at port {settings.ports.of('ami')} lets "
            f"{settings.asterisk.ami_user} in; up for {session.uptime}",
        )
    ]
    if told.get("SystemName") != settings.node:
        found.append(
            Finding(
                grade="bad",
                subject="node",
                finding=f"Asterisk calls itself {told.get('SystemName')!r}, the settings say {settings.node!r}",
                remedy="set systemname in asterisk.conf and `node` in the settings to the same word, restart Asterisk",
            )
        )
    allowed = await session.ask({"Action": "ListCommands"})
    missing = [name for name in ACTIONS if not allowed.get(name)]
    if missing:
        found.append(
            Finding(
                grade="bad",
                subject="manager account",
                finding=f"it may not do {', '.join(missing)}",
                remedy="give it the `write` classes of cti/manager.conf, load res_manager_devicestate, reload",
            )
        )
    else:
        found.append(Finding(grade="ok", subject="manager account", finding="it may do what the bridge does"))
    sip = settings.sip
    lines = () if sip.browser_secrets == "standing" else line_names(sip.webcall_lines)
    try:
        found += await _dialplan(session, seen.centre, lines)
        if lines and seen.bridge:
            found.append(await _page_phones(session, lines[0]))
    except AmiRefused as error:
        found.append(Finding(grade="note", subject="dialplan", finding=f"not visible: {error.message}"))
    return found


async def _page_phones(session: AmiSession, line: str) -> Finding:
    """Whether Asterisk lets telephones in pages in by what the bridge puts into its database."""
    subject = "telephones in pages"
    parts: Sequence[AmiMessage] = ()
    with contextlib.suppress(AmiRefused):  # an Asterisk that was started before has no such line
        parts = await session.ask_list({"Action": "PJSIPShowEndpoint", "Endpoint": line})
    if any(part.event == "AuthDetail" for part in parts):
        return Finding(grade="ok", subject=subject, finding="they are given secrets that end")
    with contextlib.suppress(AmiRefused):
        parts = await session.ask_list({"Action": "PJSIPShowEndpoint", "Endpoint": VISITORS})
        if any(part.event == "AuthDetail" for part in parts):
            return Finding(
                grade="bad",
                subject=subject,
                finding="Asterisk was started with an older sorcery.conf: they sign on by standing passwords",
                remedy="start Asterisk again in a quiet hour: docs/operations.md, Upgrade",
            )
    return Finding(
        grade="bad",
        subject=subject,
        finding="Asterisk does not look for their secrets in its database: none can sign on, no visitor can call",
        remedy="take over the rendered sorcery.conf and restart Asterisk, or set sip.browser_secrets to standing "
        "and render again: docs/own-asterisk.md",
    )


async def _dialplan(session: AmiSession, centre: Centre | None, lines: Sequence[str]) -> list[Finding]:
    """Whether Asterisk has our contexts, and the numbers and accounts the centre's file has now. `lines`: of visitors."""
    numbers: set[str] = set()
    absent = []
    for context in CONTEXTS:
        try:
            items = await session.ask_list({"Action": "ShowDialPlan", "Context": context})
        except AmiRefused as error:
            if "context" not in error.message:
                raise
            absent.append(context)
            continue
        if context == "cti-inbound":
            numbers = {item.get("Extension").removeprefix("+") for item in items if item.get("Extension")}
    render = "restart the centre, or run `cti asterisk render` and reload your own Asterisk"
    if absent:
        text = f"Asterisk has no context {', '.join(absent)}"
        remedy = "include cti/extensions.conf in extensions.conf and reload: docs/own-asterisk.md"
        return [Finding(grade="bad", subject="dialplan", finding=text, remedy=remedy)]
    if centre is None:
        return []
    found = []
    if unknown := [did for did in centre.numbers if did.removeprefix("+") not in numbers]:
        text = f"numbers of the centre file that Asterisk does not answer: {some(unknown)}"
        found.append(Finding(grade="bad", subject="dialplan", finding=text, remedy=render))
    listed = await session.ask_list({"Action": "PJSIPShowEndpoints"})
    accounts = {item.get("ObjectName") for item in listed}
    wanted = (set(endpoints(centre)) - {"webcall"} | set(lines)) if lines else set(endpoints(centre))
    if lacking := sorted(wanted - accounts):
        text = f"SIP accounts Asterisk does not have: {some(lacking)}"
        found.append(Finding(grade="bad", subject="dialplan", finding=text, remedy=render))
    if not found:
        text = f"all contexts, {len(centre.numbers)} numbers and {len(wanted)} SIP accounts are in Asterisk"
        found.append(Finding(grade="ok", subject="dialplan", finding=text))
    return found
