"""Results of use cases as text and JSON: pure functions, no terminal, no file."""
