"""Which precision a publisher means. Pure: the first word that tells bits; a method such as AWQ where none does."""

from __future__ import annotations

import re
from itertools import pairwise

from hetops.domain.model import Precision
from hetops.performance.meant import NOT_TOLD, Meant, plain

_WEIGHTS = re.compile(r"w(\d+)a(?:fp|int)?(\d+)")
"""`w4a16`: four bits for weights, sixteen for what they are multiplied with."""
_WIDE = re.compile(r"a(?:b?f)?(?:p|loat)?16$")
"""`nvfp4a16`: what FP4 is multiplied with has 16 bits, so it is no other work than four bits of any kind."""
_GGUF = re.compile(r"i?q(\d)")
_BITS = (
    (re.compile(r"(?:mx|nv)?f(?:p|loat)?4\w*|e2m1"), Precision.FP4),
    (re.compile(r"(?:mx)?f(?:p|loat)?[68]\w*|e4m3\w*|e5m2\w*"), Precision.FP8),
    (re.compile(r"bf(?:p|loat)?16|16bits?"), Precision.BF16),
    (re.compile(r"f(?:p|loat)?16|half"), Precision.FP16),
    (re.compile(r"t?f(?:p|loat)?32|full|32bits?"), Precision.FP32),
    (re.compile(r"u?i(?:nt)?8|8bits?"), Precision.INT8),
    (re.compile(r"w4|u?i(?:nt)?[2-5]|[2-5](?:bits?|bpw)|nf4"), Precision.INT4),
)
_KV = re.compile(r"kv[-_ ]?(?:cache)?[-_ ]?((?:b?f|int)?p?\d+)|(?<![a-z])((?:f|int)p?\d+)[-_ ]kv$")
_ODD_BITS = re.compile(r"(?:mx)?f(?:p|loat)?6\w*|(?:u?i(?:nt)?)?[235](?:bits?)?")
"""Of these the nearest counts."""
_METHODS = ("awq", "gptq", "marlin", "bnb", "bitsandbytes", "hqq", "exl2", "exl3")
"""They store four bits unless they say otherwise."""
_ALONE = frozenset({*_METHODS, "w8a16", "weight", "weightonly", "wo"}) - {"marlin"}
"""Words beside eight bits that say that weights alone have them."""


def known_precision(text: str) -> Meant[Precision]:
    """The precision that a publisher means by a word such as `fp8_e4m3`, `w4afp8` or `gguf-q4_k_m`; 16 bit where none is told.

    Of `bf16/fp8` the first counts: weights are named before what they are multiplied with.

    Raises:
        ValueError: no such precision.
    """
    word = plain(text).lower()
    if word in NOT_TOLD:
        return Meant(thing=Precision.BF16)
    found = told_of(re.split(r"[^a-z0-9]+", word))
    if found is None:
        raise ValueError(
            f"unknown precision {text!r}; known: {', '.join(Precision)}, and w4a16, nvfp4, awq, ..."
        )
    return found


def told_of(words: list[str]) -> Meant[Precision] | None:
    """The precision that some words tell, in lower case; None where they tell none."""
    pairs = (one + other for one, other in pairwise(words) if other.startswith("bit"))
    floating = any("fp8" in word for word in words)
    for word in (*words, *pairs):
        if found := _of_word(word, floating=floating):
            if found.thing is Precision.FP4 and any(_WIDE.search(word) for word in words):
                return Meant(thing=Precision.INT4)
            alone = found.thing is Precision.INT8 and not _ALONE.isdisjoint(words)
            return Meant(thing=Precision.INT8_WEIGHTS) if alone else found
    if any(word in _METHODS for word in words):
        return Meant(thing=Precision.INT4)
    unsaid = Precision.GGUF_Q4_K_M
    return Meant(thing=unsaid, assumed=f"precision gguf taken for {unsaid}") if "gguf" in words else None


def kv_told_of(text: str) -> Precision | None:
    """The precision of the KV cache where a word for that of the weights tells it too (`bf16-kvfp8`, `FP8-KV`)."""
    found = _KV.search(plain(text).lower())
    word = next(filter(None, found.groups()), "") if found else ""
    told = _of_word(f"int{word}" if word.isdigit() else word, floating=False)
    return told.thing if told else None


def _of_word(word: str, *, floating: bool) -> Meant[Precision] | None:
    """What one word tells; the nearest where a format has no figures of its own."""
    if weights := _WEIGHTS.search(word):
        of_weights = _of_bits(*map(int, weights.groups()), floating=floating)
        return Meant(thing=of_weights) if of_weights else None
    if gguf := _GGUF.match(word):
        bits = int(gguf.group(1))
        nearest = Precision.GGUF_Q8_0 if bits >= 6 else Precision.GGUF_Q4_K_M
        return Meant(thing=nearest, assumed="" if bits in (4, 8) else f"precision {word} taken for {nearest}")
    found = next((precision for pattern, precision in _BITS if pattern.fullmatch(word)), None)
    if found is None:
        return None
    return Meant(
        thing=found, assumed=f"precision {word} taken for {found}" if _ODD_BITS.fullmatch(word) else ""
    )


def _of_bits(weights: int, activations: int, *, floating: bool) -> Precision | None:
    if weights == 4:
        return Precision.FP4 if activations == 4 else Precision.INT4
    if weights == 8 and activations == 8:
        return Precision.FP8 if floating else Precision.INT8
    if weights == 8:
        return Precision.FP8 if floating else Precision.INT8_WEIGHTS
    return Precision.BF16 if weights == 16 else None
