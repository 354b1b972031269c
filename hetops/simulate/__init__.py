"""The emulated engine: a pure discrete-event core, and a real OpenAI-compatible server around it."""
