"""Workloads: recorded traces and the classes made of them."""
