"""asynq's TaskMessage, read and written by Google's protobuf, without any code of the loader."""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELDS = (
    ("type", 1, "TYPE_STRING"),
    ("payload", 2, "TYPE_BYTES"),
    ("id", 3, "TYPE_STRING"),
    ("queue", 4, "TYPE_STRING"),
    ("retry", 5, "TYPE_INT32"),
    ("timeout", 8, "TYPE_INT64"),
    ("deadline", 9, "TYPE_INT64"),
    ("unique_key", 10, "TYPE_STRING"),
    ("retention", 12, "TYPE_INT64"),
)
"""Name, number and type of the fields of a new task (asynq 0.26, ``internal/proto/asynq.proto``), without headers."""


@cache
def task_message() -> Any:
    """The class of the message, made at first use."""
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="benchmarks.proto", package="benchmarks", syntax="proto3")
    message = file.message_type.add(name="TaskMessage")
    for name, number, type_name in _FIELDS:
        message.field.add(name=name, number=number, type=kind.Type.Value(type_name), label=kind.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("benchmarks.TaskMessage"))
