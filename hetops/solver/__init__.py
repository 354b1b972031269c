"""The exact solver: an explicit problem in, a certified fleet out. Only `highs` runs foreign code or sees a clock."""
