"""A tap: a proxy between clients and a server that records what crosses, and can break it.

A client that should be watched connects to the tap's address instead of the server's::

    async with Tap(server.address, faults=[Chop(1, direction=Direction.SERVER_TO_CLIENT)]) as tap:
        async with connect(tap.address, timeout=1.0) as client:
            await client.get_customer(42)
    print(tap.recording.stream(0, Direction.SERVER_TO_CLIENT))

Without faults both peers see what they would see of each other: the bytes and their order, an end
of stream in one direction while the other goes on, a reset, and back-pressure (the tap reads no
more from a sender than its receiver takes). One thing differs: the tap has accepted a client
before it knows whether the server will. A server that refuses shows as a reset.

`Tap` and `DatagramTap` run in the event loop of the caller. Blocking sockets in the same thread
would stop that loop and wait for ever; `ThreadedTap` and `ThreadedDatagramTap` are for them.
"""

from remotecalls.wire.tap_datagram import DatagramTap
from remotecalls.wire.tap_stream import Tap
from remotecalls.wire.tap_threaded import ThreadedDatagramTap, ThreadedTap

__all__ = ["DatagramTap", "Tap", "ThreadedDatagramTap", "ThreadedTap"]
