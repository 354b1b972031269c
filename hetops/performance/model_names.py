"""Which model a publisher means. Pure: the longest run of words that the catalogue has; what else is told is tuning or a size."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from hetops.domain.model import Model, Precision
from hetops.errors import nearest
from hetops.performance.meant import Meant, did_you_mean, plain

_TUNED_FROM_HERE = ("instruct", "chat", "it", "hf")
_TUNING = re.compile(
    r"instruct|chat|it|hf|base|pt|thinking|reasoning|preview|turbo|fast|sft|dpo|rlhf|lora|interactive|server|offline|text"
    r"|safeguard|meta|nvidia|amd|neuralmagic|redhatai|unsloth|thebloke|hugging|quants|latest|qat|terminus|exp|moe|vl|vision"
    r"|awq|gptq|bnb|bitsandbytes|gguf|ggml|exl\d|hqq|autoround|torchao|marlin|dynamic|static|quant|quantized|per(?:tensor|channel|token)|kv|block|nf4|e4m3|e5m2"
    r"|(?:nv|mx)?(?:b?f|tf|bfloat|float|u?int)p?\d{1,2}\w*|w\d+a\w+|\d+bit|i?q\d[\w.]*|[kmslx]{1,2}|xxs|nl|g\d+|tp\d+"
    r"|v\d(?:\.\d+)?|\d{4,8}|\d+k|\d\d(?:\.\d+)?"
)
"""Words that leave a shape, or its text part, what it is: what it was tuned for, that it sees, how its weights are stored, by whom
and when; MLPerf's 99.9."""
_SIZE = re.compile(r"(?:(\d+)x)?(\d+(?:\.\d+)?)([bmt])")
_UNITS_B = {"m": 1e-3, "b": 1.0, "t": 1e3}
_ACTIVE = re.compile(r"a(\d+(?:\.\d+)?)b")
_EXPERTS = re.compile(r"\d+e")
_MINOR = re.compile(r"(?<=\d)\.\d+$")
_ENDS_IN = re.compile(r"\d+(?:\.\d+)?$")
_PART_OF_EXPERTS = 0.82
"""An `8x7b` has 0.82 times 8 times 7 billion parameters (both Mixtrals): its experts share the attention."""
_LARGEST_DENSE_B = 550.0
"""More parameters than any open model has that is no mixture of experts (Llama 3.1 405B, BLOOM 176B, Falcon 180B)."""
_SAME_SIZE = 0.25
"""How far, in logarithms, a size in a name may be from the true one."""
_LIKE_SIZE = 1.6
"""How far, in logarithms, a shape is carried to another size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNames:
    """Names of models, as words joined."""

    models: tuple[Model, ...]
    whole: Mapping[str, Model]
    of_one_size: Mapping[str, Model]
    """Names without a size, where one model alone is called so."""

    @classmethod
    def of(cls, models: Sequence[Model]) -> ModelNames:
        """The names by which a catalogue's models are known: their own, and those of their repositories."""
        whole = {"".join(words): model for model in reversed(models) for words in _names(model)}
        without: dict[str, list[Model]] = {}
        for model in models:
            family = "".join(w for w in _words(model.name) if not _tells_size(w))
            without.setdefault(family, []).append(model)
        alone = {family: members[0] for family, members in without.items() if len(members) == 1}
        return cls(models=tuple(models), whole=whole, of_one_size=alone)

    def meant(self, name: str, parameters_b: float | None = None) -> Meant[Model]:
        """The model that a publisher means by a name such as `meta-llama/Llama-3.1-8B-Instruct` or `llama2-70b-99.9`.

        One that the catalogue lacks is taken for one of like size, if the name or `parameters_b`, in billions, tells a size.

        Raises:
            ValueError: no model has such a name, and none is of such a size.
        """
        words = _words(name)
        for model, sure in self._called(words):
            if sure or parameters_b is None or _is_of_size(model, parameters_b):
                return Meant(thing=model, assumed="" if sure else f"model {name} taken for {model.name}")
        size = _Size.of(words, parameters_b)
        like = self._like(words, size) if size else None
        if size is None or like is None:
            raise ValueError(
                f"unknown model {name!r}{did_you_mean(nearest(name, (m.name for m in self.models), most=1))}"
            )
        told = f"{size.total_b:g}B parameters" + (f", {size.active_b:g}B active" if size.active_b else "")
        return Meant(
            thing=_resized(like, name, size),
            assumed=f"model {name} taken for the shape of {like.name} with {told}",
        )

    def _called(self, words: Sequence[str]) -> Iterator[tuple[Model, bool]]:
        """Models that are called so, the longest name first, and whether nothing else is told; then those of which this may be
        another minor version."""
        yield from self._named(words)
        yield from self._named([w for w in words if not _TUNING.fullmatch(w)])
        others = self._of_other_minor_versions(words)
        yield from ((model, False) for model, _ in self._named(_whole_versions(words), others))

    def _of_other_minor_versions(self, words: Sequence[str]) -> Mapping[str, Model]:
        """Models by their names without minor versions, of several the one whose version is nearest."""
        named = [(own, model) for model in self.models for own in _names(model)]
        named.sort(key=lambda one: abs(_version(one[0]) - _version(words)))
        return {"".join(_whole_versions(own)): model for own, model in reversed(named)}

    def _named(
        self, words: Sequence[str], names: Mapping[str, Model] | None = None
    ) -> Iterator[tuple[Model, bool]]:
        spans = combinations(range(len(words) + 1), 2)
        for begin, end in sorted(spans, key=lambda span: span[0] - span[1]):
            model = (self.whole if names is None else names).get("".join(words[begin:end]))
            if model is None:
                continue
            rest = [w for w in (*words[:begin], *words[end:]) if not _TUNING.fullmatch(w)]
            sizes = [_billions(size) for w in rest if (size := _SIZE.fullmatch(w))]
            if all(_is_of_size(model, size) for size in sizes):
                yield model, all(_tells_size(w) for w in rest)
        alone = self.of_one_size.get("".join(w for w in words if not _TUNING.fullmatch(w)))
        if alone:
            yield alone, True

    def _like(self, words: Sequence[str], size: _Size) -> Model | None:
        """The model nearest in size, and of those near enough the one whose name is most alike, plain attention rather than any
        other; None where none is near."""

        def apart(model: Model) -> float:
            of_all = abs(math.log(model.parameters_b / size.total_b))
            return of_all + (abs(math.log(model.active_parameters_b / size.active_b)) if size.active_b else 0)

        def unlike(model: Model) -> tuple[int, bool, float]:
            if apart(model) >= _SAME_SIZE:
                return 1, False, apart(model)
            own = model.latent_kv or model.windowed_layers > 0 or model.selection is not None
            return -len(_kin(words) & _kin(_words(model.name))), own, apart(model)

        kinds = (True, False) if size.mixture is None else (size.mixture,)
        pool = [m for m in self.models if bool(m.experts) in kinds and apart(m) < _LIKE_SIZE]
        return min(pool, key=unlike, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    """Parameters that are told of a model, in billions."""

    total_b: float
    active_b: float | None
    mixture: bool | None
    """Whether of experts; None where a name without any size leaves it open. A name that tells one tells the active part too."""

    @classmethod
    def of(cls, words: Sequence[str], parameters_b: float | None) -> _Size | None:
        """The size that is told; None where none is."""
        sizes = [size for w in words if (size := _SIZE.fullmatch(w))]
        total = parameters_b or next((_billions(size) for size in sizes), 0.0)
        if not total:
            return None
        active = next((float(found.group(1)) for w in words if (found := _ACTIVE.fullmatch(w))), total)
        many = any(size.group(1) for size in sizes) or any(_EXPERTS.fullmatch(w) or w == "moe" for w in words)
        part = 0.0 < active < 0.9 * total
        dense = bool(sizes) and total <= _LARGEST_DENSE_B
        mixture = True if many or part else False if dense else None
        return cls(total_b=total, active_b=active if part else None, mixture=mixture)


def _resized(shape: Model, name: str, size: _Size) -> Model:
    active_b = size.active_b or size.total_b * shape.active_parameters_b / shape.parameters_b
    return replace(
        shape,
        name=name,
        parameters_b=size.total_b,
        active_parameters_b=active_b,
        attention_16bit_b=0.0,
        native=Precision.BF16,
    )


def _billions(size: re.Match[str]) -> float:
    experts, each, unit = size.groups()
    each_b = float(each) * _UNITS_B[unit]
    return float(experts) * each_b * _PART_OF_EXPERTS if experts else each_b


def _tells_size(word: str) -> bool:
    return any(pattern.fullmatch(word) for pattern in (_SIZE, _ACTIVE, _EXPERTS))


def _is_of_size(model: Model, size_b: float) -> bool:
    """Whether a size is a model's, of all of it or of what a token passes."""
    own = (model.parameters_b, model.active_parameters_b)
    return size_b > 0 and any(abs(math.log(size_b / b)) < _SAME_SIZE for b in own)


def _whole_versions(words: Sequence[str]) -> list[str]:
    return [_MINOR.sub("", w) for w in words]


def _version(words: Sequence[str]) -> float:
    """The first number that ends a word: 3.5 of `qwen3.5-27b`; 0 where none does."""
    return next((float(found.group()) for w in words if (found := _ENDS_IN.search(w))), 0.0)


def _kin(words: Sequence[str]) -> set[str]:
    """Words that tell whose a model is, with and without their versions."""
    own = [w for w in words if not _tells_size(w)]
    return {*own, *(_ENDS_IN.sub("", w) for w in own)} - {""}


def _names(model: Model) -> Iterator[list[str]]:
    """A model's names in words: those of its repository end where tuning begins."""
    yield _words(model.name)
    words = [w for w in _words(model.hub_id) if w != "meta"]
    yield words
    ends = (i for i, w in enumerate(words) if w in _TUNED_FROM_HERE and i > 0)
    yield words[: next(ends, len(words))]


def _words(name: str) -> list[str]:
    """A name in words: without its owner, in lower case, `3_1` and `3-1` as 3.1, `70 B` as 70b."""
    stem = plain(name).lower().rpartition("/")[2]
    stem = re.sub(r"(?<=\d) (?=b\b)", "", stem)
    stem = re.sub(r"(?<=\d)[-_ ](?=\d(?:[-_ ]|$))", ".", stem)
    return [w for w in re.split(r"[^a-z0-9.]+|(?<!\d)\.|\.(?!\d)", stem) if w]
