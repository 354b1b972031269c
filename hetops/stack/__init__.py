"""The Pulumi side of a deployment: what the program declares, which engine runs it, and what would change."""
