"""What the router measured: written, read back, summed up, held against the plan."""
