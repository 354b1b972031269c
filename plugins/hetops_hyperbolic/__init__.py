"""Hyperbolic: its on-demand rental options as offers, its virtual machines as nodes. API v2 only."""
