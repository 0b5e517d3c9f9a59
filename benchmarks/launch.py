"""Starts one program, waits for it and its children, and writes what they used. ``measure`` runs it as a script.

It is a process of its own, and a small one, for two reasons. On Linux, a new process begins with the peak memory of the
process that made it, and the harness is large. And its ``wait4`` counts exactly one contestant.

    python -I -S launch.py RESULT STDIN PROGRAM [ARGUMENT...]
"""

import os
import sys
import time


def main(result: str, stdin: str, command: list[str]) -> None:
    """Writes one line to RESULT: status, wall, user and system seconds, peak resident bytes of the largest process."""
    actions = [(os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0)]
    started = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - started
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    code = os.waitstatus_to_exitcode(status)
    with open(result, "w") as file:  # noqa: PTH123 - pathlib takes memory, which the child would inherit as its peak
        print(code, wall, usage.ru_utime, usage.ru_stime, peak, file=file)


main(sys.argv[1], sys.argv[2], sys.argv[3:])
