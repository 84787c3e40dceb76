"""Ask the advisory databases about every package and every part of the pages (`make advisories`; CI asks, too).

A known hole ends with code 1. What no database answers for is named, and is no failure: it says nothing about us, neither good nor bad.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNREACHED = (
    "ConnectionError",
    "Max retries",
    "ConnectTimeout",
    "ReadTimeout",
    "Name or service not known",
    "ServiceError",
)
"""What pip-audit says of a database that it cannot reach, or that refuses it."""
DATABASES = ("pypi", "osv")
"""Asked one after the other, the next one about what the one before does not know. A mirror of the package index is often no database."""


def one_name(package: str) -> str:
    """A package's name as the index compares it: `ruamel.yaml` is `ruamel-yaml`."""
    return re.sub(r"[-_.]+", "-", package.partition("==")[0].strip()).lower()


def read(said: str) -> tuple[list[str], list[str]]:
    """What pip-audit printed as JSON: the holes, and the packages that were not looked at."""
    holes, unknown = [], []
    for package in json.loads(said)["dependencies"]:
        if "skip_reason" in package:
            unknown.append(one_name(package["name"]))
        for hole in package.get("vulns", ()):
            mended = ", ".join(hole["fix_versions"]) or "no version yet"
            holes.append(f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}")
    return holes, unknown


def ask(database: str, pins: Sequence[str]) -> tuple[list[str], list[str]]:
    """The holes of these packages, and those that the database does not know. Whatever else goes wrong ends this with code 1."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner=off",
            f"--vulnerability-service={database}", "--format=json", "--requirement=/dev/stdin",
        ],
        input="\n".join(pins), capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    if any(word in done.stderr for word in UNREACHED):
        return [], [one_name(pin) for pin in pins]
    try:
        return read(done.stdout)
    except ValueError:
        raise SystemExit(
            f"packages: pip-audit did not work (exit code {done.returncode}): {done.stderr.strip()}"
        ) from None


def packages() -> tuple[bool, str]:
    """Whether a Python package of ours has a known hole, and what there is to say."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [line.split(";")[0] for line in project["dependencies"]]
    pins = [re.sub(r"\[[^\]]*\]", "", pin).strip() for pin in lines if "==" in pin]
    found: list[str] = []
    left = pins
    for database in DATABASES:
        holes, unknown = ask(database, left) if left else ([], [])
        found += holes
        left = [pin for pin in left if one_name(pin) in unknown]
    said = [f"packages: {len(pins) - len(left)} of {len(pins)} were looked at, {len(found)} known holes", *found]
    if left:
        said.append(f"packages: no database answers for {', '.join(map(one_name, left))}; nothing is known of them")
    return bool(found), "\n".join(said)


def parts() -> tuple[bool, str]:
    """The same of what the pages are made of."""
    done = subprocess.run(
        ["npm", "audit", "--omit=dev", "--json"],
        cwd=ROOT / "cti" / "web" / "ui", capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    said = json.loads(done.stdout or "{}")
    found = said.get("metadata", {}).get("vulnerabilities")
    if found is None:
        return False, "pages: the advisory database does not answer; nothing is known"
    return found["total"] != 0, f"pages: {json.dumps(found)}"


def main() -> int:
    """Ask both; the exit code."""
    answers = [packages(), parts()]
    for _, said in answers:
        print(said)
    return 1 if any(bad for bad, _ in answers) else 0


if __name__ == "__main__":
    sys.exit(main())
