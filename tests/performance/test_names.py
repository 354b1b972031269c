"""What publishers call GPUs, models, precisions and engines."""

from __future__ import annotations

import pytest

from hetops.catalog import tables
from hetops.domain.model import Precision
from hetops.performance.generation import Generation, generation, is_known
from hetops.performance.gpu_names import known_gpu
from hetops.performance.model_names import ModelNames
from hetops.performance.precision_names import known_precision, kv_told_of

CATALOG = tables.load()
MODELS = ModelNames.of(CATALOG.models)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("A100-SXM-80G", "A100-80GB-SXM"),
        ("A100-PCIe-80G", "A100-80GB-PCIe"),
        ("A100-SXM4-40GB", "A100-40GB-SXM"),
        ("A100", "A100-80GB-SXM"),
        ("A100 PCIe", "A100-80GB-PCIe"),
        ("a100_80gb", "A100-80GB-SXM"),
        ("RTX-A6000", "A6000"),
        ("RTXA6000", "A6000"),
        ("RTX 6000 Ada", "RTX6000-Ada"),
        ("RTX 4090", "RTX4090"),
        ("4090", "RTX4090"),
        ("GeForce RTX 4070 Ti SUPER", "RTX4070TiSUPER"),
        ("7900XTX", "RX7900XTX"),
        ("GH200", "GH200-96GB"),
        ("GH200 144GB", "GH200-144GB"),
        ("GB200-NVL72", "GB200"),
        ("GB300 NVL72", "GB300"),
        ("H100", "H100-SXM"),
        ("8xH100-SXM", "H100-SXM"),
        ("NVIDIA-H100-80GB-HBM3", "H100-SXM"),
        ("NVIDIA H100 80GB HBM2e", "H100-PCIe"),
        ("H100 PCIe", "H100-PCIe"),
        ("H100 94GB", "H100-NVL"),
        ("H200\u2013NVL", "H200-NVL"),
        ("NVIDIA H200 141GB HBM3e", "H200-SXM"),
        ("H20", "H20"),
        ("H20 141GB", "H20-141GB"),
        ("H800", "H800-SXM"),
        ("L2", "L2"),
        ("L20", "L20"),
        ("L40S", "L40S"),
        ("A10G", "A10G"),
        ("Tesla T4", "T4"),
        ("Tesla V100-SXM2-32GB", "V100-32GB-SXM2"),
        ("V100-16GB", "V100-16GB-SXM2"),
        ("RTX-PRO-6000", "RTXPRO6000-Server"),
        ("RTX PRO 6000 Blackwell Workstation Edition", "RTXPRO6000-Workstation"),
        ("RTX PRO 6000 Max-Q", "RTXPRO6000-MaxQ"),
        ("B200-SXM", "B200"),
        ("B200 192GB", "B200"),
        ("B300-SXM-270GB", "B300"),
        ("AMD Instinct MI300X-OAM", "MI300X"),
        ("MI300", "MI300X"),
        ("MI300A", "MI300A"),
        ("MI355", "MI355X"),
        ("MI250", "MI250"),
        ("Intel Gaudi 3", "Gaudi3"),
        ("TPU v5e-8", "TPUv5e"),
        ("B200 SXM 180GB", "B200"),
        ("NVIDIA B200 192GB HBM3e", "B200"),
        ("HGX B300", "B300"),
        ("B300 288GB", "B300"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTXPRO6000-Server"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "RTXPRO6000-MaxQ"),
        ("RTX 6000 Pro", "RTXPRO6000-Server"),
        ("rtx6000pro", "RTXPRO6000-Server"),
        ("RTX PRO 4500 Blackwell", "RTXPRO4500"),
        ("NVIDIA RTX 4500 Ada Generation", "RTX4500-Ada"),
        ("RTX PRO 5000 72GB", "RTXPRO5000-72GB"),
        ("H20-3e", "H20-141GB"),
        ("NVIDIA GH200 480GB", "GH200-96GB"),
        ("DGX Spark", "GB10"),
        ("NVIDIA-H100-PCIE-80GB", "H100-PCIe"),
        ("2xH100-NVL", "H100-NVL"),
        ("A100-PCIE-40GB", "A100-40GB-PCIe"),
        ("AMD MI325X 256GB", "MI325X"),
        ("H200-NVL-141GB", "H200-NVL"),
        ("H100-PCIe-80GB", "H100-PCIe"),
        ("H100x8", "H100-SXM"),
        ("GH200-480GB", "GH200-96GB"),
        ("GB200 NVL4", "GB200"),
        ("RTX-PRO-6000-Blackwell-Server", "RTXPRO6000-Server"),
        ("RTX PRO 6000 WK", "RTXPRO6000-Workstation"),
        ("TPU v7", "TPU7x"),
    ],
)
def test_gpus_are_known_by_the_names_that_publishers_use(name: str, meant: str) -> None:
    found = known_gpu(name, CATALOG.gpu_types)
    assert found.thing.name == meant
    assert found.assumed == ""


@pytest.mark.parametrize("gpu", CATALOG.gpu_types, ids=lambda g: g.name)
def test_every_gpu_type_is_known_by_its_own_name(gpu: object) -> None:
    assert known_gpu(gpu.name, CATALOG.gpu_types).thing is gpu  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["B200 PCIe", "RTX 6000 Blackwell", "H100 40GB", "RTX PRO 6000D", "B300A", "T4G"]
)
def test_a_board_that_the_table_lacks_is_taken_for_another_and_said_so(name: str) -> None:
    assert name in known_gpu(name, CATALOG.gpu_types).assumed


@pytest.mark.parametrize("name", ["H900", "GB2000", "AL40", "2H20", ""])
def test_a_chip_within_another_word_is_not_that_chip(name: str) -> None:
    with pytest.raises(ValueError, match="unknown GPU type"):
        known_gpu(name, CATALOG.gpu_types)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("Llama 3.1 8B", "llama-3.1-8b"),
        ("Llama 3.1 70 B", "llama-3.1-70b"),
        ("meta.llama3-1-8b-instruct-v1", "llama-3.1-8b"),
        ("llama3.1:8b-instruct-q4_K_M", "llama-3.1-8b"),
        ("llama3-8b", "llama-3-8b"),
        ("llama3.1-405b", "llama-3.1-405b"),
        ("Meta-Llama-3.1-70B-Instruct-FP8", "llama-3.1-70b"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "llama-3.1-8b"),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "llama-3.3-70b"),
        ("unsloth/llama-3-8b-bnb-4bit", "llama-3-8b"),
        ("nvidia/Llama-3.1-405B-Instruct-FP4", "llama-3.1-405b"),
        ("nvidia/Llama-3_3-70B-Instruct-NVFP4", "llama-3.3-70b"),
        ("amd/Llama-3.1-405B-Instruct-MXFP4-Preview", "llama-3.1-405b"),
        ("Llama-2-70b-chat-hf", "llama-2-70b"),
        ("llama2-70b-99.9", "llama-2-70b"),
        ("TheBloke/Llama-2-13B-chat-GGUF", "llama-2-13b"),
        ("gptj-99", "gpt-j-6b"),
        ("mixtral-8x7b-instruct-v0.1-GPTQ", "mixtral-8x7b"),
        ("Mixtral 8\u00d77B", "mixtral-8x7b"),
        ("Mistral-7B-Instruct-v0.2-AWQ", "mistral-7b"),
        ("Qwen2.5-72B-Instruct-GPTQ-Int4", "qwen2.5-72b"),
        ("Qwen/Qwen3-235B-A22B-FP8", "qwen3-235b-a22b"),
        ("Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b"),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek-r1"),
        ("DeepSeek R1 671B", "deepseek-r1"),
        ("Llama-4-Scout-17B-16E-Instruct", "llama-4-scout"),
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("Phi-3-mini-128k-instruct", "phi-3-mini-3.8b"),
        ("gpt-oss-120b (mxfp4)", "gpt-oss-120b"),
        ("DeepSeek-R1-0528-FP4", "deepseek-r1"),
        ("nvidia/DeepSeek-R1-0528-FP4-v2", "deepseek-r1"),
        ("DeepSeek-V3.1-Terminus", "deepseek-v3.1"),
        ("DeepSeek-V3.2-Exp", "deepseek-v3.2"),
        ("DeepSeek-V2-Lite-Chat", "deepseek-v2-lite"),
        ("Kimi K2 Thinking", "kimi-k2-thinking"),
        ("Qwen2.5-VL-7B-Instruct", "qwen2.5-7b"),
        ("Qwen2.5-VL-72B-Instruct", "qwen2.5-72b"),
        ("Qwen3-VL-235B-A22B-Instruct-FP8", "qwen3-vl-235b-a22b"),
        ("Qwen3-VL-2B", "qwen3-vl-2b"),
        ("Qwen/Qwen3.8-27B-FP8", "qwen3.8-27b"),
        ("gemma-4-12b-it-GGUF", "gemma-4-12b"),
        ("mistralai/Mistral-Small-4-119B-2603-NVFP4", "mistral-small-4-119b"),
        ("Mistral Small 4", "mistral-small-4-119b"),
        ("Llama-3.2-11B-Vision-Instruct", "llama-3.2-11b-vision"),
        ("nvidia/NVIDIA-Nemotron-3-Nano-4B-FP8", "nemotron-3-nano-4b"),
        ("Qwen3-Next-80B-A3B-Thinking", "qwen3-next-80b-a3b"),
        ("Qwen3-Coder-30B-A3B-Instruct", "qwen3-coder-30b-a3b"),
        ("RedHatAI/Llama-4-Scout-17B-16E-Instruct-quantized.w4a16", "llama-4-scout"),
        ("Mistral-7B-Instruct-v0.1", "mistral-7b-v0.1"),
        ("mistralai/Mistral-7B-v0.1", "mistral-7b-v0.1"),
        ("Mistral-Small-3.2-24B-Instruct-2506", "mistral-small-3.2-24b"),
        ("Magistral-Small-2506", "magistral-small-24b"),
        ("zai-org/GLM-4.5-Air-FP8", "glm-4.5-air"),
        ("gemma3:12b", "gemma-3-12b"),
        ("llama-65b", "llama-1-65b"),
        ("openai/gpt-oss-safeguard-120b", "gpt-oss-120b"),
        ("Nemotron-3-Super", "nemotron-3-super-120b-a12b"),
        ("Kimi-K3", "kimi-k3"),
        ("deepseek-ai/DeepSeek-V4-Flash", "deepseek-v4-flash"),
        ("MiniMax-M1-80k", "minimax-m1"),
        ("Ling-1T", "ling-1t"),
        ("Mistral-Large-3-675B-Instruct-2512-NVFP4", "mistral-large-3"),
    ],
)
def test_models_are_known_by_the_names_that_publishers_use(name: str, meant: str) -> None:
    found = MODELS.meant(name)
    assert found.thing.name == meant
    assert found.assumed == ""


@pytest.mark.parametrize(
    "suffix", ["", "-Instruct-2507", "-FP8-dynamic", "-GGUF", "-quantized.w8a8", "-NVFP4"]
)
def test_every_model_is_known_by_its_own_name_and_its_repository_whatever_was_done_to_the_weights(
    suffix: str,
) -> None:
    for model in CATALOG.models:
        assert MODELS.meant(model.name + suffix).thing is model
        by_repository = MODELS.meant(model.hub_id + suffix)
        assert (by_repository.thing.name, by_repository.assumed) == (model.name, "")


@pytest.mark.parametrize(
    ("name", "shape", "parameters_b", "active_b"),
    [
        ("foo-13b", "llama-2-13b", 13, 13),
        ("Qwen9-30B-A3B", "qwen3-30b-a3b", 30, 3),
        ("Qwen4-9B", "qwen3-8b", 9, 9),
        ("K-EXAONE-236B-A23B", "qwen3-235b-a22b", 236, 23),
        ("foo-1.5b", "qwen2.5-1.5b", 1.5, 1.5),
        ("foo-135m", "gemma-3-270m", 0.135, 0.135),
        ("foo-8x7b", "mixtral-8x7b", 45.9, 12.7),
    ],
)
def test_a_model_that_the_catalogue_lacks_has_the_shape_of_one_of_like_size(
    name: str, shape: str, parameters_b: float, active_b: float
) -> None:
    found = MODELS.meant(name)
    assert f"model {name} taken for the shape of {shape} with" in found.assumed
    assert found.thing.layers == CATALOG.model(shape).layers
    assert found.thing.parameters_b == pytest.approx(parameters_b, rel=0.01)
    assert found.thing.active_parameters_b == pytest.approx(active_b, rel=0.01)


def test_a_size_beside_a_name_is_another_model_and_one_of_a_column_counts_where_the_name_is_in_doubt() -> (
    None
):
    assert MODELS.meant("phi-4-multimodal").thing.name == "phi-4-14b"
    assert MODELS.meant("phi-4-multimodal", 5.6).thing.parameters_b == 5.6
    assert MODELS.meant("phi-4", 5.6).thing.name == "phi-4-14b"
    assert MODELS.meant("Kimi-K2.9").thing.name == "kimi-k2.6", "the nearest version"
    assert "taken for kimi-k2.6" in MODELS.meant("Kimi-K2.9").assumed
    assert MODELS.meant("Kimi-K2.9", 8.0).thing.parameters_b == 8.0
    assert MODELS.meant("whatever", 8.0).thing.parameters_b == 8.0
    assert MODELS.meant("DeepSeek-V9", 671.0).thing.experts, "a name without any size may be a mixture's"
    assert not MODELS.meant("foo-500b").thing.experts
    assert MODELS.meant("foo-671b").thing.experts, "no dense model is so large"
    assert MODELS.meant("foo-1T").thing.parameters_b == 1000.0


@pytest.mark.parametrize("name", ["llama-9", "whatever", "foo-0b", "foo-9000000b", "", "-", "b", "7"])
def test_a_model_of_no_known_name_or_size_is_unknown(name: str) -> None:
    with pytest.raises(ValueError, match="unknown model"):
        MODELS.meant(name)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("nvfp4", Precision.FP4),
        ("MXFP4", Precision.FP4),
        ("w4a4", Precision.FP4),
        ("w4a16", Precision.INT4),
        ("w4afp8", Precision.INT4),
        ("int4-awq", Precision.INT4),
        ("AWQ", Precision.INT4),
        ("4-bit", Precision.INT4),
        ("nf4", Precision.INT4),
        ("fp8_e4m3", Precision.FP8),
        ("fp8/fp8", Precision.FP8),
        ("fp8w8a8", Precision.FP8),
        ("w8a8-fp8", Precision.FP8),
        ("FP8-dynamic", Precision.FP8),
        ("FP8 (block-wise)", Precision.FP8),
        ("bfloat16", Precision.BF16),
        ("bf16/fp8", Precision.BF16),
        ("torch.float16", Precision.FP16),
        ("auto", Precision.BF16),
        ("\u2014", Precision.BF16),
        ("", Precision.BF16),
        ("f32", Precision.FP32),
        ("tf32", Precision.FP32),
        ("W8A8", Precision.INT8),
        ("int8", Precision.INT8),
        ("gptq-int8", Precision.INT8_WEIGHTS),
        ("int8-gptq-w8a16", Precision.INT8_WEIGHTS),
        ("W8A16", Precision.INT8_WEIGHTS),
        ("bitsandbytes 8-bit", Precision.INT8_WEIGHTS),
        ("int8 weight-only", Precision.INT8_WEIGHTS),
        ("fp8 w8a16", Precision.FP8),
        ("gguf-q4_k_m", Precision.GGUF_Q4_K_M),
        ("iq4_xs", Precision.GGUF_Q4_K_M),
        ("q8_0", Precision.GGUF_Q8_0),
        ("W4A16-G128", Precision.INT4),
        ("NVFP4A16", Precision.INT4),
        ("fp4-w4a16", Precision.INT4),
        ("turbomind-w4", Precision.INT4),
        ("AWQ-Int4", Precision.INT4),
        ("exl2 4.0bpw", Precision.INT4),
        ("bf16-kvfp8", Precision.BF16),
        ("NVFP4 (W4A4)", Precision.FP4),
        ("FP8 block-scaled", Precision.FP8),
        ("MXFP8", Precision.FP8),
        ("UD-Q4_K_XL", Precision.GGUF_Q4_K_M),
    ],
)
def test_precisions_are_known_by_the_words_that_publishers_use(word: str, meant: Precision) -> None:
    found = known_precision(word)
    assert found.thing is meant
    assert found.assumed == ""


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("bf16-kvfp8", Precision.FP8),
        ("FP8-KV", Precision.FP8),
        ("NVFP4-KVFP8", Precision.FP8),
        ("amd/Llama-3.1-70B-Instruct-FP8-KV", Precision.FP8),
        ("fp8 (kv cache fp16)", Precision.FP16),
        ("QServe W4A8KV4", Precision.INT4),
        ("nvfp4", None),
        ("fp8-kvasir", None),
    ],
)
def test_a_precision_of_the_kv_cache_may_stand_beside_that_of_the_weights(
    word: str, meant: Precision | None
) -> None:
    assert kv_told_of(word) is meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("GGUF", Precision.GGUF_Q4_K_M),
        ("gguf-q2_k", Precision.GGUF_Q4_K_M),
        ("q5_k_m", Precision.GGUF_Q4_K_M),
        ("Q6_K", Precision.GGUF_Q8_0),
        ("mxfp6", Precision.FP8),
        ("int3", Precision.INT4),
    ],
)
def test_a_precision_without_figures_is_taken_for_the_nearest_and_said_so(
    word: str, meant: Precision
) -> None:
    found = known_precision(word)
    assert found.thing is meant
    assert str(meant) in found.assumed


@pytest.mark.parametrize("word", ["mixed", "fp", "octal", "w9a9", "16.5"])
def test_a_word_that_tells_no_bits_is_no_precision(word: str) -> None:
    with pytest.raises(ValueError, match="unknown precision"):
        known_precision(word)


@pytest.mark.parametrize(
    ("engine", "version", "meant"),
    [
        ("vllm", "0.6.1.post2", Generation.VLLM_OLD),
        ("vllm", "0.6.3", Generation.VLLM_MID),
        ("vllm", "0.6", Generation.VLLM_MID),
        ("vllm", "rocm6.2_vllm_0.6.4", Generation.VLLM_MID),
        ("vllm", "rocm/vllm-dev:20241121-tuned", Generation.VLLM_MID),
        ("vllm", "0.7.3", Generation.VLLM_MID),
        ("vllm", "0.8", Generation.VLLM_NEW),
        ("vllm", "2024-05", Generation.VLLM_OLD),
        ("vllm", "0.1.dev12777", Generation.VLLM_NEW),
        ("vllm", "mid-2024", Generation.VLLM_OLD),
        ("vllm", "0.18.0", Generation.VLLM_NEW),
        ("vllm", "", Generation.VLLM_NEW),
        ("vLLM 0.11.0", "", Generation.VLLM_NEW),
        ("vLLM 0.5.4", "", Generation.VLLM_OLD),
        ("vLLM (V1)", "0.9.1", Generation.VLLM_NEW),
        ("vllm(helix fork)", "2024", Generation.LAYERS),
        ("vLLM", "rocm6.4.1_vllm_0.10.1", Generation.VLLM_NEW),
        ("tensorrt-llm", "0.7.1", Generation.TRTLLM_OLD),
        ("tensorrt-llm", "0.15.0", Generation.TRTLLM_MID),
        ("tensorrt-llm", "1.2.0rc6.post1", Generation.TRTLLM_NEW),
        ("NVIDIA TensorRT-LLM", "v1.1.0", Generation.TRTLLM_NEW),
        ("trtllm", "0.17", Generation.TRTLLM_MID),
        ("dynamo-trtllm", "", Generation.TRTLLM_NEW),
        ("llama.cpp", "2024-05", Generation.LLAMACPP),
        ("llamacpp", "", Generation.LLAMACPP),
        ("ollama", "0.5.7", Generation.LLAMACPP),
        ("sglang", "0.5.9", Generation.SGLANG),
        ("SGLang (v0.4)", "", Generation.SGLANG),
        ("TGI", "1.1.0", Generation.TGI),
        ("text-generation-inference", "3.0.1", Generation.VLLM_NEW),
        ("nim", "1.0.0", Generation.TRTLLM_MID),
    ],
)
def test_engines_belong_to_generations(engine: str, version: str, meant: Generation) -> None:
    assert generation(engine, version) is meant
    assert is_known(engine)


@pytest.mark.parametrize(
    ("engine", "version"), [("LMDeploy", "0.6.3"), ("MLC", ""), ("dynamo", "0.3"), ("", "")]
)
def test_an_engine_that_nobody_knows_is_like_vllm_of_today_and_not_known(engine: str, version: str) -> None:
    assert generation(engine, version) is Generation.VLLM_NEW
    assert not is_known(engine)


def test_amds_engine_puts_prompts_first_as_sglang_does_and_has_no_numbers_of_its_own() -> None:
    assert generation("ATOM", "0.1.2") is Generation.SGLANG
    assert not is_known("AMD ATOM")


def test_a_slice_is_meant_by_its_own_name_and_no_gpu_is_taken_for_one() -> None:
    devices = tuple(CATALOG.devices.values())
    assert known_gpu("H100-SXM-2g.20gb", devices).thing is CATALOG.device("H100-SXM-2g.20gb")
    assert known_gpu("8x H100 20GB", devices).thing.mig is None
