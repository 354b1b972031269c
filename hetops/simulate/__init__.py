"""The emulated engine: a pure discrete-event core, a real OpenAI-compatible server around it, and fleets of it in virtual time."""
