"""A worker as a process: `python -m remotecalls.tuplespaces.dataflow.worker ADDRESS STAGE`.

The stage is JSON with the fields of `Stage`. The process writes "ready" when it is connected, and
ends when its standard input does, which is when whoever started it has ended.
"""

from __future__ import annotations

import asyncio
import json
import sys

from remotecalls.tuplespaces import RemoteTupleSpace, SpaceClosed
from remotecalls.tuplespaces.dataflow.stage import Stage, run_stage
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ConnectionLost


async def main() -> None:
    """Run one stage until standard input ends."""
    address, stage = Address.parse(sys.argv[1]), Stage(**json.loads(sys.argv[2]))
    async with RemoteTupleSpace(address) as space:
        print("ready", flush=True)
        working = asyncio.create_task(run_stage(space, stage))
        parent = asyncio.create_task(_end_of_input())
        await asyncio.wait({working, parent}, return_when=asyncio.FIRST_COMPLETED)
        for task in (working, parent):
            task.cancel()
        results = await asyncio.gather(working, parent, return_exceptions=True)
    # The space may be stopped before its workers are. Anything else is an error of ours.
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, ConnectionLost | SpaceClosed):
            raise result


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        await reader.read()
    finally:
        transport.close()


if __name__ == "__main__":
    asyncio.run(main())
