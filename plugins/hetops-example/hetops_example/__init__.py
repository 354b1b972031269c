"""A provider of hetops in a distribution of its own."""
