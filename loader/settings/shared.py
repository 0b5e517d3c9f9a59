"""Options that several commands share, declared once. A command may change the default or the help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from loader.outputs.names import JSON_LINES, RECORDS
from loader.settings.error_limit import problem as error_limit_problem
from loader.settings.keep import keep_problem
from loader.settings.option import COUNT, DURATION, LIMIT, Excludes, FromVariable, Needs, Option
from loader.tasks.profiles import LayoutChoice, ProfileName

DEFAULT_REDIS = "redis://localhost:6379/0"
SERVER = "Server"
JOB = "Job and failures"

REDIS_URL = FromVariable("REDIS_URL", DEFAULT_REDIS)
"""The default of ``redis``, also for programs that use the Python API."""

REDIS = Option(
    help="Server: redis://, rediss:// or unix:// URL, or redis+sentinel:// for one that Sentinel watches (also from "
    "REDIS_URL); see docs/servers.md.",
    group=SERVER,
    unit="URL",
    env=(REDIS_URL.variable,),
)
PASSWORD_VARIABLE = "RUNQY_LOADER_REDIS_PASSWORD"  # noqa: S105 - a name
"""The environment variable with the server's password, if the URL has none and no option names one."""

REDIS_PASSWORD_COMMAND = Option(
    help="Command that prints the server's password on its first line. It runs in a shell, and again when the server "
    "refuses what it gave.",
    group=SERVER,
    unit="COMMAND",
    env=("RUNQY_LOADER_REDIS_PASSWORD_COMMAND",),
)
REDIS_PASSWORD_FILE = Option(
    help="File whose first line is the server's password, in place of one in the URL, which process lists show (also "
    f"from the variable {PASSWORD_VARIABLE}).",
    group=SERVER,
    unit="FILE",
    env=("RUNQY_LOADER_REDIS_PASSWORD_FILE",),
    goes_with=(Excludes("redis_password_command"),),
)
TIMEOUT = Option(
    help="How long a connection may stay without any reply from the server before it counts as lost.",
    group=SERVER,
    unit=DURATION,
    above=0,
)
RETRY_FOR = Option(
    help="How long to wait without progress for a server that is unreachable, loading, busy, or refuses writes for a "
    "time (a failover, too few replicas, a full disk).",
    group=SERVER,
    unit=DURATION,
    at_least=0,
)
OUTPUT = Option(
    help="File to write, compressed if its name ends in .gz; '-' for standard output.",
    group="Output",
    short="-o",
    unit="FILE",
    writes=RECORDS,
)

FORCE_SCHEDULE = Option(
    help="Load tasks with a start time although no server is seen that would run them when they are due; see "
    "docs/layouts.md.",
    group=SERVER,
)
FORCE_QUEUE = Option(
    help="Go on although workers serve a queue of nearly the same name, and none serves this one; see docs/doctor.md.",
    group=SERVER,
)
FORCE_LAYOUT = Option(
    help="Go on although the target seems to be used with another layout; see docs/doctor.md.", group=SERVER
)
QUEUES_FILE = Option(
    help="Queues that exist: runqy's YAML file, or a directory of such files. Checked before the first write.",
    group=SERVER,
    unit="PATH",
)
QUEUE_CHECK = Option(
    help="'redis' checks before the first write whether queues are in the server's set asynq:queues.", group=SERVER
)
CompactMode = Literal["auto", "always", "never"]

COMPACT = Option(
    help="Hand tasks over ready-made, by RESTORE: for less of the server's memory, and on Redis in less of its time. "
    "'auto' does so where the server takes them and payloads are short; 'always' refuses to start if it does not take "
    "them; see docs/compact.md.",
    group=SERVER,
)
LAYOUT = Option(
    help="Redis keys to write: 'documented' are the keys in runqy's enqueueing guide; 'asynq' are the keys that "
    "runqy's workers since January 2026 and all asynq workers read; 'auto' chooses by the server's workers and keys, "
    "and is 'documented' if there are none. See docs/layouts.md.",
    group="Tasks",
)
LAYOUT_TO_READ = Option(
    help="Redis keys to read: 'documented' are the keys in runqy's enqueueing guide; 'asynq' are the keys of asynq's "
    "workers, and of runqy's workers since January 2026; 'auto' reads those that hold the queue's tasks.",
    group="Source",
)
NEEDS_ASYNQ_LAYOUT = Needs("layout", "asynq", when="asynq", later="auto", hint="asynq's workers read no other layout")
PROFILE = Option(
    help="In layout asynq, whose defaults apply: runqy's (type is the queue's name, 3 retries, timeout 30s, "
    "retention 24h, NAME means NAME.default) or asynq's (--type is needed, 25 retries, timeout 30m).",
    group="Tasks",
    default_text="runqy",
    goes_with=(NEEDS_ASYNQ_LAYOUT,),
)


def _printable(value: str) -> str | None:
    return None if value.isprintable() else "must not hold control characters"


TYPE = Option(
    help="Task type.",
    group="Tasks",
    unit="NAME",
    default_text="'task' in the documented layout, else the profile's default",
    rule=_printable,
)
MAX_RETRY = Option(
    help="How often a worker may retry a task.",
    group="Tasks",
    unit=COUNT,
    at_least=0,
    at_most=2**31 - 1,
    default_text="3, with --profile asynq 25",
)


API_KEY_VARIABLE = "RUNQY_API_KEY"
"""The environment variable with the API key, if no other variable is given."""

API_KEY_ENV = Option(
    help="Environment variable with the server's API key.",
    group="HTTP",
    unit="VARIABLE",
    default_text=f"{API_KEY_VARIABLE}, if it is set",
)


def is_job_name(name: str) -> bool:
    """Whether a job may have this name. It becomes a part of keys, connection names and file names."""
    return 0 < len(name) <= 100 and name.isascii() and all(c.isalnum() or c in "._-" for c in name)


def _job_name(value: str) -> str | None:
    return None if is_job_name(value) else "may hold letters, digits, '.', '_' and '-' only, at most 100"


JOB_NAME = Option(
    help="Name of the job; the same job never loads a record twice.",
    group=JOB,
    short="-j",
    unit="NAME",
    default_text="derived from the content of the input, and where it goes",
    rule=_job_name,
)
KEEP_JOB = Option(
    help="How long the record of the job is kept after it has finished: a duration, or 'forever'. Until then, the same "
    "input is not loaded a second time unnoticed. See docs/jobs.md.",
    group=JOB,
    unit="DURATION|forever",
    rule=keep_problem,
)
REJECTS = Option(
    help="File for rejected records, as JSON lines. It is created for the first rejected record.",
    group=JOB,
    unit="FILE",
    writes=JSON_LINES,
    default_text="JOB.rejects.jsonl",
)
MAX_ERRORS = Option(
    help="Stop when more than this many records are rejected (100; 0 stops at the first) or more than this share (5%, "
    "judged from 1,000 records on and at the end). With 'none', nothing stops the load.",
    group=JOB,
    unit=LIMIT,
    default_text="stop if most of the first 1,000 records are bad, before anything is loaded",
    rule=error_limit_problem,
)
QUEUE = Option(
    help="Queue for the tasks; NAME alone means NAME.default, as in runqy.", group="Tasks", short="-q", unit="NAME"
)

Redis = Annotated[str, REDIS]
RedisPasswordFile = Annotated[Path | None, REDIS_PASSWORD_FILE]
RedisPasswordCommand = Annotated[str | None, REDIS_PASSWORD_COMMAND]
Timeout = Annotated[float, TIMEOUT]
RetryFor = Annotated[float, RETRY_FOR]
ForceLayout = Annotated[bool, FORCE_LAYOUT]
Profile = Annotated[ProfileName | None, PROFILE]
Layout = Annotated[LayoutChoice, LAYOUT]
Compact = Annotated[CompactMode, COMPACT]
