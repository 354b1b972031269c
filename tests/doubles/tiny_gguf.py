"""A Llama of two layers with random weights, as a GGUF file of some 6 MB: real llama.cpp, no download, no licence.

Run as a script it writes the file that its argument names.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

_LAYERS, _HIDDEN, _HEADS, _KV_HEADS, _FEED_FORWARD = 2, 256, 4, 2, 512
_HEAD_SIZE = _HIDDEN // _HEADS
_CONTEXT_TOKENS = 32_768
_CONTROLS = ("<unk>", "<s>", "</s>")
_BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
_WORDS = tuple(f"▁{first}{second}" for first in "bdfgklmnprst" for second in "aeiou")
_TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def write(path: Path, seed: int = 0) -> Path:
    """The file, written to `path`: the same for the same seed."""
    writer = gguf.GGUFWriter(str(path), "llama")
    _shape(writer)
    _tokenizer(writer)
    _weights(writer, np.random.default_rng(seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _shape(writer: gguf.GGUFWriter) -> None:
    writer.add_name("tiny random llama")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_block_count(_LAYERS)
    writer.add_context_length(_CONTEXT_TOKENS)
    writer.add_embedding_length(_HIDDEN)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_HEAD_SIZE)
    writer.add_vocab_size(len(_tokens()))


def _tokens() -> tuple[str, ...]:
    return (*_CONTROLS, *_BYTES, *_WORDS)


def _tokenizer(writer: gguf.GGUFWriter) -> None:
    control = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds = control + [gguf.TokenType.BYTE] * len(_BYTES) + [gguf.TokenType.NORMAL] * len(_WORDS)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(_tokens()))
    writer.add_token_scores([-float(i) for i in range(len(kinds))])
    writer.add_token_types([int(kind) for kind in kinds])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(_TEMPLATE)


def _weights(writer: gguf.GGUFWriter, random: np.random.Generator) -> None:
    def matrix(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)

    output = matrix(len(_tokens()), _HIDDEN)
    # Byte and control tokens are never chosen: their text would be no UTF-8, and llama.cpp holds such text back.
    output[: len(_CONTROLS) + len(_BYTES)] = 0.0
    output[len(_CONTROLS) + len(_BYTES) :] *= 4.0
    writer.add_tensor("token_embd.weight", matrix(len(_tokens()), _HIDDEN))
    writer.add_tensor("output_norm.weight", np.ones(_HIDDEN, dtype=np.float32))
    writer.add_tensor("output.weight", output)
    for layer in range(_LAYERS):
        parts = {
            "attn_q": (_HIDDEN, _HIDDEN),
            "attn_k": (_KV_HEADS * _HEAD_SIZE, _HIDDEN),
            "attn_v": (_KV_HEADS * _HEAD_SIZE, _HIDDEN),
            "attn_output": (_HIDDEN, _HIDDEN),
            "ffn_gate": (_FEED_FORWARD, _HIDDEN),
            "ffn_up": (_FEED_FORWARD, _HIDDEN),
            "ffn_down": (_HIDDEN, _FEED_FORWARD),
        }
        for name, shape in parts.items():
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix(*shape))
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(_HIDDEN, dtype=np.float32))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
