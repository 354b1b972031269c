"""A spec in which prefill and decode apart pay: long prompts, tight TPOT, two GPU types; planned from list prices."""

from __future__ import annotations

APART = """
[deployment]
name = "apart"

[model]
name = "llama-3.1-70b"

[[workload.classes]]
name = "rag"
requests_per_second = 6.0
input_tokens = 6000
output_tokens = 200

[targets]
ttft_seconds = 3.0
tpot_seconds = 0.04

[engine]
names = ["vllm"]

[engine.disaggregation]
gb_per_second = 12.5

[offers]
gpus = ["H100-SXM", "A100-80GB-SXM"]

[providers.aws]
[providers.gcp]
"""

WHOLE = APART.replace("[engine.disaggregation]\ngb_per_second = 12.5\n", "")
"""The same without."""
