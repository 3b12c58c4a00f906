"""Supervision trees: who is started again when a process ends, and who gives up when.

`rules` decides, here and in `remotecalls.actors`. `model.run` is the simulator; `presets` has its
settings. Nothing is imported here, so that a running system that asks `rules` loads no simulator.
"""
