"""The resource `hetops:index:File`: a file on this host that a running program watches. Written whole, changed in place.

Its content lies in Pulumi's state as plain text: no secret may stand in it. `notice_seconds` is how long its readers
take to notice a change: an update lasts so long, so that whatever Pulumi does next meets readers of the new content.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from hetops.errors import HetopsError
from hetops.files import write_whole
from hetops.node_provider.resource import Difference, Existing, Properties, holds_unknown

TYPE = "hetops:index:File"
_NOTICE = "notice_seconds"


class FileResource:
    """Files named by their absolute path."""

    def check(self, inputs: Properties) -> tuple[tuple[str, str], ...]:
        """A path that is not absolute would mean another file to every process."""
        if holds_unknown(inputs.get("path")):
            return ()
        wrong = [(k, "must be text") for k in ("path", "content") if not isinstance(inputs.get(k), str)]
        if not wrong and not Path(inputs["path"]).is_absolute():
            wrong = [("path", f"{inputs['path']} is not absolute")]
        if not _is_duration(inputs.get(_NOTICE, 0)):
            wrong.append((_NOTICE, "must be a number from 0 to 60"))
        return tuple(wrong)

    def diff(self, outputs: Properties, inputs: Properties) -> Difference:
        """New content is written in place; a new path is a new file."""
        changed = tuple(k for k in ("path", "content", _NOTICE) if outputs.get(k) != inputs.get(k))
        return Difference(changed=changed, replaced_by=tuple(k for k in changed if k == "path"))

    def foresee(self, inputs: Properties, outputs: Properties) -> Properties:
        """All of it is known beforehand."""
        del outputs
        return dict(inputs)

    async def create(self, inputs: Properties) -> Existing:
        """Writes the file."""
        await asyncio.to_thread(_write, Path(inputs["path"]), inputs["content"])
        return Existing(id=inputs["path"], outputs=dict(inputs))

    async def read(self, resource_id: str, outputs: Properties) -> Existing | None:
        """What stands in the file now."""
        try:
            content = await asyncio.to_thread(Path(resource_id).read_text, encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise HetopsError(f"{resource_id} cannot be read: {fault.strerror or fault}") from fault
        return Existing(id=resource_id, outputs={**outputs, "path": resource_id, "content": content})

    async def update(self, resource_id: str, outputs: Properties, inputs: Properties) -> Properties:
        """Writes the file anew; readers see the old content or the new, never a mix."""
        if outputs.get("content") != inputs["content"]:
            await asyncio.to_thread(_write, Path(resource_id), inputs["content"])
            await asyncio.sleep(inputs.get(_NOTICE, 0))
        return dict(inputs)

    async def delete(self, resource_id: str, outputs: Properties) -> None:
        """Removes the file."""
        del outputs
        try:
            Path(resource_id).unlink(missing_ok=True)
        except OSError as fault:
            raise HetopsError(f"{resource_id} cannot be removed: {fault.strerror or fault}") from fault


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 60


def _write(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise HetopsError(f"{path.parent} cannot be made: {fault.strerror or fault}") from fault
    write_whole(path, content.encode(), mode=0o600)
