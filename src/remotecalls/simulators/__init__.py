"""Models of distributed systems that run in CPython and in the reader's browser alike.

A simulator is pure Python: the standard library and SimPy, no NumPy, no drawing, no input or
output. Simulated time is a whole number of microseconds. `catalog.SIMULATORS` lists them.
"""
