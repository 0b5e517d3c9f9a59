"""A message that was decoded, encoded again."""

from __future__ import annotations
