"""Keywords of the Python API, made from the options classes by tests/unit/settings/test_keywords.py."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypedDict


class LoadKeywords(TypedDict, total=False):
    """Keywords that are the fields of ``LoadOptions``."""

    queue: str | None
    queue_field: str | None
    id_field: str | None
    on_conflict: Literal["fail", "skip"]
    layout: Literal["auto", "documented", "asynq"]
    profile: Literal["runqy", "asynq"] | None
    type: str | None
    max_retry: int | None
    task_timeout: int | str | None
    deadline: str | None
    retention: int | str | None
    header: tuple[str, ...]
    unique_ttl: int | str | None
    process_at: str | None
    process_in: int | str | None
    ttl_completed: int | str | None
    ttl_archived: int | str | None
    pending_timeout: int | str | None
    active_timeout: int | str | None
    redis: str
    embedded_dir: Path | str | None
    queues_file: Path | str | None
    queue_check: Literal["none", "redis"]
    force_layout: bool
    force_queue: bool
    force_schedule: bool
    timeout: float
    retry_for: float
    to: str | None
    api_key_env: str | None
    http_mode: Literal["batch", "single"]
    http_connections: int
    journal: Path | str | None
    format: str | None
    envelope: bool
    max_record_bytes: int
    job: str | None
    rejects: Path | str | None
    ids_out: Path | str | None
    max_errors: int | None
    dry_run: bool
    batch_size: int | None
    processes: int | Literal["auto"]
    workers: int
    queue_depth: int


class WaitKeywords(TypedDict, total=False):
    """Keywords that are the fields of ``WaitOptions``."""

    ids: Path | str | None
    job: str | None
    queue: str | None
    layout: Literal["documented", "asynq"] | None
    profile: Literal["runqy", "asynq"] | None
    timeout: float | str | None
    out: Path | str | None
    missing: Path | str | None
    redis: str
    reply_timeout: float
    retry_for: float
