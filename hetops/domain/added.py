"""Fields that a minor version of a document added. Decides how they are marked; what a digest makes of it is `codec.py`'s."""

from __future__ import annotations

from collections.abc import Mapping

ADDED: Mapping[str, bool] = {"added": True}
"""Metadata of such a field: where it has its default, a digest is what it was before."""
