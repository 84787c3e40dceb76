"""Ask the advisory databases about every package and every part of the pages (`make advisories`; CI asks, too).

A known hole ends with code 1. A database that cannot be reached is said and is no failure: it says nothing about us.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNREACHED = ("ConnectionError", "Max retries", "ConnectTimeout", "ReadTimeout", "Name or service not known")


def packages() -> tuple[bool, str]:
    """Whether a Python package of ours has a known hole, and what was said."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = [line.split(";")[0] for line in project["dependencies"]]
    asked = "\n".join(re.sub(r"\[[^\]]*\]", "", pin) for pin in pins if "==" in pin)
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner=off", "-r", "/dev/stdin"],
        input=asked, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    if any(word in done.stderr for word in UNREACHED):
        return False, "packages: the advisory database does not answer; nothing is known"
    return done.returncode != 0, f"packages: {(done.stdout + done.stderr).strip()}"


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
