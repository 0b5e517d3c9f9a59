"""Records that carry a task's options around its payload (``--envelope``). docs/layouts.md describes the format."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import replace
from operator import attrgetter
from typing import Any, Literal

import msgspec

from loader.tasks.json_grammar import check
from loader.tasks.options import LIFECYCLE, OWN_FIELDS, Past, TaskOptions
from loader.tasks.reasons import ReasonCode, UnusableRecordError
from loader.tasks.times import instant, seconds

_DURATIONS = ("timeout", "retention", "unique_ttl", "process_in", *LIFECYCLE)
_ASYNQ_ONLY = (*_DURATIONS, "deadline", "process_at", "headers")
_ASYNQ_STATE = ("group", "state", "last_error", "last_failed_at")
_plain_options_of = attrgetter("type", "max_retry", *_DURATIONS, "deadline", "process_at")
_MAX_KNOWN = 10_000

VERSION = 2
"""Of the format. Version 1 ends with 'active_timeout', and drops zeros of the lifecycle."""


class Envelope(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True, kw_only=True):
    """One record. Options that it leaves out are taken from the load's own options.

    The payload is either ``payload``, any JSON value, which is kept byte for byte, or ``payload_base64``, any bytes.
    """

    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    payload_base64: str | msgspec.UnsetType = msgspec.UNSET
    id: str | int | None = None
    queue: str | None = None
    type: str | None = None
    max_retry: int | None = None
    timeout: int | str | None = None
    deadline: float | str | None = None
    retention: int | str | None = None
    headers: dict[str, str] | None = None
    unique_ttl: int | str | None = None
    process_at: float | str | None = None
    process_in: int | str | None = None
    ttl_completed: int | str | None = None
    ttl_archived: int | str | None = None
    pending_timeout: int | str | None = None
    active_timeout: int | str | None = None

    def payload_bytes(self) -> bytes:
        """The payload. Raises UnusableRecordError if there is none, if there are two, or if one is not base64."""
        if (self.payload is msgspec.UNSET) == (self.payload_base64 is msgspec.UNSET):
            raise _unusable("the record needs one of the fields 'payload' and 'payload_base64'")
        if isinstance(self.payload, msgspec.Raw):
            return bytes(self.payload)
        return _from_base64("payload_base64", str(self.payload_base64))


class StatefulEnvelope(Envelope, forbid_unknown_fields=True, frozen=True, omit_defaults=True, kw_only=True):
    """A record with fields of version 2: with what an export keeps of a task's state."""

    v: int | None = None
    group: str | None = None
    state: Literal["pending", "aggregating"] | None = None
    retried: int | None = None
    last_error: str | None = None
    last_failed_at: float | str | None = None
    fields: dict[str, str] | None = None
    fields_base64: dict[str, str] | None = None


class _Bare(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An envelope that holds only a payload."""

    payload: msgspec.Raw


_ODD_FIELD = "a field besides 'payload' holds a lone surrogate, or is nested too deeply"


class EnvelopeReader:
    """Reads the envelopes of one load.

    Args:
        defaults: The load's own options.
        timeout: Default timeout in seconds, for tasks whose record and load give neither a timeout nor a deadline.
            None if the load gives a timeout.
        needs_type: Whether each record must have a type.
        asynq: Whether the layout can hold all options. The documented layout holds only a type and a maximum of
            retries.
        groups: Whether the workers aggregate groups of tasks.

    Attributes:
        defaults: As given.
    """

    def __init__(
        self,
        defaults: TaskOptions,
        *,
        timeout: int | None,
        asynq: bool,
        needs_type: bool = False,
        groups: bool = False,
    ) -> None:
        self.defaults = defaults
        self._needs_type = needs_type
        self._groups = groups
        self._timeout = timeout
        self._asynq = asynq
        self._decode = msgspec.json.Decoder(Envelope).decode
        self._decode_stateful = msgspec.json.Decoder(StatefulEnvelope).decode
        self._decode_bare = msgspec.json.Decoder(_Bare).decode
        self._known: dict[tuple[Any, ...], TaskOptions] = {}

    def payloads(self, records: Iterable[bytes]) -> list[bytes] | None:
        """The payloads, if every record is an envelope that holds only a payload; otherwise None.

        Hot path: for such records, this takes a quarter of the time of ``read``.
        """
        if self._needs_type:
            return None
        try:
            return [bytes(bare.payload) for bare in map(self._decode_bare, records)]
        except (msgspec.DecodeError, RecursionError):
            return None  # ``read`` reports the reason

    def read(self, record: bytes) -> tuple[Envelope, TaskOptions]:
        """An envelope and its task's options. If it changes no option, these are the object ``defaults`` itself.

        Raises:
            UnusableRecordError: The record is not an envelope; the message says which field is wrong.
        """
        try:
            envelope = self._decode(record)
        except msgspec.ValidationError:
            # Hot path: records without a state, which are most, pay nothing for its fields.
            return self._read_stateful(record)
        except (msgspec.DecodeError, RecursionError):
            emptied, payload = _without_payload(record)
            try:
                envelope = msgspec.structs.replace(self._decode(emptied), payload=payload)
            except msgspec.ValidationError:
                return self._read_stateful(emptied, payload)
            except (msgspec.DecodeError, RecursionError):
                raise _unusable(_ODD_FIELD) from None
        # Hot path: most records set the same options, so the options made for them are kept and used again.
        headers = None if envelope.headers is None else tuple(sorted(envelope.headers.items()))
        cache_key = (headers, *_plain_options_of(envelope))
        try:
            return envelope, self._known[cache_key]
        except KeyError:
            options = self._options(envelope)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[cache_key] = options
        return envelope, options

    def _read_stateful(self, record: bytes, payload: msgspec.Raw | None = None) -> tuple[Envelope, TaskOptions]:
        """Reads an envelope that may have the fields of a task with a state.

        Args:
            payload: The payload, if the record has null in its place.
        """
        try:
            envelope = self._decode_stateful(record)
        except msgspec.ValidationError as error:
            raise _unusable(f"not an envelope: {error}") from error
        except (msgspec.DecodeError, RecursionError):
            if payload is not None:
                raise _unusable(_ODD_FIELD) from None
            return self._read_stateful(*_without_payload(record))
        if payload is not None:
            envelope = msgspec.structs.replace(envelope, payload=payload)
        return envelope, self._with_state(envelope, self._options(envelope))

    def _options(self, envelope: Envelope) -> TaskOptions:
        given: dict[str, Any] = {}
        if envelope.type is None and self._needs_type:
            raise _unusable("the record has no field 'type', and --type gives none: no handler would be found")
        if envelope.type is not None:
            if not envelope.type or not envelope.type.isprintable():
                raise _unusable("field 'type' is empty or holds control characters")
            given["type"] = envelope.type
        if envelope.max_retry is not None:
            if not 0 <= envelope.max_retry < 2**31:
                raise _unusable("field 'max_retry' must be between 0 and 2147483647")
            given["max_retry"] = envelope.max_retry
        for name in _ASYNQ_ONLY:
            value = getattr(envelope, name)
            if value is None:
                continue
            if not self._asynq:
                raise _unusable(f"field {name!r} needs --layout asynq")
            if name == "headers":
                given[name] = tuple(sorted(value.items()))
                continue
            try:
                given[name] = seconds(value) if name in _DURATIONS else instant(value)
            except ValueError as error:
                raise _unusable(f"field {name!r}: {error}") from error
        if self._timeout is not None and "deadline" in given and "timeout" not in given:
            # The profile's timeout applies only if nothing else limits the task, and a deadline of 0 is none.
            given["timeout"] = 0 if given["deadline"] else self._timeout
        if "process_at" in given or "process_in" in given:  # the record's start time replaces the load's
            given = {"process_at": 0, "process_in": 0, **given}
        options = replace(self.defaults, **given)
        return self.defaults if options == self.defaults else options

    def _with_state(self, envelope: StatefulEnvelope, options: TaskOptions) -> TaskOptions:
        """The options with what an export has kept of a task's state."""
        if envelope.v is not None and not 1 <= envelope.v <= VERSION:
            raise _unusable(
                f"it is an envelope of version {envelope.v}, and this loader reads 1 to {VERSION}: update the loader"
            )
        for name in _ASYNQ_STATE:
            if not self._asynq and getattr(envelope, name) is not None:
                raise _unusable(f"field {name!r} needs --layout asynq")
        past = Past(
            retried=_whole("retried", envelope.retried, 2**31 - 1),
            last_error=envelope.last_error or "",
            last_failed_at=_failed_at(envelope),
        )
        waits_in_group = self._waits_in_group(envelope, options)
        further = _further(envelope)
        reserved = OWN_FIELDS["asynq" if self._asynq else "documented"]
        if taken := {name for name, _ in further} & (reserved | {b"group"} if waits_in_group else reserved):
            raise _unusable(f"field 'fields' may not hold {min(taken).decode()!r}, which the layout itself writes")
        return replace(
            options,
            group=envelope.group or "",
            waits_in_group=waits_in_group,
            past=past,
            fields=options.fields + further,
        )

    def _waits_in_group(self, envelope: StatefulEnvelope, options: TaskOptions) -> bool:
        if envelope.group is None:
            if envelope.state == "aggregating":
                raise _unusable("field 'state' is 'aggregating', and there is no field 'group'")
            return False
        if not envelope.group.strip():
            raise _unusable("field 'group' is empty")
        if envelope.state == "pending":
            return False
        if not self._groups:
            raise _unusable(
                "field 'group' needs --profile asynq, since runqy's workers take no tasks from groups; "
                "with 'state': 'pending' the task is not put into its group"
            )
        if options.process_at or options.process_in:
            raise _unusable("it has a group and a start time, and asynq groups no task that has a start time")
        return True


def _unusable(text: str) -> UnusableRecordError:
    return UnusableRecordError(ReasonCode.BAD_ENVELOPE, text)


def _whole(name: str, value: int | None, most: int) -> int:
    if value is None:
        return 0
    if not 0 <= value <= most:
        raise _unusable(f"field {name!r} must be between 0 and {most}")
    return value


def _failed_at(envelope: StatefulEnvelope) -> int:
    try:
        return 0 if envelope.last_failed_at is None else instant(envelope.last_failed_at)
    except ValueError as error:
        raise _unusable(f"field 'last_failed_at': {error}") from error


def _further(envelope: StatefulEnvelope) -> tuple[tuple[bytes, bytes], ...]:
    """The further fields of the hash. Names and values of ``fields_base64`` are both base64."""
    found = {name.encode(): value.encode() for name, value in (envelope.fields or {}).items()}
    for name, value in (envelope.fields_base64 or {}).items():
        found[_from_base64("fields_base64", name)] = _from_base64("fields_base64", value)
    return tuple(found.items())


def _from_base64(field: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:  # binascii.Error is one
        raise _unusable(f"field {field!r} is not base64: {error}") from error


def _without_payload(record: bytes) -> tuple[bytes, msgspec.Raw]:
    """The record with null for its payload, and the payload.

    For payloads that msgspec cannot read: they are nested deeply, or hold a lone surrogate.

    Raises:
        UnusableRecordError: The record is not JSON.
    """
    try:
        text = record.decode()
        members = check(text).members or {}
    except ValueError as error:  # UnicodeDecodeError and NotJsonError
        raise UnusableRecordError(ReasonCode.INVALID_JSON, f"not valid JSON: {error}") from error
    begin, end = members.get("payload", (0, 0))
    return f"{text[:begin]}null{text[end:]}".encode(), msgspec.Raw(text[begin:end].encode())
