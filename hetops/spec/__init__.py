"""hetops.toml: what the user wants, in fields that check themselves."""
