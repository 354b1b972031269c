"""The limits of the model, one function each: a frame in, rows out. Each has its mirror in `checks`."""
