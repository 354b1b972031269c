"""The vocabulary: one module a noun. Frozen values that check themselves; imports nothing above it."""
