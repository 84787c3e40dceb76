"""The demo centre's file with what a test wants otherwise."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML

from tests.support.centre import REPOSITORY


def demo_tree() -> Any:
    """Its whole tree, to be changed as a test wants it."""
    return YAML().load((REPOSITORY / "cti" / "demo" / "centre.yaml").read_text(encoding="utf-8"))


def text_of(tree: Any) -> str:
    """The file that such a tree is."""
    out = io.StringIO()
    YAML().dump(tree, out)
    return out.getvalue()


def demo_centre(queues: dict[str, Any], change: Callable[[Any], object] | None = None) -> str:
    """Its text, with these keys in every queue, and `change` done to the whole tree."""
    tree = demo_tree()
    for queue in tree["queues"].values():
        queue |= queues
    if change is not None:
        change(tree)
    return text_of(tree)
