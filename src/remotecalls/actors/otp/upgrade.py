"""New code for a process that is running, and keeps its state.

Source: "Code Replacement", Erlang Reference Manual; `sys` in OTP's stdlib.
"""

from __future__ import annotations

from remotecalls.actors.otp.errors import RemoteFailure
from remotecalls.actors.otp.node import OtpNode
from remotecalls.actors.otp.program import CODE
from remotecalls.actors.otp.terms import Atom, describe


def first_version(module: str) -> bytes:
    """The module as the node has loaded it, compiled."""
    return (CODE / f"{module}.beam").read_bytes()


def second_version(module: str) -> bytes:
    """Its second version, which no node has loaded, compiled."""
    return (CODE / "second" / f"{module}.beam").read_bytes()


async def load(node: OtpNode, module: str, beam: bytes) -> None:
    """Make compiled code the current code of a module.

    What was current before is old then: a process that runs it goes on with it until it calls a
    function by the module's name. There is no room for a third: a process that still runs code
    which was old before is killed.

    Raises:
        RemoteFailure: this is no compiled module of that name.
    """
    name = Atom(module)
    loaded = await node.rpc("code", "load_binary", name, list(f"{module}.beam".encode()), beam)
    if loaded != (Atom("module"), name):
        raise RemoteFailure("code:load_binary", loaded, describe(loaded))


async def upgrade(node: OtpNode, server: str, beam: bytes) -> None:
    """Load the code of a `gen_server` and have the running process take it.

    The process is suspended meanwhile, and its callers wait. `code_change` of the new module makes
    its state from the old one.

    Args:
        node: where it runs.
        server: the name of the process, which is that of its module.
        beam: the new code, compiled.

    Raises:
        RemoteFailure: the code is not loaded, or cannot take over the state. The process goes on
            with the code that it has.
    """
    name = Atom(server)
    await node.rpc("sys", "suspend", name)
    try:
        await load(node, server, beam)
        changed = await node.rpc("sys", "change_code", name, name, Atom("undefined"), [])
        if changed != Atom("ok"):
            raise RemoteFailure("sys:change_code", changed, describe(changed))
    finally:
        await node.rpc("sys", "resume", name)
