"""Where things lie: every folder and file of one centre, from its settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cti.private_file import write_private
from cti.settings import Settings

REPOSITORY = Path(__file__).resolve().parent.parent
"""Folder that holds `ivr_flows` and `asterisk_conf` beside the package."""

DEMO_CENTRE = Path(__file__).resolve().parent / "demo" / "centre.yaml"
"""The centre file a newcomer starts from."""


class Places:
    """Folders and files of one centre."""

    def __init__(self, settings: Settings) -> None:
        data = settings.data
        self.data = data
        self.run = settings.run
        self.log = settings.folder("log")
        self.journal = settings.folder("journal")
        self.prompts = settings.prompts or data / "prompts"
        self.recordings = settings.folder("recordings")
        self.voicemail = settings.folder("voicemail")
        self.postgres = settings.folder("postgres")
        self.secrets = data / "secrets"
        self.accounts = data / "secrets" / "accounts.json"
        self.revoked = data / "secrets" / "revoked.json"
        self.asterisk = data / "asterisk"
        self.ledger = settings.asterisk.ledger or self.asterisk / "log" / "cel-custom" / "cti.csv"
        self.centre = settings.centre or data / "centre.yaml"
        self.flows = settings.flows or REPOSITORY / "ivr_flows"
        self.prompt_manifest = self.flows / "prompts.yaml"
        self.static = Path(__file__).resolve().parent / "web" / "static"
        self.state_file = settings.run / "state.json"

    def make(self) -> None:
        """Make the folders; only their owner may look in."""
        for folder in (
            self.data,
            self.run,
            self.log,
            self.journal,
            self.prompts,
            self.recordings,
            self.voicemail,
            self.secrets,
        ):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write_state(self, state: dict[str, Any]) -> None:
        """Remember what runs, for `cti status` and for cleaning up after a crash."""
        write_private(self.state_file, json.dumps(state).encode() + b"\n")

    def read_state(self) -> dict[str, Any]:
        """What runs, as last remembered; empty when nothing does."""
        try:
            state = json.loads(self.state_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}
