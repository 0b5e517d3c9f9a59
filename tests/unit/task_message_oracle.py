"""Google's protobuf as an oracle: the class of asynq's TaskMessage, compiled from task_message.proto when asked for."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from grpc_tools import protoc

PROTO = Path(__file__).with_name("task_message.proto")


@functools.cache
def task_message_class() -> type[Message]:
    """The message class; its instances take the fields of the .proto file as keywords."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "compiled"
        status = protoc.main(["protoc", f"-I{PROTO.parent}", f"--descriptor_set_out={compiled}", PROTO.name])
        assert status == 0, f"protoc does not compile {PROTO.name}; it said why on stderr"
        files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    (file,) = files.file
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.TaskMessage"))


def encode(**fields: object) -> bytes:
    """The bytes that protobuf writes for these fields; headers in the order of their keys."""
    return task_message_class()(**fields).SerializeToString(deterministic=True)


def decode(data: bytes) -> dict[str, object]:
    """The fields that are on the wire (a zero or empty value is not), in the order of their numbers.

    Raises:
        google.protobuf.message.DecodeError: The bytes are no message, or a string in it is not UTF-8.
        AssertionError: There is a field that the message does not have.
    """
    message = task_message_class().FromString(data)
    size = message.ByteSize()
    message.DiscardUnknownFields()
    assert message.ByteSize() == size, "a field that TaskMessage does not have"
    found: dict[str, object] = {}
    for field, value in message.ListFields():
        found[field.name] = dict(value) if field.name == "headers" else value
    return found
