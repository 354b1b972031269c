"""Offers: asked of every provider at once, kept while they hold, and chosen by the rules of the spec."""
