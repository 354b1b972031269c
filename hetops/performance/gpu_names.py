"""Which GPU type a publisher means. Pure: the chip decides, then what is told of its board; no table of spellings."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hetops.domain.gpu import GpuType
from hetops.errors import nearest
from hetops.performance.meant import Meant, did_you_mean, plain

_COUNT = re.compile(r"^\d{1,3} ?[X*] ?(?=[A-Z])")
_MAKE = "RTX|RX|TPU"
"""What publishers write or leave out: a 4090 is an RTX 4090, an RTX A6000 an A6000."""
_FORM = re.compile(r"SXM|PCIE|NVL(?!\d)|OAM|ADA|TURING|BLACKWELL")
_MEMORY = re.compile(r"(?<![A-Z\d.])(\d+) ?G(?:I?B)?(?![A-Z\d])")
_WRITTEN = (
    (re.compile(r"MAX-Q( WORKSTATION)?"), "MAXQ"),
    (re.compile(r"RTX[- ]?PRO[- ]?(?=\d)"), "RTXPRO"),
    (re.compile(r"RTX[- ]?(\d{4})[- ]?PRO(?![A-Z])"), r"RTXPRO\1"),
    (re.compile(r"H20-?3E"), "H20 141GB"),
    (re.compile(r"GH200[- ]480GB"), "GH200 96GB"),
    (re.compile(r"DGX[- ]SPARK"), "GB10"),
    (re.compile(r"TPU[- ]?V7(?!\d)"), "TPU7X"),
    (re.compile(r"\bW[KS]\b"), "WORKSTATION"),
)
"""What is written in another way than the table does: 480 GB is the memory of a GH200's CPU."""
_ALIKE = 0.1
"""What drivers, vendors and providers print of one memory differs by less."""


def known_gpu(name: str, gpus: Sequence[GpuType]) -> Meant[GpuType]:
    """The GPU type that a publisher means by a name such as `A100-SXM-80G` or `8x RTX A6000`: the chip whose name stands in it,
    the longest; then form factor and memory where they are told; where not, SXM, and the first of the table. A slice of a GPU
    is meant by its own name alone.

    Raises:
        ValueError: no GPU type has such a chip.
    """
    if sliced := next((gpu for gpu in gpus if gpu.mig and gpu.name == name), None):
        return Meant(thing=sliced, assumed="")
    told = _COUNT.sub("", plain(name).upper().replace("_", "-"))
    for written, meant in _WRITTEN:
        told = written.sub(meant, told)
    found = [(length, gpu) for gpu in gpus if not gpu.mig and (length := _length_of_chip(told, gpu))]
    if not found:
        raise ValueError(
            f"unknown GPU type {name!r}{did_you_mean(nearest(name, (g.name for g in gpus), most=1))}"
        )
    longest = max(length for length, _ in found)
    another = any(length == longest and _is_another(told, gpu) for length, gpu in found)
    traits = (*_FORM.findall(told), *(f"{memory}GB" for memory in _MEMORY.findall(told)))

    def fitness(gpu: GpuType) -> tuple[int, int, bool, bool]:
        own = sum(word in told for word in gpu.name.upper().split("-")[1:])
        kind = re.escape(gpu.memory_type.upper())
        of_memory = kind != "" and re.search(rf"{kind}(?![A-Z\d])", told) is not None
        return sum(_has(gpu, trait) for trait in traits), own, of_memory, "SXM" in gpu.form_factor

    best = max((gpu for length, gpu in found if length == longest), key=fitness)
    as_told = all(_has(best, trait) for trait in traits) and not another
    return Meant(thing=best, assumed="" if as_told else f"GPU {name} taken for {best.name}")


def _is_another(told: str, gpu: GpuType) -> bool:
    """Whether one letter behind the chip's name makes it the name of another, as an RTX PRO 6000D is: not the X before a count."""
    chip = _chip(gpu)
    return (
        chip[-1:].isdigit() and re.search(rf"{'[- ]?'.join(chip)}(?!X\d)[A-Z](?![A-Z\d])", told) is not None
    )


def _chip(gpu: GpuType) -> str:
    """Its name without its make."""
    chip = re.sub(r"[^A-Z\d]", "", gpu.name.partition("-")[0].upper())
    return re.sub(rf"^(?:{_MAKE})(?=.*\d)", "", chip)


def _length_of_chip(told: str, gpu: GpuType) -> int:
    """Letters of a chip's name, less its make, that stand in a name, with hyphens anywhere; 0 if it does not.

    It goes on neither in digits nor, after a letter, in letters. An X at its end may be left out: an MI300 is an MI300X.
    """
    short = _chip(gpu)
    pattern = "[- ]?".join(short)
    if re.search(r"\dX$", short):
        pattern += "?"
    goes_on = r"\d" if short[-1:].isdigit() else r"[A-Z\d]"
    found = re.search(rf"(?<![A-Z\d.])(?:(?:{_MAKE})[- ]?)?({pattern})(?!{goes_on})", told)
    return len(re.sub("[- ]", "", found.group(1))) if found else 0


def _has(gpu: GpuType, trait: str) -> bool:
    if trait.endswith("GB"):
        return abs(float(trait[:-2]) / gpu.memory_gb - 1.0) < _ALIKE
    return trait in f"{gpu.name} {gpu.form_factor} {gpu.architecture}".upper()
