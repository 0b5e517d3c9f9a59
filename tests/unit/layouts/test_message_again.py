"""A message that was decoded, encoded again."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from loader.layouts.task_message import decode, encode_message
from tests.unit import strategies
