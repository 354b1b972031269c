"""Edge: what the header of a GGUF file says of its model. Reads no weights.

Format: GGUF versions 2 and 3, docs/gguf.md of ggml. Little-endian files only, as llama.cpp itself makes.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetops.plugin import HetopsError, Model, Precision

_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Number types of the format, as `struct` names them."""
_STRING, _ARRAY = 8, 9
_ANOTHER = "fetch the file anew, or name another: gguf under [engine.settings.llamacpp]"
_PRECISIONS = {
    0: Precision.FP32,
    1: Precision.FP16,
    7: Precision.GGUF_Q8_0,
    15: Precision.GGUF_Q4_K_M,
    32: Precision.BF16,
}
"""`general.file_type`, as llama.cpp's `llama_ftype`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The metadata of a file. Of arrays only their length is kept, but for short ones of numbers."""

    path: Path
    values: Mapping[str, Any]
    parameters: int
    has_head: bool
    """Whether there is an output head apart from the embeddings."""

    @property
    def precision(self) -> Precision:
        """How the weights are stored.

        Raises:
            HetopsError: a format that is not planned with.
        """
        kind = self.values.get("general.file_type")
        if kind not in _PRECISIONS:
            raise HetopsError(
                f"{self.path}: its weights are stored in a format that hetops does not know (file type {kind})",
                hint=f"use a file in {', '.join(_PRECISIONS.values())}",
            )
        return _PRECISIONS[kind]

    def model(self, name: str) -> Model:
        """The model's shape under a name of the user's.

        Raises:
            HetopsError: the header lacks a part of the shape.
        """
        try:
            return self._model(name)
        except (KeyError, ValueError, ZeroDivisionError) as fault:
            raise HetopsError(
                f"{self.path}: the header does not give the model's shape: {fault}", hint=_ANOTHER
            ) from fault

    def _model(self, name: str) -> Model:
        layers, hidden = self._of("block_count"), self._of("embedding_length")
        heads = self._of("attention.head_count")
        kv_heads = self._of("attention.head_count_kv", heads)
        head_size = self._of("attention.key_length", hidden // heads)
        experts = self._of("expert_count", 0)
        active = self._of("expert_used_count", 0)
        return Model(
            name=name,
            hub_id="",
            parameters_b=self.parameters / 1e9,
            active_parameters_b=self.parameters / 1e9,
            layers=layers,
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            head_size=head_size,
            vocabulary=int(self.values.get("tokenizer.ggml.tokens", 0)),
            kv_bytes_per_token_16bit=2.0
            * layers
            * kv_heads
            * (head_size + self._of("attention.value_length", head_size)),
            context_tokens=self._of("context_length"),
            experts=experts,
            active_experts=active,
            tied_embeddings=not self.has_head,
            licence=str(self.values.get("general.license", "")),
            source=f"header of {self.path.name}",
        )

    def _of(self, key: str, default: int | None = None) -> int:
        """A figure of the architecture; where layers differ, the largest."""
        value = self.values.get(f"{self.values['general.architecture']}.{key}", default)
        if value is None:
            raise KeyError(key)
        return int(max(value) if isinstance(value, tuple) else value)


def read(path: Path) -> Header:
    """The header of a file.

    Raises:
        HetopsError: missing, unreadable, cut off, or no GGUF.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Reader(content).header(path)
    except OSError as fault:
        raise HetopsError(
            f"{path} cannot be read: {fault.strerror or fault}",
            hint="name a file that is there and may be read",
        ) from fault
    except struct.error as fault:
        raise HetopsError(
            f"{path} is no whole GGUF file: it ends before its header does", hint=_ANOTHER
        ) from fault
    except (ValueError, UnicodeDecodeError) as fault:
        raise HetopsError(f"{path} is no whole GGUF file: {fault}", hint=_ANOTHER) from fault


class _Reader:
    """A place in the file that moves on with each value read."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = 0

    def header(self, path: Path) -> Header:
        magic, version, tensors, pairs = self._unpack("4sIQQ")
        if magic != b"GGUF" or version not in (2, 3):
            raise ValueError(f"it begins with {magic!r} and version {version}")
        values = {self._string(): self._value(self._number(4)) for _ in range(pairs)}
        sizes = dict(self._tensor() for _ in range(tensors))
        return Header(
            path=path, values=values, parameters=sum(sizes.values()), has_head="output.weight" in sizes
        )

    def _tensor(self) -> tuple[str, int]:
        """A tensor's name, and how many values it has; its type and offset are passed over."""
        name = self._string()
        dimensions = self._unpack(f"{self._number(4)}Q")
        self._unpack("IQ")
        return name, math.prod(dimensions)

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._array()
        return self._number(kind)

    def _array(self) -> Any:
        kind, length = self._unpack("IQ")
        if kind == _STRING:
            for _ in range(length):
                self._skip_string()
            return length
        if kind not in _FORMATS:
            raise ValueError(f"an array of type {kind}")
        values = self._unpack(f"{length}{_FORMATS[kind]}")
        return values if length <= 1024 else length

    def _number(self, kind: int) -> Any:
        if kind not in _FORMATS:
            raise ValueError(f"a value of type {kind}")
        return self._unpack(_FORMATS[kind])[0]

    def _string(self) -> str:
        (length,) = self._unpack("Q")
        return bytes(self._unpack(f"{length}s")[0]).decode("utf-8")

    def _skip_string(self) -> None:
        (length,) = self._unpack("Q")
        self._at += length

    def _unpack(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from("<" + form, self._content, self._at)
        self._at += struct.calcsize("<" + form)
        return found
