"""Keywords of the Python API, made from the options classes by tests/unit/settings/test_keywords.py."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypedDict


class LoadKeywords(TypedDict, total=False):
    """Keywords that are the fields of ``LoadOptions``."""

    queue: str | None
    spread: int | None
    queue_field: str | None
    id_field: str | None
    queue_from: str | None
    id_from: str | None
    on_conflict: Literal["fail", "skip"]
    layout: Literal["auto", "documented", "asynq"]
    profile: Literal["runqy", "asynq"] | None
    type: str | None
    max_retry: int | None
    task_timeout: int | str | timedelta | None
    deadline: str | float | datetime | None
    retention: int | str | timedelta | None
    header: tuple[str, ...]
    unique_ttl: int | str | timedelta | None
    process_at: str | float | datetime | None
    process_in: int | str | timedelta | None
    ttl_completed: int | str | timedelta | None
    ttl_archived: int | str | timedelta | None
    pending_timeout: int | str | timedelta | None
    active_timeout: int | str | timedelta | None
    columns: str | None
    no_header: bool
    delimiter: str | None
    quote: str
    escape: str | None
    csv_null: str | None
    csv_types: str | None
    nan: Literal["null", "string", "reject"]
    nulls: Literal["keep", "omit"]
    where: str | None
    select: str | None
    payload_template: Path | str | None
    set: tuple[str, ...]
    sample: str | None
    sample_seed: int
    dedup: str | None
    offset: int
    limit: int | None
    preview: int | None
    sql: str | None
    sql_file: Path | str | None
    sql_key: str | None
    from_: str | None
    generate: Path | str | None
    count: int | None
    seed: int
    first: int
    rate: float | str | None
    rate_file: Path | str | None
    replay: str | None
    speed: str
    max_pending: int | None
    max_latency: str | None
    memory_headroom: str | None
    only_between: str | None
    series: float | str | timedelta | None
    engine: Literal["local", "dask"]
    scheduler: str | None
    detach: bool
    redis: str
    redis_password_file: Path | str | None
    redis_password_command: str | None
    embedded_dir: Path | str | None
    queues_file: Path | str | None
    queue_check: Literal["none", "redis"]
    force_layout: bool
    force_queue: bool
    force_schedule: bool
    timeout: float | str | timedelta
    retry_for: float | str | timedelta | None
    force_memory: bool
    stop_at_memory: str | None
    wait_replicas: int
    wait_fsync: bool
    max_replica_lag: int | None
    compact: Literal["auto", "always", "never"]
    to: str | None
    api_key_env: str | None
    http_mode: Literal["batch", "single"]
    http_connections: int
    journal: Path | str | None
    format: str | None
    force_format: bool
    envelope: bool
    skip_bad_files: bool
    accept_any_json: bool
    max_record_bytes: int
    require_final_newline: bool
    job: str | None
    again: bool
    keep_job: str
    rejects: Path | str | None
    ids_out: Path | str | None
    max_errors: int | str | None
    dry_run: bool
    batch_size: int | None
    processes: int | Literal["auto"]
    workers: int
    queue_depth: int


class WaitKeywords(TypedDict, total=False):
    """Keywords that are the fields of ``WaitOptions``."""

    queue: str | None
    layout: Literal["auto", "documented", "asynq"]
    profile: Literal["runqy", "asynq"] | None
    timeout: float | str | timedelta | None
    redis: str
    redis_password_file: Path | str | None
    redis_password_command: str | None
    reply_timeout: float | str | timedelta
    retry_for: float | str | timedelta


class RollbackKeywords(TypedDict, total=False):
    """Keywords that are the fields of ``RollbackOptions``."""

    ids: Path | str | None
    dry_run: bool
    keep_job: str
    redis: str
    redis_password_file: Path | str | None
    redis_password_command: str | None
    timeout: float | str | timedelta
    retry_for: float | str | timedelta


class JobsKeywords(TypedDict, total=False):
    """Keywords that are the fields of ``JobsOptions``."""

    scan: bool
    redis: str
    redis_password_file: Path | str | None
    redis_password_command: str | None
    timeout: float | str | timedelta
    retry_for: float | str | timedelta


class WatchKeywords(TypedDict, total=False):
    """Keywords that are the fields of ``WatchOptions``."""

    queue: tuple[str, ...]
    sample_tasks: int
    interval: float | str | timedelta
    for_: float | str | timedelta | None
    count: int | None
    redis: str
    redis_password_file: Path | str | None
    redis_password_command: str | None
    timeout: float | str | timedelta
    retry_for: float | str | timedelta
