"""A centre as the text of a centre.yaml, for where there is no text it came from (or one without its comments is wanted)."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from cti.model.centre import Centre
from cti.model.centre_tables import whole_table

_SIGNS = frozenset("#,[]{}&*!|>'\"%@`?\\")
"""Signs with a meaning of their own somewhere in YAML."""
_BLOCKS = 2
"""Levels written one key a line; below, a table is written in braces."""


def text_of_centre(centre: Centre) -> str:
    """A file that reads back as the same centre. Keys that are as they are by default are left out.

    Groups are resolved (what they gave is the agents' own), and holidays are days.
    """
    writer = YAML(typ="rt")
    writer.default_flow_style = None
    writer.width = 120
    writer.allow_unicode = True
    writer.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    writer.dump(_shaped(whole_table(centre), 0), out)
    return out.getvalue()


def _shaped(value: Any, level: int) -> Any:
    if isinstance(value, dict):
        shaped = CommentedMap()
        for key, item in value.items():
            # Extensions and numbers would read as numbers without quotes.
            quoted = isinstance(key, str) and (key[:1] == "+" or key.isdigit() or key in ("*", "#"))
            shaped[DoubleQuotedScalarString(key) if quoted else key] = _shaped(item, level + 1)
        if level > _BLOCKS or not shaped:
            shaped.fa.set_flow_style()
        else:
            shaped.fa.set_block_style()
        return shaped
    if isinstance(value, list):
        return [_shaped(item, _BLOCKS + 1) for item in value]
    if isinstance(value, str) and value and not _plain(value):
        return DoubleQuotedScalarString(value)
    return value


def _plain(text: str) -> bool:
    """Whether the library may choose how to write it. It quotes too little: `?a` within braces, a next-line character."""
    return text[0].isalnum() and text.isprintable() and text == text.strip() and not _SIGNS & set(text)
