"""Options of tasks that the workers of a profile do not honour.

Facts: runqy-worker 06e5d9b (June 2026), ``internal/redis/redis.go``. Of asynq's message it reads type, payload and
retries only. It compares ``pending_since`` as seconds, and every producer writes nanoseconds. docs/layouts.md has the
whole table.
"""

from __future__ import annotations

from loader.preflight.checks import Finding
from loader.preflight.consumers import Registered
from loader.settings import LoadOptions
from loader.settings.option import flag_of

_INSTEAD = {
    "task_timeout": "active_timeout",
    "retention": "ttl_completed",
    "deadline": "",
    "header": "",
    "pending_timeout": "",
}
"""Options that runqy's workers ignore, each with the one that they honour instead."""


def ignored_findings(options: LoadOptions, registered: Registered) -> list[Finding]:
    """A warning if the load gives options that runqy's workers ignore, and no asynq server is registered.

    Args:
        registered: The consumers of the server.
    """
    if options.layout != "asynq" or options.profile == "asynq" or registered.has_asynq_servers:
        return []
    given = [name for name in _INSTEAD if getattr(options, name) not in (None, ())]
    ignored = [name for name in given if not _INSTEAD[name] or getattr(options, _INSTEAD[name]) is None]
    if not ignored:
        return []
    instead = [f"{flag_of(_INSTEAD[name])} in place of {flag_of(name)}" for name in ignored if _INSTEAD[name]]
    hint = f"Give {', '.join(instead)}; see docs/layouts.md" if instead else "See docs/layouts.md"
    text = f"runqy's workers (runqy-worker, June 2026) ignore {', '.join(map(flag_of, ignored))}"
    return [Finding("ignored", "warning", text, hint)]
