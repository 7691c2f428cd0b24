"""What files cost that were made to cost: each family at n, 2n, 4n … bytes, given to the real commands."""

from __future__ import annotations

from benchmarks.hostile_bodies import FAMILIES

__all__ = ["FAMILIES"]
