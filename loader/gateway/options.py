"""Every option of ``runqy-loader serve``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from loader.errors import UsageError
from loader.settings import DISCARD, EMBEDDED, LoadOptions, shared
from loader.settings.check import check_declared
from loader.settings.option import BYTES, COUNT, DURATION, Excludes, Option
from loader.settings.values import convert_values
from loader.tasks.profiles import Profile
from loader.tasks.times import seconds
from loader.telemetry.options import OTLP, check_otlp

_HTTP = "HTTP"
_TASKS = "Tasks"
_LIMITS = "Limits"

SINGLE = -1
"""In place of a timeout: ``POST /queue/add`` was given none."""

_SINGLE_SECONDS = 1800
"""How long a task from ``POST /queue/add`` may run: asynq's default, which runqy's server (March 2026) keeps."""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#A-Z]+|null")
"""What browsers send as Origin: scheme and host in small letters, and a port if it is not the usual one."""

LONGEST_TIMEOUT = 2**31 - 1
"""The largest timeout of a task, in seconds, that a request may give."""


def _limit(text: str, unit: str = COUNT) -> Option:
    return Option(help=text, group=_LIMITS, unit=unit, at_least=1)


def _patience(text: str) -> Option:
    return Option(help=text, group=_LIMITS, unit=DURATION, above=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Options of the gateway. Field names are the long options of the command line with underscores."""

    host: Annotated[str, Option(help="Address to listen at.", group=_HTTP, unit="HOST")] = "127.0.0.1"
    port: Annotated[
        int,
        Option(
            help="Port to listen at; 0 for any free port, which is then shown.",
            group=_HTTP,
            unit="PORT",
            at_least=0,
            at_most=65_535,
        ),
    ] = 3000
    api_key_env: Annotated[
        str | None,
        shared.API_KEY_ENV.but(help="Environment variable that holds the API keys, separated by commas."),
    ] = None
    no_auth: Annotated[
        bool,
        Option(
            help="Allow every request. Without this option, the gateway does not start without keys.",
            group=_HTTP,
            goes_with=(Excludes("api_key_env", alternative=True),),
        ),
    ] = False
    cors_origin: Annotated[
        tuple[str, ...],
        Option(
            help="Lets web pages from this origin, such as https://example.com, use the gateway; '*' for all. Give it "
            "several times for several origins.",
            group=_HTTP,
            unit="ORIGIN",
        ),
    ] = ()
    workers: Annotated[
        int,
        Option(
            help="Processes that serve the same port; limits hold for each.",
            group=_HTTP,
            unit=COUNT,
            at_least=1,
        ),
    ] = 1
    otlp: Annotated[str | None, OTLP] = None
    access_log: Annotated[
        bool, Option(help="Write a line for each answer: client, method, path, status.", group=_HTTP)
    ] = False
    layout: shared.Layout = "auto"
    profile: shared.Profile = None
    type: Annotated[str | None, shared.TYPE] = None
    max_retry: Annotated[int | None, shared.MAX_RETRY] = None
    wrap_jobs: Annotated[
        bool,
        Option(
            help='Store the jobs of a batch whole, such as {"data": ...}, as the runqy server does. Without this '
            "option, a task's payload is its job's data.",
            group=_TASKS,
        ),
    ] = False
    task_timeout: Annotated[
        int | str | None,
        Option(
            help="In layout asynq, how long a task may run if its request gives no timeout.",
            group=_TASKS,
            unit=DURATION,
        ),
    ] = None
    retention: Annotated[
        int | str | None,
        Option(help="In layout asynq, how long a completed task and its result are kept.", group=_TASKS, unit=DURATION),
    ] = None
    redis: shared.Redis = shared.DEFAULT_REDIS
    redis_password_file: shared.RedisPasswordFile = None
    redis_password_command: shared.RedisPasswordCommand = None
    compact: shared.Compact = "auto"
    queues_file: Annotated[
        Path | None,
        shared.QUEUES_FILE.but(
            help="Queues that exist: runqy's YAML file, or a directory of such files. Other queues get a 404."
        ),
    ] = None
    queue_check: Annotated[
        Literal["none", "redis"],
        shared.QUEUE_CHECK.but(help="'redis' takes the queues in the server's set asynq:queues as those that exist."),
    ] = "none"
    force_layout: Annotated[
        bool,
        shared.FORCE_LAYOUT.but(
            help="Serve although the target seems to be used with another layout. See docs/doctor.md."
        ),
    ] = False
    timeout: shared.Timeout = 10.0
    max_body_bytes: Annotated[int, _limit("Longer request bodies are answered with 413.", BYTES)] = 16 * 1024 * 1024
    max_jobs: Annotated[int, _limit("Requests with more jobs are answered with 413.")] = 10_000
    max_requests: Annotated[
        int, _limit("Requests in progress at the same time; further requests wait for their turn.")
    ] = 2048
    max_buffered_bytes: Annotated[
        int, _limit("Bytes of bodies and of long answers held at once; further requests wait for their turn.", BYTES)
    ] = 256 * 1024 * 1024
    max_waiting: Annotated[
        int, _limit("GET requests with wait=true at the same time; further requests are answered with 503.")
    ] = 1000
    queue_timeout: Annotated[
        float, _patience("How long a request waits for its turn; after that it is answered with 503.")
    ] = 10.0
    wait_timeout: Annotated[float, _patience("How long a GET request with wait=true waits at most.")] = 30.0
    body_timeout: Annotated[float, _patience("How long header fields, and then a body, may take to arrive.")] = 30.0
    idle_timeout: Annotated[float, _patience("How long a connection without a request stays open.")] = 75.0
    shutdown_timeout: Annotated[
        float, _patience("How long requests in flight may take to finish after a signal to stop.")
    ] = 30.0
    idempotency_ttl: Annotated[
        int | str,
        Option(help="How long an Idempotency-Key is remembered.", group=_LIMITS, unit=DURATION, at_least=1),
    ] = "24h"

    def __post_init__(self) -> None:
        convert_values(self)

    def check(self) -> None:
        """Raises UsageError if a value is not what its option takes, or two options contradict each other."""
        check_declared(self)
        if self.max_buffered_bytes < self.max_body_bytes:
            raise UsageError(f"--max-buffered-bytes must not be below --max-body-bytes, not {self.max_buffered_bytes}")
        if self.redis in (EMBEDDED, DISCARD):
            raise UsageError(f"--redis {self.redis} is for load only", "Give the URL of a server")
        for origin in self.cors_origin:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise UsageError(
                    f"--cors-origin {origin} is not an origin",
                    "Give it as browsers send it, such as https://example.com",
                )
        if self.otlp is not None:
            check_otlp(self.otlp)
        self.load_options().check()

    @property
    def idempotency_seconds(self) -> int:
        """``idempotency_ttl`` in seconds."""
        return seconds(self.idempotency_ttl)

    @property
    def defaults(self) -> Profile:
        """The defaults for options that are not given."""
        return self.load_options().defaults

    def load_options(self, timeout: int = 0) -> LoadOptions:
        """The options of a load whose encoders write the gateway's tasks.

        Args:
            timeout: Seconds a task may run; 0 for the value in the options or the profile, ``SINGLE`` for that of
                ``POST /queue/add``. The documented layout has no timeout.
        """
        # runqy's workers read these two fields of the hash, not the message. The runqy server writes them as well
        # (2cc2434, ``EnqueueGenericTask``).
        for_runqy = self.layout == "asynq" and self.profile != "asynq"
        given = timeout if timeout > 0 and self.layout != "documented" else self.task_timeout
        is_default = given is None and timeout == SINGLE and for_runqy
        return LoadOptions(
            queue="any",
            layout=self.layout,
            profile=self.profile,
            compact=self.compact,
            type=self.type,
            max_retry=self.max_retry,
            task_timeout=_SINGLE_SECONDS if is_default else given,
            retention=self.retention,
            active_timeout=given if for_runqy else None,
            ttl_completed=self.retention if for_runqy else None,
        )
