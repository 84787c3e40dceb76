"""The demo centre's file with what a test wants otherwise."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML

from tests.support.centre import REPOSITORY


def demo_centre(queues: dict[str, Any], change: Callable[[Any], object] | None = None) -> str:
    """Its text, with these keys in every queue, and `change` done to the whole tree."""
    yaml = YAML()
    tree = yaml.load((REPOSITORY / "cti" / "demo" / "centre.yaml").read_text(encoding="utf-8"))
    for queue in tree["queues"].values():
        queue |= queues
    if change is not None:
        change(tree)
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue()
