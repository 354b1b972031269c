"""Facts as data: GPU types, models and their checkpoints, dated list prices, published measurements."""
