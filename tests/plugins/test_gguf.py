"""What the header of a GGUF file says, and every way in which a file is none."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hetops_local import gguf

from hetops.errors import HetopsError
from tests.doubles import tiny_gguf


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that llama.cpp loads."""
    return tiny_gguf.write(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def test_the_header_gives_the_models_shape(whole: Path) -> None:
    header = gguf.read(whole)
    model = header.model("mine")
    assert (model.name, model.layers, model.hidden, model.heads, model.kv_heads) == ("mine", 2, 256, 4, 2)
    assert (model.head_size, model.context_tokens) == (64, 32_768)
    assert model.vocabulary == 3 + 256 + 60
    # Two bytes for each of keys and values, of each layer and KV head.
    assert model.kv_bytes_per_token_16bit == 2 * 2 * 2 * 2 * 64
    assert header.precision == "fp32"
    assert header.values["general.name"] == "tiny random llama"


def test_parameters_are_counted_not_guessed(whole: Path) -> None:
    vocabulary, hidden, layers = 319, 256, 2
    each = hidden * hidden * 2 + 2 * 128 * hidden + 3 * 512 * hidden + 2 * hidden
    found = gguf.read(whole)
    assert found.parameters == 2 * vocabulary * hidden + hidden + layers * each
    assert not found.model("mine").tied_embeddings


def test_a_file_without_an_output_head_uses_its_embeddings_for_one(whole: Path, tmp_path: Path) -> None:
    content = whole.read_bytes()
    head = text(b"output.weight")
    assert content.count(head) == 1
    without = tmp_path / "tied.gguf"
    without.write_bytes(content.replace(head, text(b"outlet.weight")))
    assert gguf.read(without).model("mine").tied_embeddings


def test_a_file_that_is_cut_anywhere_in_its_header_is_no_whole_file(whole: Path, tmp_path: Path) -> None:
    content = whole.read_bytes()
    header_bytes = content.index(b"blk.1.ffn_norm.weight")
    for size in (1, 3, 4, 8, 20, 24, 60, header_bytes // 2, header_bytes):
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(content[:size])
        with pytest.raises(HetopsError, match=r"cut\.gguf is no whole GGUF file"):
            gguf.read(cut)


def header(*pairs: bytes, magic: bytes = b"GGUF", version: int = 3, tensors: int = 0) -> bytes:
    return magic + struct.pack("<IQQ", version, tensors, len(pairs)) + b"".join(pairs)


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def number(key: bytes, value: int) -> bytes:
    return text(key) + struct.pack("<II", 4, value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello, this is a text file of some length",
        header(magic=b"GGML"),
        header(version=1),
        header(version=4),
        header(text(b"key") + struct.pack("<I", 99)),
        header(text(b"key") + struct.pack("<IIQ", 9, 99, 1)),
        header(text(b"\xff\xfe") + struct.pack("<II", 4, 1)),
        header(struct.pack("<Q", 1 << 62) + b"key"),
        header(text(b"key") + struct.pack("<IIQ", 9, 4, 1 << 61)),
        header(text(b"key") + struct.pack("<IIQ", 9, 8, 1 << 40)),
        header(tensors=1 << 40),
        struct.pack(">4sIQQ", b"GGUF", 3, 0, 0),
    ],
    ids=[
        *("empty", "text", "GGML", "version 1", "version 4", "unknown type", "unknown array", "no UTF-8"),
        *("endless string", "endless array", "endless strings", "endless tensors", "big-endian"),
    ],
)  # fmt: skip
def test_what_is_no_gguf_is_said_to_be_none_and_at_once(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(HetopsError, match="is no whole GGUF file"):
        gguf.read(path)


def test_a_missing_file_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(HetopsError, match=r"nowhere cannot be read: No such file"):
        gguf.read(tmp_path / "nowhere")
    with pytest.raises(HetopsError, match="cannot be read: Is a directory"):
        gguf.read(tmp_path)


def test_a_precision_that_is_not_planned_with_names_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(header(number(b"general.file_type", 10)))
    with pytest.raises(HetopsError, match="file type 10") as caught:
        _ = gguf.read(path).precision
    assert "q4_k_m" in caught.value.hint


@pytest.mark.parametrize("missing", ["general.architecture", "block_count", "attention.head_count"])
def test_a_header_that_lacks_a_part_of_the_shape_names_it(missing: str, tmp_path: Path) -> None:
    figures = {
        "block_count": 2,
        "embedding_length": 256,
        "attention.head_count": 4,
        "context_length": 2048,
    }
    pairs = [number(f"llama.{k}".encode(), v) for k, v in figures.items() if k != missing]
    if missing != "general.architecture":
        pairs.append(text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama"))
    path = tmp_path / "file"
    path.write_bytes(header(*pairs))
    with pytest.raises(HetopsError, match=f"does not give the model's shape.*{missing}"):
        gguf.read(path).model("mine")
