"""Patterns over the keys of objects, with the meaning that Python's ``glob`` gives to them on paths. No I/O."""

from __future__ import annotations

import re

_MAGIC = re.compile(r"[*?[]")
_NOT_HIDDEN = r"(?!\.)"


def has_magic(key: str) -> bool:
    """Whether a key is a pattern."""
    return _MAGIC.search(key) is not None


def folder_before(pattern: str) -> str:
    """What all matches of a pattern begin with, up to a slash; empty if there is no such part."""
    found = _MAGIC.search(pattern)
    plain = pattern if found is None else pattern[: found.start()]
    return plain[: plain.rfind("/") + 1]


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression for whole keys.

    ``*`` and ``?`` stop at a slash, ``**`` as a whole part matches any number of folders, and none of them matches a
    part that begins with a dot, as with ``glob.glob(pattern, recursive=True)``.
    """
    parts = pattern.split("/")
    found: list[str] = []
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        if part == "**":
            inner = rf"(?:{_NOT_HIDDEN}[^/]+/)*"
            found.append(f"{inner}{_NOT_HIDDEN}[^/]+" if is_last else inner)
        else:
            found.append(_part(part) + ("" if is_last else "/"))
    return re.compile("".join(found), re.DOTALL)


def may_lead(pattern: str, folder: str) -> bool:
    """Whether a key below a folder may match a pattern, or lie below a folder that matches it.

    Args:
        folder: With a slash at its end.
    """
    for wanted, part in zip(pattern.split("/"), folder.rstrip("/").split("/"), strict=False):
        if wanted == "**":
            return True
        if re.fullmatch(_part(wanted), part, re.DOTALL) is None:
            return False
    return True


def _part(part: str) -> str:
    """One part of a pattern between two slashes; see ``fnmatch`` for what it may have."""
    out = [_NOT_HIDDEN] if part[:1] in ("*", "?", "[") else []
    at = 0
    while at < len(part):
        mark = part[at]
        at += 1
        if mark == "*":
            while at < len(part) and part[at] == "*":
                at += 1
            out.append("[^/]*")
        elif mark == "?":
            out.append("[^/]")
        elif mark == "[" and (end := _end_of_set(part, at)) > 0:
            out.append(_set(part[at:end]))
            at = end + 1
        else:
            out.append(re.escape(mark))
    return "".join(out)


def _end_of_set(part: str, at: int) -> int:
    """Where the ``]`` of a set is; -1 if there is none. A ``]`` in the first place is a member of it."""
    first = at + 1 if part[at : at + 1] == "!" else at
    return part.find("]", first + 1 if part[first : first + 1] == "]" else first)


def _set(members: str) -> str:
    negated = members.startswith("!")
    members = members[1:] if negated else members
    found: list[str] = []
    at = 0
    while at < len(members):
        if members[at + 1 : at + 2] == "-" and at + 2 < len(members):
            first, last = members[at], members[at + 2]
            if first <= last:  # a range that is the wrong way round has no members
                found.append(f"{re.escape(first)}-{re.escape(last)}")
            at += 3
        else:
            found.append(re.escape(members[at]))
            at += 1
    if not found:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{''.join(found)}]"
