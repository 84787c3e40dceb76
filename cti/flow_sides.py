"""Where flows are changed from the command line: in the running bridge, asked over its API, or in files while none runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from cti.bridge_api import BridgeApi, BridgeRefused
from cti.centre_file import load_centre
from cti.clock import SystemClock
from cti.errors import CtiError
from cti.ids import FlowName
from cti.ivr.editions import Action, Change
from cti.live_flows import LiveFlows, open_flows
from cti.places import DEMO_CENTRE, Places
from cti.services.flow_changes import FlowConflict, FlowDifference, FlowStanding
from cti.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of a change: versions by flow, in words what is different, and what else a person should know."""

    flows: Mapping[str, str]
    changes: tuple[str, ...]
    notes: tuple[str, ...]


class FlowSide(Protocol):
    """Where the flows are. Changes raise `CtiError`; nothing happened then."""

    running: bool

    async def names(self) -> tuple[str, ...]:
        """Every flow there is or was, by name."""
        ...

    async def standing(self, flow: FlowName) -> FlowStanding | None:
        """One flow; None: nobody has heard of it."""
        ...

    async def test_numbers(self) -> tuple[str, ...]:
        """Numbers whose callers hear drafts."""
        ...

    async def text(self, flow: FlowName, version: str) -> str:
        """A version's text."""
        ...

    async def diff(self, flow: FlowName, before: str, after: str) -> FlowDifference:
        """What is different between two versions."""
        ...

    async def apply(
        self, texts: Mapping[FlowName, str], *, expected: Mapping[FlowName, str], by: str, note: str
    ) -> Told:
        """Take texts live."""
        ...

    async def roll_back(self, flow: FlowName, version: str | None, *, expected: str, by: str, note: str) -> Told:
        """Make an earlier version live."""
        ...

    async def remove(self, flow: FlowName, *, expected: str, by: str, note: str) -> Told:
        """Take a flow away."""
        ...

    async def put_draft(self, flow: FlowName, text: str, *, by: str, note: str) -> Told:
        """Let test calls hear a text."""
        ...

    async def withdraw(self, flow: FlowName, *, by: str) -> Told:
        """Take the draft away."""
        ...


async def flow_side(settings: Settings) -> FlowSide:
    """The running bridge of this centre, or else its files."""
    api = BridgeApi(settings)
    return BridgeFlows(api) if await api.there() else StoppedFlows(settings)


class StoppedFlows:
    """The files of a centre whose bridge does not run: what is changed counts from its next start on."""

    running = False

    def __init__(self, settings: Settings) -> None:
        places, clock = Places(settings), SystemClock()
        centre = load_centre(places.centre if places.centre.exists() else DEMO_CENTRE)
        library, versions = open_flows(places, centre, clock)
        self._flows = LiveFlows(library, versions, places.prompts, clock)

    async def names(self) -> tuple[str, ...]:
        """See `FlowSide`."""
        return tuple(one.flow for one in self._flows.standings())

    async def standing(self, flow: FlowName) -> FlowStanding | None:
        """See `FlowSide`."""
        return next((one for one in self._flows.standings() if one.flow == flow), None)

    async def test_numbers(self) -> tuple[str, ...]:
        """See `FlowSide`."""
        return tuple(self._flows.test_numbers())

    async def text(self, flow: FlowName, version: str) -> str:
        """See `FlowSide`."""
        return await self._flows.text(flow, version)

    async def diff(self, flow: FlowName, before: str, after: str) -> FlowDifference:
        """See `FlowSide`."""
        return await self._flows.diff(flow, before, after)

    async def apply(
        self, texts: Mapping[FlowName, str], *, expected: Mapping[FlowName, str], by: str, note: str
    ) -> Told:
        """See `FlowSide`."""
        return _told(await self._flows.apply(texts, expected=dict(expected), by=by, note=note))

    async def roll_back(self, flow: FlowName, version: str | None, *, expected: str, by: str, note: str) -> Told:
        """See `FlowSide`."""
        return _told(await self._flows.roll_back(flow, version, expected=expected, by=by, note=note))

    async def remove(self, flow: FlowName, *, expected: str, by: str, note: str) -> Told:
        """See `FlowSide`."""
        return _told(await self._flows.remove(flow, expected=expected, by=by, note=note))

    async def put_draft(self, flow: FlowName, text: str, *, by: str, note: str) -> Told:
        """See `FlowSide`."""
        return _told(await self._flows.put_draft(flow, text, by=by, note=note))

    async def withdraw(self, flow: FlowName, *, by: str) -> Told:
        """See `FlowSide`."""
        return _told(await self._flows.withdraw(flow, by=by))


def _told(done: Any) -> Told:
    notes = [f"warning: {one}" for one in done.warnings]
    if done.flows:
        notes.append("no bridge of this centre runs: it takes effect with the next start")
    return Told(flows=done.flows, changes=done.changes, notes=tuple(notes))


class BridgeFlows:
    """A running bridge."""

    running = True

    def __init__(self, api: BridgeApi) -> None:
        self._api = api

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            return await self._api.ask(method, f"/api/v1/flows{path}", body)
        except BridgeRefused as error:
            if error.status == 412:
                raise FlowConflict(error.message, remedy=error.remedy) from None
            if error.told_id == "flow_invalid":
                told = "\n".join(f"{one['field']}: {one['message']}" for one in error.details)
                raise CtiError(told, remedy=error.remedy) from None
            raise

    async def _change(self, method: str, path: str, body: Any = None) -> Told:
        said = await self._ask(method, path, body)
        notes = tuple(
            f"warning: {one['file']}:{one['line']}:{one['column']}: {one['message']}; {one['remedy']}"
            for one in said["warnings"]
        )
        return Told(flows=said["flows"], changes=tuple(said["changes"]), notes=notes)

    async def names(self) -> tuple[str, ...]:
        """See `FlowSide`."""
        return tuple(row["flow"] for row in (await self._ask("GET", ""))["flows"])

    async def _versions(self, flow: FlowName) -> Any:
        try:
            return await self._ask("GET", f"/{flow}/versions")
        except BridgeRefused as error:
            if error.status == 404:
                return None
            raise

    async def standing(self, flow: FlowName) -> FlowStanding | None:
        """See `FlowSide`."""
        said = await self._versions(flow)
        if said is None:
            return None
        changes = tuple(
            Change(
                edition=row["edition"],
                at=datetime.fromisoformat(row["at"]),
                action=Action(row["action"]),
                flows={flow: row["version"]},
                by=row["by"],
                note=row["note"],
            )
            for row in reversed(said["changes"])
        )
        return FlowStanding(
            flow=flow, version=said["version"], draft=said["draft"], former=said["former"], changes=changes
        )

    async def test_numbers(self) -> tuple[str, ...]:
        """See `FlowSide`."""
        for name in await self.names():
            return tuple((await self._versions(FlowName(name)))["test_numbers"])
        return ()

    async def text(self, flow: FlowName, version: str) -> str:
        """See `FlowSide`."""
        return str((await self._ask("GET", f"/{flow}/versions/{version}"))["text"])

    async def diff(self, flow: FlowName, before: str, after: str) -> FlowDifference:
        """See `FlowSide`."""
        said = await self._ask("GET", f"/{flow}/diff?from={before}&to={after}")
        return FlowDifference(before=before, after=after, steps=tuple(said["steps"]), text=said["text"])

    async def apply(
        self, texts: Mapping[FlowName, str], *, expected: Mapping[FlowName, str], by: str, note: str
    ) -> Told:
        """See `FlowSide`."""
        flows = [{"flow": flow, "text": text, "expected": expected.get(flow, "")} for flow, text in texts.items()]
        return await self._change("PUT", "", {"flows": flows, "note": note, "by": by})

    async def roll_back(self, flow: FlowName, version: str | None, *, expected: str, by: str, note: str) -> Told:
        """See `FlowSide`."""
        body = {"version": version, "expected": expected, "note": note, "by": by}
        return await self._change("POST", f"/{flow}/rollback", body)

    async def remove(self, flow: FlowName, *, expected: str, by: str, note: str) -> Told:
        """See `FlowSide`."""
        return await self._change("POST", f"/{flow}/remove", {"expected": expected, "note": note, "by": by})

    async def put_draft(self, flow: FlowName, text: str, *, by: str, note: str) -> Told:
        """See `FlowSide`."""
        return await self._change("PUT", f"/{flow}/draft", {"text": text, "note": note, "by": by})

    async def withdraw(self, flow: FlowName, *, by: str) -> Told:
        """See `FlowSide`."""
        return await self._change("DELETE", f"/{flow}/draft")
