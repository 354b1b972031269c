"""Searches that the model alone would be slow at: few columns first, lines of equal nodes, losses by the dozen, classes by the thousand."""
