"""Edge: reads the tables that travel with hetops and joins what plugins add. Decides nothing; never guesses a name."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hetops.domain.gpu import GpuSlice, GpuType
from hetops.domain.model import Checkpoint, Model, Precision, Selection
from hetops.errors import UnknownNameError

DATA = Path(__file__).parent / "data"

Row = Mapping[str, str]
T = TypeVar("T", GpuType, Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Every GPU type, model and checkpoint that is known, by canonical name."""

    gpu_types: tuple[GpuType, ...]
    models: tuple[Model, ...]
    checkpoints: tuple[Checkpoint, ...]
    slices: tuple[GpuType, ...] = ()
    """What MIG cuts out of the GPU types, as GPU types of their own. Nobody rents them out by these names."""

    @property
    def devices(self) -> Mapping[str, GpuType]:
        """All that a replica can lie on, by name: GPU types and their slices."""
        return {g.name: g for g in (*self.gpu_types, *self.slices)}

    def gpu(self, name: str, *, where: str = "") -> GpuType:
        """The GPU type of exactly that name; a family name such as H100 is answered with its members.

        Raises:
            UnknownNameError: with the nearest names.
        """
        return self._named(name, {g.name: g for g in self.gpu_types}, where)

    def device(self, name: str) -> GpuType:
        """The GPU type, or the slice of one, of that name; errors as `gpu`."""
        return self._named(name, self.devices, "")

    def _named(self, name: str, known: Mapping[str, GpuType], where: str) -> GpuType:
        if name in known:
            return known[name]
        told = _words(name)
        without_memory = {word for word in told if not re.fullmatch(r"\d+gb", word)}
        members = [g.name for g in self.gpu_types if told <= _words(g.name)]
        members = members or [g.name for g in self.gpu_types if _words(g.name) == without_memory]
        raise UnknownNameError("GPU type", name, known, where=where, members=members)

    def model(self, name: str, *, where: str = "") -> Model:
        """The model of that name; UnknownNameError with the nearest names otherwise."""
        by_name = {m.name: m for m in self.models}
        if name not in by_name:
            raise UnknownNameError("model", name, by_name, where=where)
        return by_name[name]

    def checkpoints_of(self, model: str) -> tuple[Checkpoint, ...]:
        """The checkpoints known for a model."""
        return tuple(c for c in self.checkpoints if c.model == model)


def _words(gpu: str) -> frozenset[str]:
    """What a GPU type's name tells, in whatever order and case: `A100-SXM4-80G` is `A100-80GB-SXM`."""
    words = re.split(r"[-_ ]+", gpu.lower())
    return frozenset(re.sub(r"(?<=\d)g$", "gb", re.sub(r"^sxm\d$", "sxm", word)) for word in words)


def load(
    gpu_types: Iterable[GpuType] = (), models: Iterable[Model] = (), checkpoints: Iterable[Checkpoint] = ()
) -> Catalog:
    """The shipped tables with what plugins registered; a plugin's row of the same name wins."""
    known = _joined((_gpu_type(row) for row in rows("gpus") if _has_speed(row)), gpu_types)
    whole = {gpu.name: gpu for gpu in known}
    return Catalog(
        gpu_types=known,
        slices=tuple(_slice(whole[row["gpu"]], row) for row in rows("mig")),
        models=_joined((_model(row) for row in rows("models")), models),
        checkpoints=(*(_checkpoint(row) for row in rows("checkpoints")), *checkpoints),
    )


def rows(table: str) -> list[dict[str, str]]:
    """The rows of one shipped table (`gpus`, `mig`, `models`, `checkpoints`, `instance_types`, `perf_calibration`)."""
    with (DATA / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _joined(shipped: Iterable[T], added: Iterable[T]) -> tuple[T, ...]:
    by_name = {thing.name: thing for thing in shipped} | {thing.name: thing for thing in added}
    return tuple(by_name.values())


def _has_speed(row: Row) -> bool:
    """A GPU whose 16-bit rate nobody published cannot be planned with: its offers are refused as unknown."""
    return bool(row["fp16_tflops_dense"])


def _gpu_type(row: Row) -> GpuType:
    return GpuType(
        name=row["gpu"],
        vendor=row["vendor"],
        architecture=row["arch"],
        compute_capability=row["compute_capability"],
        form_factor=row["form_factor"],
        memory_gb=float(row["memory_gb"]),
        memory_type=row["memory_type"],
        bandwidth_gb_per_second=float(row["bandwidth_gbs"]),
        fp16_tflops=float(row["fp16_tflops_dense"]),
        bf16_tflops=_number(row["bf16_tflops_dense"]),
        fp8_tflops=_number(row["fp8_tflops_dense"]),
        int8_tops=_number(row["int8_tops_dense"]),
        fp4_tflops=_number(row["fp4_tflops_dense"]),
        units_tflops=_number(row["units_tflops_dense"]),
        interconnect=row["interconnect"],
        interconnect_gb_per_second=float(row["interconnect_gbs_per_gpu_bidir"]),
        devices=int(row["devices"] or 1),
        board_watts=_number(row["tdp_w"]),
        source=f"{row['verification']}; {row['notes']}".strip("; "),
    )


def _slice(whole: GpuType, row: Row) -> GpuType:
    """A slice has its part of the multiprocessors, and of the memory's slices with their bandwidth. It reaches no other GPU."""
    speed = float(row["multiprocessors"]) / float(row["multiprocessors_of_gpu"])
    mig = GpuSlice(of=whole.name, profile=row["profile"], parts=int(row["parts"]))
    rates = ("fp16_tflops", "bf16_tflops", "fp8_tflops", "int8_tops", "fp4_tflops", "units_tflops")
    kinds = (*rates, "board_watts")
    peaks = {kind: peak * speed for kind in kinds if (peak := getattr(whole, kind)) is not None}
    return replace(
        whole,
        **peaks,
        name=mig.name,
        memory_gb=float(row["memory_gib"]),
        bandwidth_gb_per_second=whole.bandwidth_gb_per_second
        * float(row["memory_slices"])
        / float(row["memory_slices_of_gpu"]),
        source=row["source"],
        mig=mig,
    )


def _model(row: Row) -> Model:
    return Model(
        name=row["model"],
        hub_id=row["hub_id"],
        parameters_b=float(row["params_b"]),
        active_parameters_b=float(row["active_params_b"]),
        layers=int(row["layers"]),
        hidden=int(row["hidden"]),
        heads=int(row["heads"]),
        kv_heads=int(row["kv_heads"]),
        head_size=int(row["head_dim"]),
        vocabulary=int(row["vocab"]),
        kv_bytes_per_token_16bit=float(row["kv_bytes_per_token_bf16"]),
        context_tokens=int(row["context"]),
        experts=int(row["moe_experts"] or 0),
        active_experts=int(row["moe_active"] or 0),
        latent_kv=bool(_number(row["mla_kv_lora"])),
        tied_embeddings=row["tied_embeddings"] == "1",
        windowed_layers=int(row["windowed_layers"] or 0),
        window_tokens=int(row["window_tokens"] or 0),
        selection=_selection(row),
        state_bytes=float(row.get("state_bytes") or 0.0),
        attention_16bit_b=float(row["attention_16bit_b"] or 0.0),
        native=Precision(row["native"] or Precision.BF16),
        licence=row["licence"],
        source=row["source"],
    )


def _selection(row: Row) -> Selection | None:
    if not row["selected_tokens"]:
        return None
    return Selection(
        tokens=int(row["selected_tokens"]),
        index_bytes=float(row["index_bytes"]),
        kv_share=float(row["selected_kv_share"]),
        attention=float(row["selected_attention"]),
        other_attention=float(row["other_attention"]),
    )


def _checkpoint(row: Row) -> Checkpoint:
    return Checkpoint(
        model=row["model"],
        precision=Precision(row["precision"]),
        format=row["format"],
        reference=row["reference"],
        gigabytes=_number(row["gigabytes"]),
        licence=row["licence"],
        source=row["source"],
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
