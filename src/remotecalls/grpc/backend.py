"""One of several servers of the shop, which says who it is and does what it is told.

`python -m remotecalls.grpc.backend NAME` serves the sample shop until its standard input ends. Each
line that it reads there is a command: `fail` (answer UNAVAILABLE, at once), `recover`, `drain` (say
by the health protocol that it is not serving, and serve), `serve` (say that it is again).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc

from remotecalls.grpc.interception import Aspect, Call
from remotecalls.grpc.server import SHOP, GrpcServer, serve
from remotecalls.grpc.settings import ServerSettings
from remotecalls.shop import Shop
from remotecalls.shop.sample import stock

SERVED_BY = "served-by"
"""Key of the metadata behind each answer, whose value is the name of the server."""
COMMANDS = ("fail", "recover", "drain", "serve")


class Obedient(Aspect):
    """Names the server, makes it slow, and lets it fail.

    Args:
        name: of the server.
        delay: seconds before it begins to work on a call.
    """

    def __init__(self, name: str, delay: float) -> None:
        self.fails = False
        self._name = name
        self._delay = delay

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """See `Aspect`."""
        if not call.method.startswith(f"/{SHOP}/"):
            yield  # health answers for itself
            return
        call.context.set_trailing_metadata(((SERVED_BY, self._name),))
        if self.fails:
            await call.context.abort(
                grpc.StatusCode.UNAVAILABLE,
                f"{self._name} was told to fail",
                trailing_metadata=((SERVED_BY, self._name),),
            )
        if self._delay:
            await asyncio.sleep(self._delay)
        yield


async def main(arguments: Sequence[str] | None = None) -> None:
    """Serve, and obey, until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="what it calls itself")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each call (0)")
    parser.add_argument("--connection-age", type=float, help="seconds; unlimited by default")
    options = parser.parse_args(arguments)
    obedient = Obedient(options.name, options.delay)
    settings = ServerSettings(longest_connection=options.connection_age, grace=0.5)
    async with serve(stock(Shop()), settings=settings, interceptors=[obedient]) as server:
        print(f"listening on {server.address}", flush=True)
        await _obey(server, obedient)


async def _obey(server: GrpcServer, obedient: Obedient) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        match line.strip():
            case "fail" | "recover" as command:
                obedient.fails = command == "fail"
            case "drain" | "serve" as command:
                await server.say_serving(command == "serve")
            case unknown:
                print(f"{unknown!r} is none of {', '.join(COMMANDS)}", file=sys.stderr)
                continue
        print("done", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
