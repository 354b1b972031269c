"""Use cases: one a module. The only place that wires nouns together."""
