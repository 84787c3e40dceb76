"""What a socket tells beside what is read from it."""

from __future__ import annotations

import socket
import struct

HELLO_BYTES = 16 * 1024
"""Most that one record of TLS may hold."""
_TOLD = struct.Struct("=24xI92xQ16xI")
"""Where Linux tells in `TCP_INFO`: pieces sent and not taken; bytes taken; bytes not sent yet."""


def sent(sock: socket.socket) -> tuple[bool, int]:
    """Whether anything that was handed to the kernel waits for the other side's machine to take it, and the bytes that it has taken
    so far. Where the kernel does not tell: nothing, and none."""
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TOLD.size)
    except OSError:
        return False, 0
    if len(told) < _TOLD.size:
        return False, 0
    on_the_way, taken, not_sent = _TOLD.unpack(told)
    return bool(on_the_way or not_sent), int(taken)


def whole_hello(first: bytes) -> bool:
    """Whether the first record of a TLS handshake is all there; also when it never can be."""
    if len(first) < 5:
        return False
    size = int.from_bytes(first[3:5])
    return len(first) >= 5 + size or size > HELLO_BYTES
