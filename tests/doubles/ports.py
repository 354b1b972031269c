"""Ports for servers that are told theirs in advance."""

from __future__ import annotations

import random
import socket

_RANGE = range(20_000, 32_000)
"""Below what systems give to whoever asks for any port (Linux from 32768, RFC 6335 from 49152): nobody gets one of these
by chance between the choice and its use."""
_SHUFFLED = random.Random()


def free_port() -> int:
    """A port on the loopback that nobody listens on, and that no server is given who asks for any."""
    while True:
        port = _SHUFFLED.choice(_RANGE)
        with socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                held.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
