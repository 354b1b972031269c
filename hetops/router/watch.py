"""Edge: reads the files that a router goes by, and notices when they change. A broken new file leaves the old one in force."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from hetops.domain import codec
from hetops.errors import HetopsError, UsageError
from hetops.files import read_bytes
from hetops.router.auth import Keys, parse_keys
from hetops.router.config import RouterConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a router goes by. No keys: whoever reaches it may use it, which is for this machine alone."""

    config: RouterConfig
    keys: Keys | None


def read_orders(path: Path, host: str) -> Orders:
    """The configuration and its keys, for a router that listens on `host`.

    Raises:
        DocumentError: the configuration is broken.
        UsageError: no keys on a host that others reach.
        HetopsError: a file cannot be read, or the file of keys has none.
    """
    config = codec.decode(
        RouterConfig, read_bytes(path, what="router configuration"), source=f"router configuration {path}"
    )
    if config.api_keys_file:
        return Orders(config=config, keys=_read_keys(Path(config.api_keys_file)))
    if not _loopback(host):
        raise UsageError(
            f"without API keys the router would serve whoever reaches {host}",
            hint="name a file of keys as api_keys_file in the router's configuration, or listen on 127.0.0.1",
        )
    return Orders(config=config, keys=None)


class Watcher:
    """Tells when the files of the orders are others than those last read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[object, ...] = ()

    def changed(self, keys_file: str) -> bool:
        """Whether a file changed since this was asked last, or this was never asked."""
        now = (_mark(self._path), keys_file and _mark(Path(keys_file)))
        if now == self._seen:
            return False
        self._seen = now
        return True


def _mark(path: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read_keys(path: Path) -> Keys:
    content = read_bytes(path, what="file of API keys")
    try:
        keys = parse_keys(content.decode())
    except UnicodeDecodeError as fault:
        raise HetopsError(f"file of API keys {path} is no text") from fault
    if not keys.digests:
        raise HetopsError(
            f"file of API keys {path} has no key", hint="write one key a line; lines with # are comments"
        )
    return keys


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
