"""The shop over gRPC: one interface file, HTTP/2 below it, and what production adds to both.

The package `grpc` of the same name is always the one at the top level: import this one in full.
"""
