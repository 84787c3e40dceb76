"""What anyone may know."""

from __future__ import annotations

from cti.web.operations import Answer


class DialledNumber(Answer):
    """A number of the centre."""

    did: str
    title: str


class CentreInfo(Answer):
    """The centre as its customers know it."""

    name: str
    languages: tuple[str, ...]
    numbers: list[DialledNumber]


class WebCall(Answer):
    """A line for a call from the browser (JsSIP): register, then dial one of the numbers."""

    ws_url: str
    uri: str
    username: str
    password: str
    dial: list[DialledNumber]
