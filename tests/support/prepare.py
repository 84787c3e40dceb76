"""What all real tests need, made once before them: Asterisk, fetched or found, the spoken prompts, and a database with the schema.

    python -m tests.support.prepare

Without it the first tests that need a centre do the same, all at once and each waiting for the others.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cti.asterisk.install import ensure_asterisk
from cti.errors import CtiError
from cti.places import Places
from cti.prompts import build_prompts
from cti.settings import load_settings
from tests.support.centre import PROMPTS
from tests.support.clusters import cluster_made


def main() -> int:
    """Make all; what goes wrong is said, and the tests that need it will say so, too."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as data, ThreadPoolExecutor() as together:
        settings = load_settings(environ=dict(os.environ), overrides={"data": data, "prompts": str(PROMPTS)})
        manifest = Places(settings).prompt_manifest
        for made in (
            together.submit(ensure_asterisk, settings, _quiet),
            together.submit(build_prompts, manifest, PROMPTS, _quiet, kept=Path(data) / "versions"),
            together.submit(cluster_made),
        ):
            try:
                made.result()
            except CtiError as error:
                print(f"not ready for the real tests: {error}", file=sys.stderr)
    print(f"Asterisk, prompts and a database are there ({time.monotonic() - began:.0f} s)")
    return 0


def _quiet(_step: str, _done: int, _total: int) -> None:
    """Progress is not shown."""


if __name__ == "__main__":
    sys.exit(main())
