"""Records that carry a task's options around its payload (``--envelope``)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import replace
from operator import attrgetter
from typing import Any

import msgspec

from loader.tasks.json_grammar import check
from loader.tasks.options import LIFECYCLE, TaskOptions
from loader.tasks.reasons import ReasonCode, UnusableRecordError
from loader.tasks.times import instant, seconds

_DURATIONS = ("timeout", "retention", "unique_ttl", "process_in", *LIFECYCLE)
_ASYNQ_ONLY = (*_DURATIONS, "deadline", "process_at", "headers")
_plain_options_of = attrgetter("type", "max_retry", *_DURATIONS, "deadline", "process_at")
_MAX_KNOWN = 10_000


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
        try:
            return base64.b64decode(str(self.payload_base64), validate=True)
        except ValueError as error:  # binascii.Error is one
            raise _unusable(f"field 'payload_base64' is not base64: {error}") from error


class _Bare(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An envelope that holds only a payload."""

    payload: msgspec.Raw


class EnvelopeReader:
    """Reads the envelopes of one load.

    Args:
        defaults: The load's own options.
        timeout: Default timeout in seconds, for tasks whose record and load give neither a timeout nor a deadline.
            None if the load gives a timeout.
        needs_type: Whether each record must have a type.
        asynq: Whether the layout can hold all options. The documented layout holds only a type and a maximum of
            retries.

    Attributes:
        defaults: As given.
    """

    def __init__(self, defaults: TaskOptions, *, timeout: int | None, asynq: bool, needs_type: bool = False) -> None:
        self.defaults = defaults
        self._needs_type = needs_type
        self._timeout = timeout
        self._asynq = asynq
        self._decode = msgspec.json.Decoder(Envelope).decode
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
        except msgspec.ValidationError as error:
            raise _unusable(f"not an envelope: {error}") from error
        except (msgspec.DecodeError, RecursionError):
            envelope = self._decode_around_payload(record)
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

    def _decode_around_payload(self, record: bytes) -> Envelope:
        """An envelope whose payload msgspec cannot read: it is nested deeply, or holds a lone surrogate.

        Raises:
            UnusableRecordError: The record is not an envelope.
        """
        try:
            text = record.decode()
            members = check(text).members or {}
        except ValueError as error:  # UnicodeDecodeError and NotJsonError
            raise UnusableRecordError(ReasonCode.INVALID_JSON, f"not valid JSON: {error}") from error
        begin, end = next((span for name, span in members.items() if json.loads(f'"{name}"') == "payload"), (0, 0))
        try:
            envelope = self._decode(f"{text[:begin]}null{text[end:]}".encode())
        except msgspec.ValidationError as error:
            raise _unusable(f"not an envelope: {error}") from error
        except (msgspec.DecodeError, RecursionError):
            raise _unusable("a field besides 'payload' holds a lone surrogate, or is nested too deeply") from None
        return msgspec.structs.replace(envelope, payload=msgspec.Raw(text[begin:end].encode()))

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
        if self.defaults.timeout == self._timeout and "deadline" in given and "timeout" not in given:
            given["timeout"] = 0  # the profile's timeout applies only if nothing else limits the task
        if "process_at" in given or "process_in" in given:  # the record's start time replaces the load's
            given = {"process_at": 0, "process_in": 0, **given}
        options = replace(self.defaults, **given)
        return self.defaults if options == self.defaults else options


def _unusable(text: str) -> UnusableRecordError:
    return UnusableRecordError(ReasonCode.BAD_ENVELOPE, text)
