"""The shop on plain sockets: three bindings, from the bytes up.

`text` and `binary` differ in what they put on the wire and share their server, one thread per
connection. `streams` speaks the same bytes as `binary` from an event loop.
"""
