"""hetops: the cheapest mixed fleet of GPUs that serves an LLM workload within its latency targets."""

__version__ = "0.1.0"
