"""The interface as data: what a proxy or a generic client has to know."""

from __future__ import annotations

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2

from remotecalls.grpc.generated.shop.v1 import shop_pb2


def shop_descriptors() -> bytes:
    """The shop's file with all that it imports, and the messages that a status may carry."""
    files = FileDescriptorSet()
    seen: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name in seen:
            return
        seen.add(file.name)
        for imported in file.dependencies:
            add(imported)
        file.CopyToProto(files.file.add())

    add(shop_pb2.DESCRIPTOR)
    add(error_details_pb2.DESCRIPTOR)
    return bytes(files.SerializeToString())
