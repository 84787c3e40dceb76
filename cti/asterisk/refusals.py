"""Who was refused at the SIP port, read from Asterisk's file of notices (`notices.log`).

Why a file, not the manager interface: its class `security` shows what strangers send before they are known, unescaped, and
text in an account's name can forge whole events there. In the file only what Asterisk itself wrote is believed:

- Of a `ChallengeSent` and a `SuccessfulAuth` the address stands at the end of the line, with nothing of the sender's behind
  it; the account is the endpoint's own name. What a sender can put in front is at most 36 letters of a made-up account
  (in another event) and a Call-ID without line breaks: too little for a whole line of another kind.
- Of a `ChallengeResponseFailed` the sender's nonce and response stand behind the address. Where "RemoteAddress" comes
  twice in it, it is counted and nobody is blamed.

A challenge is no offence by itself: every phone is challenged before it is let in. So who is let in is counted too, and taken off.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

LOOK_BYTES = 1 << 19
"""As much is read at one look; of more, the rest is passed over: some 1,500 requests a second are told of, no more."""
KEEP_BYTES = 16 << 20
"""A file of notices that is longer becomes `<name>.1` and begins anew: a flood does not fill the disk."""

_LINE = re.compile(
    r"\[[^\]]+\] (?:"
    r'SECURITY\[\d+\] res_security_log\.c: SecurityEvent="(\w+)",EventTV="[^"]*",Severity="\w+",Service="PJSIP",'
    r'EventVersion="1",AccountID="([^"]*)"(.*)'
    r"|NOTICE\[\d+\] pjproject: (.*))"
)
_ADDRESS = r'RemoteAddress="IPV[46]/(\w+)/([0-9A-Fa-f.:]+)/\d+"'
_CHALLENGED = re.compile(rf',{_ADDRESS},Challenge="[^"]*"$')
_ACCEPTED = re.compile(rf',{_ADDRESS},UsingPassword="[01]"$')
_WRONG = re.compile(rf',{_ADDRESS},Challenge="')
_DIRECT = frozenset({"UDP", "TCP", "TLS"})


class Knock(StrEnum):
    """What became of a request that had to prove who it is."""

    CHALLENGED = "challenged"
    WRONG = "wrong"
    """A wrong answer to a challenge: a wrong password, or an account that there is not."""
    ACCEPTED = "accepted"
    MALFORMED = "malformed"
    """No SIP at all, or not readable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One line."""

    knock: Knock
    address: str = ""
    """Empty where it is not sure."""
    direct: bool = False
    """Whether it came over UDP, TCP or TLS. Browsers' telephones come over a WebSocket, perhaps by a proxy that all of them
    share."""
    account: str = ""
    """Whose account it was, of those let in."""


def read_line(line: str) -> Heard | None:
    """What a line of the file tells; None: nothing of this kind. Never raises."""
    found = _LINE.match(line)
    if found is None:
        return None
    event, account, rest, library = found.groups()
    if library is not None:
        malformed = "Dropping " in library or "Error processing packet" in library
        return Heard(knock=Knock.MALFORMED) if malformed else None
    if event == "ChallengeSent":
        return _heard(Knock.CHALLENGED, _CHALLENGED.search(rest))
    if event == "SuccessfulAuth":
        return _heard(Knock.ACCEPTED, _ACCEPTED.search(rest), account)
    if event == "ChallengeResponseFailed":
        return _heard(Knock.WRONG, _WRONG.search(rest) if rest.count("RemoteAddress") == 1 else None)
    return None


def _heard(knock: Knock, found: re.Match[str] | None, account: str = "") -> Heard:
    if found is not None:
        with contextlib.suppress(ValueError):
            address = str(ipaddress.ip_address(found[2]))
            return Heard(knock=knock, address=address, direct=found[1] in _DIRECT, account=account)
    return Heard(knock=knock)


class NoticeFile:
    """Reads what is new in the file, and keeps it short. Not for two threads at once."""

    def __init__(self, path: Path, *, look_bytes: int = LOOK_BYTES, keep_bytes: int = KEEP_BYTES) -> None:
        """The first look tells the end of what is in the file already."""
        self.path = path
        self._look, self._keep = look_bytes, keep_bytes
        self._position = 0
        self.passed_over = 0
        """Bytes that were not read, because there were too many."""

    def there(self) -> bool:
        """Whether there is such a file: an Asterisk with a configuration of its own may have none."""
        return self.path.is_file()

    def take(self) -> list[Heard]:
        """What the lines tell that came since the last look. Raises `OSError`."""
        size = self._size()
        if size < self._position:  # begun anew
            self._position = 0
        if size - self._position > self._look:
            self.passed_over += size - self._look - self._position
            self._position = size - self._look
        if size == self._position:
            return []
        with self.path.open("rb") as file:
            file.seek(self._position)
            data = file.read(size - self._position)
        whole = data.rfind(b"\n") + 1
        self._position += whole
        lines = data[:whole].decode("utf-8", "replace").split("\n")
        return [heard for line in lines if (heard := read_line(line)) is not None]

    def let_in_before(self) -> list[Heard]:
        """Who was let in, of all that the file and the one before it tell. Megabytes: call it in a thread. Raises `OSError`."""
        found: list[Heard] = []
        for path in (self.path.with_name(self.path.name + ".1"), self.path):
            if not path.is_file():
                continue
            with path.open("rb") as file:
                for line in file:
                    if b'"SuccessfulAuth"' not in line:
                        continue
                    heard = read_line(line.decode("utf-8", "replace").rstrip("\n"))
                    if heard is not None and heard.knock is Knock.ACCEPTED:
                        found.append(heard)
        return found

    def keep_short(self) -> bool:
        """Begin the file anew where it is too long; the former part is kept beside it, once. Raises `OSError`.

        It is emptied, not renamed: Asterisk has it open, and writes at its end wherever that is.
        """
        if self._size() <= self._keep:
            return False
        shutil.copyfile(self.path, former := self.path.with_name(self.path.name + ".1"))
        former.chmod(0o600)
        os.truncate(self.path, 0)
        self._position = 0
        return True

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0
