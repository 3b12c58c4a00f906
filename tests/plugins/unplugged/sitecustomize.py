"""Refuse connections to other machines, in every Python process that has this directory first.

Used where the system does not allow a network namespace. Names that need a resolver fail here
too, because the resolver is another machine; ``localhost`` does not.
"""

import ipaddress
import sys


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and not _is_here(str(address[0])):
            raise OSError(101, f"the network is unplugged: {address[0]} was to be reached")
    elif event == "socket.getaddrinfo":
        host = arguments[0]
        host = host.decode() if isinstance(host, bytes) else host
        if host and not _is_here(str(host)):
            raise OSError(101, f"the network is unplugged: {host} was to be resolved")


def _is_here(host: str) -> bool:
    if host in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


sys.addaudithook(_refuse)
