"""Load for OpenAI-compatible endpoints: when requests are sent, what they say, and what came back."""
