"""Specs in which replicas over several nodes pay: a model larger than a node's GPUs, few nodes of each kind; list prices."""

from __future__ import annotations

WITHIN = """
[deployment]
name = "across"

[model]
name = "llama-3.1-70b"

[[workload.classes]]
name = "chat"
requests_per_second = 2.0
input_tokens = 500
output_tokens = 200

[[workload.classes]]
name = "long"
requests_per_second = 0.5
input_tokens = 4000
output_tokens = 300

[targets]
ttft_seconds = 4.0
tpot_seconds = 0.1

[engine]
names = ["vllm"]

[offers]
gpus = ["H100-SXM:1", "RTXPRO6000-Server:1"]

[providers.aws]
[providers.gcp]
"""
"""Every replica within a node, each of which has one GPU."""

ACROSS = WITHIN.replace("[offers]", "[engine.across_nodes]\ngb_per_second = 12.5\n\n[offers]")
"""The same with replicas over several nodes."""

FEW = "policy.max_nodes_per_offer=1"
"""One node of each offer: what is over two GPUs is over unlike ones, or over nodes of two offers."""
