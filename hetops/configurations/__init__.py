"""Which ways of laying a model on GPUs are worth estimating, and why the others are not."""
