"""Codes by which somebody at a telephone says which prompt they record: short, for a short time, not to be guessed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cti.errors import CtiError

DIGITS = 6
LASTS = timedelta(minutes=10)
MOST_OUT = 20
"""Codes that count at the same time; so a guess is right once in 50,000."""
WRONG_OF_ONE, WRONG_OF_ALL = 6, 30
"""Wrong codes within `LASTS`, from one telephone and from all; after that none is looked at until the first is so long ago."""


class TooManyCodes(CtiError):
    """So many codes are out that a guess could be one of them."""

    error_id = "too_many_codes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a code allows: recording this prompt."""

    code: str
    language: str
    name: str
    by: str
    """Who asked for the code."""
    until: datetime


class RecordingCodes:
    """The codes that are out. `draw(n)` gives a number below n that nobody can foresee; time is an argument."""

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw
        self._grants: dict[str, Grant] = {}
        self._spent: dict[str, datetime] = {}
        self._wrong: deque[tuple[datetime, str]] = deque()

    def give(self, language: str, name: str, *, by: str, now: datetime) -> Grant:
        """A new code. It takes the place of an earlier one of the same person for the same prompt. Raises `TooManyCodes`."""
        self._forget(now)
        self._grants = {
            code: grant
            for code, grant in self._grants.items()
            if (grant.language, grant.name, grant.by) != (language, name, by)
        }
        if len(self._grants) >= MOST_OUT:
            raise TooManyCodes("too many codes are out", remedy="use one of them, or wait until the first runs out")
        code = self._fresh()
        grant = Grant(code=code, language=language, name=name, by=by, until=now + LASTS)
        self._grants[code] = grant
        return grant

    def look(self, code: str, *, who: str, now: datetime) -> Grant | None:
        """What the code allows; None where it counts no more or never did, or too many were wrong. `who` is the telephone."""
        self._forget(now)
        if len(self._wrong) >= WRONG_OF_ALL or sum(one == who for _, one in self._wrong) >= WRONG_OF_ONE:
            return None
        grant = self._grants.get(code)
        if grant is None:
            self._wrong.append((now, who))
        return grant

    def is_fresh(self, grant: Grant) -> bool:
        """Whether nothing was kept by this code yet. It may have run out since it was keyed in: recording takes its time."""
        return grant.code not in self._spent

    def spend(self, grant: Grant) -> None:
        """The code is used up."""
        self._spent[grant.code] = grant.until
        self._grants.pop(grant.code, None)

    def _fresh(self) -> str:
        while True:
            code = f"{self._draw(10**DIGITS):0{DIGITS}d}"
            if code not in self._grants and code not in self._spent:
                return code

    def _forget(self, now: datetime) -> None:
        # Longer than any call takes that began with such a code.
        self._spent = {code: until for code, until in self._spent.items() if now < until + 6 * LASTS}
        self._grants = {code: grant for code, grant in self._grants.items() if now < grant.until}
        while self._wrong and self._wrong[0][0] <= now - LASTS:
            self._wrong.popleft()
