"""Erlang/OTP itself, called from Python.

    async with running_node() as node:
        await start_shop(node)
        await node.call("customer_server", (Atom("add_customer"), "ada", "Ada", 5_000))
        await node.kill("customer_server")      # and OTP starts it again

It is asynchronous, as the other servers of this book are, for a reason of its own: a node takes
many calls at once over one connection, and what is of interest is what happens to all of them when
a process that serves them is killed.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from remotecalls.actors.otp.connection import Connection, connected
from remotecalls.actors.otp.errors import NoSuchServer, RemoteFailure
from remotecalls.actors.otp.program import NodeProcess, node_process
from remotecalls.actors.otp.terms import Atom, Pid, Term, describe, why
from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline

CALL_SECONDS = 5.0
"""How long a call may take; `gen_server:call` has the same default."""

POLL_SECONDS = 0.005


class OtpNode:
    """A running node, and our connection to it."""

    def __init__(self, process: NodeProcess, connection: Connection) -> None:
        self._process = process
        self._connection = connection

    @property
    def name(self) -> str:
        """The node's name in full."""
        return self._process.name

    @property
    def process_id(self) -> int:
        """The operating system's number of its process."""
        return self._process.process_id

    @property
    def cookie(self) -> str:
        """What another node must know to speak with it."""
        return self._process.cookie

    @property
    def address(self) -> Address:
        """Where it listens for other nodes."""
        return self._process.address

    @property
    def log(self) -> deque[str]:
        """Its last lines."""
        return self._process.log

    @property
    def late(self) -> int:
        """How many answers came after their call had been given up, and were dropped."""
        return self._connection.late

    async def call(self, server: str, request: Term, timeout: float = CALL_SECONDS) -> Term:
        """Call a registered process as `gen_server:call` does.

        Args:
            server: the name under which it is registered.
            request: what its `handle_call` is given.
            timeout: seconds.

        Raises:
            DeadlineExceeded: no answer came in time. The process may still carry it out.
            ServerDown: the process ended first, and says why; `NoSuchServer` if there was none.
            ConnectionLost: the node ended first; `Unavailable` if it had ended before.
            Untranslatable: the request has no term, or the answer no value.
        """
        return await self._connection.call(server, request, timeout)

    def cast(self, server: str, message: Term) -> None:
        """Send a message to a registered process. Nothing tells whether it arrives.

        Raises:
            Unavailable: the node has ended.
            Untranslatable: the message has no term.
        """
        self._connection.cast(server, message)

    async def rpc(
        self, module: str, function: str, *arguments: Term, timeout: float = CALL_SECONDS
    ) -> Term:
        """Call a function on the node, in a process of its own.

        Raises:
            RemoteFailure: it raised an exception, and says which.
            DeadlineExceeded: it did not return in time. It goes on.
            ConnectionLost: the node ended first; `Unavailable` if it had ended before.
            Untranslatable: an argument has no term, or the result no value.
        """
        # `user` as the group leader: what the function prints goes into the node's log.
        request = (Atom("call"), Atom(module), Atom(function), list(arguments), Atom("user"))
        match await self._connection.call("rex", request, timeout):
            case (Atom(name="badrpc"), reason):
                raise RemoteFailure(f"{module}:{function}", reason, why(reason))
            case result:
                return result

    async def whereis(self, name: str) -> Pid | None:
        """The process that is registered under a name, if any is."""
        found = await self.rpc("erlang", "whereis", Atom(name))
        return found if isinstance(found, Pid) else None

    async def kill(self, name: str, timeout: float = CALL_SECONDS) -> Pid:
        """Kill the process that is registered under a name, and wait until it has ended.

        Returns:
            The process that was killed. Another may have the name by now.

        Raises:
            NoSuchServer: no process has the name.
        """
        pid = await self.whereis(name)
        if pid is None:
            raise NoSuchServer(name, Atom("noproc"), f"is not registered on {self.name}")
        await self._connection.end(pid, Atom("kill"), timeout)
        return pid

    async def restarted(self, name: str, killed: Pid, timeout: float = CALL_SECONDS) -> Pid:
        """Wait until another process has the name.

        Raises:
            DeadlineExceeded: none has taken it in time.
        """
        async with Deadline.after(timeout).enforced():
            while True:
                found = await self.whereis(name)
                if found is not None and found != killed:
                    return found
                await asyncio.sleep(POLL_SECONDS)

    async def children(self, supervisor: str) -> dict[str, Pid | None]:
        """The children of a supervisor by their names, in the order of their start.

        A child that is not running has None.

        Raises:
            RemoteFailure: there is no such supervisor.
        """
        # which_children has the last started first
        found = await self.rpc("supervisor", "which_children", Atom(supervisor))
        assert isinstance(found, list)
        return {
            describe(name): pid if isinstance(pid, Pid) else None
            for name, pid, _, _ in reversed(found)
        }

    async def introduce(self, other: OtpNode, through: Address | None = None) -> None:
        """Tell the node where another one listens and what its cookie is.

        They connect when a process on this node first sends something to the other.

        Args:
            other: the other node.
            through: where to connect in its stead, for instance to a tap before it.
        """
        host = through or other.address
        await self.rpc("node_directory", "learn", other.name.partition("@")[0], host.port)
        await self.rpc("erlang", "set_cookie", Atom(other.name), Atom(other.cookie))


@asynccontextmanager
async def running_node(
    *, schedulers: int | None = None, tick_seconds: int | None = None
) -> AsyncIterator[OtpNode]:
    """Run an Erlang node and stay connected to it for as long as the block lasts.

    Args:
        schedulers: threads that run Erlang processes; as many as there are cores by default.
        tick_seconds: after about so many seconds of silence another node counts as gone; 60 by
            default.

    Raises:
        NodeFailed: there is no OTP here, or the node does not start.
    """
    ours = f"python-{secrets.token_hex(4)}@127.0.0.1"
    async with (
        node_process(schedulers=schedulers, tick_seconds=tick_seconds) as process,
        connected(process.address, cookie=process.cookie, name=ours) as connection,
    ):
        yield OtpNode(process, connection)
