"""Edge: reads the files that a router goes by, and notices when they change. A broken new file leaves the old one in force."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    service_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Keys of services, by the environment variables that hold them."""
    warnings: tuple[str, ...] = ()


def read_orders(path: Path, host: str, environment: Mapping[str, str]) -> Orders:
    """The configuration and its keys, for a router that listens on `host`. A service whose key is not in the
    environment gets no requests.

    Raises:
        DocumentError: the configuration is broken.
        UsageError: no keys on a host that others reach.
        HetopsError: a file cannot be read, or the file of keys has none.
    """
    config = codec.decode(
        RouterConfig, read_bytes(path, what="router configuration"), source=f"router configuration {path}"
    )
    if config.api_keys_file:
        return _with_services(Orders(config=config, keys=_read_keys(Path(config.api_keys_file))), environment)
    if not _loopback(host):
        raise UsageError(
            f"without API keys the router would serve whoever reaches {host}",
            hint="name a file of keys as api_keys_file in the router's configuration, or listen on 127.0.0.1",
        )
    return _with_services(Orders(config=config, keys=None), environment)


def _with_services(orders: Orders, environment: Mapping[str, str]) -> Orders:
    """The orders with the keys of services; those whose key is missing drain."""
    wanted = {p.name: p.service.api_key_variable for p in orders.config.pools if p.service}
    keys = {v: environment.get(v, "").strip() for v in wanted.values() if v}
    lacking = {name: v for name, v in wanted.items() if v and not _sendable(keys[v])}
    pools = (
        replace(pool, draining=pool.endpoints) if pool.name in lacking else pool
        for pool in orders.config.pools
    )
    return replace(
        orders,
        config=replace(orders.config, pools=tuple(pools)),
        service_keys=keys,
        warnings=tuple(
            f"{name} gets no requests: the environment variable {v} holds no key that can be sent"
            for name, v in lacking.items()
        ),
    )


def _sendable(key: str) -> bool:
    """Whether a key can stand in a header."""
    return key.isascii() and key.isprintable() and bool(key) and " " not in key


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
        raise HetopsError(f"file of API keys {path} is no text", hint="write one key a line") from fault
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
