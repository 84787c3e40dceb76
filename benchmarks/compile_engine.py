"""The routing engine compiled to C by mypyc, beside the one that Python interprets: the same source, twice as fast.

    python -m benchmarks.compile_engine                      # into .build/compiled; needs a C compiler
    cd .build/compiled && python -m benchmarks.acd_match     # the same for: pytest tests/unit/acd tests/property/acd
    PYTHONPATH=.build/compiled cti serve                     # the product over it

It is made in a copy, so that what runs is never older than the source beside it without anybody noticing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / ".build" / "compiled"
LEFT = {"__init__", "estimates", "gates"}
"""Modules of cti/acd that stay as they are: nothing of theirs is asked at every decision."""


def build(modules: list[str]) -> None:
    """In the copy: compile. Raises `SystemExit` where no C compiler is."""
    from mypyc.build import mypycify
    from setuptools import setup

    extensions = mypycify(["--follow-imports=silent", "--ignore-missing-imports", *modules], opt_level="3")
    setup(name="cti-engine", ext_modules=extensions, script_args=["--quiet", "build_ext", "--inplace"])


def main() -> None:
    """Copy the package and compile its engine."""
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        raise SystemExit("no C compiler: install one (Debian: apt-get install gcc libc6-dev python3-dev) and try again")
    shutil.rmtree(OUT, ignore_errors=True)
    for folder in ("cti", "benchmarks", "tests"):
        skipped = shutil.ignore_patterns("node_modules", "__pycache__", "*.so")
        shutil.copytree(ROOT / folder, OUT / folder, ignore=skipped)
    modules = sorted(f"cti/acd/{file.name}" for file in (OUT / "cti" / "acd").glob("*.py") if file.stem not in LEFT)
    program = f"from benchmarks.compile_engine import build; build({modules!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], cwd=OUT, env=environment, check=True)
    shutil.copy(ROOT / "pyproject.toml", OUT)  # only now: it would have a say in what is built
    print(f"{len(modules)} modules compiled; put {OUT} first in PYTHONPATH")


if __name__ == "__main__":
    main()
