"""Commands: each parses, calls one use case, prints one result. Only `main` turns errors into text and exit codes."""
