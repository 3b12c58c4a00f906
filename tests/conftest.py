"""What the whole test run shares."""

import os

from hypothesis import settings

pytest_plugins = ("plugins.budget", "plugins.lab_times")
"""Pieces of the test run that are not tests."""

# "fuzz" is what `make fuzz` runs: the same properties, a hundred times as many examples.
settings.register_profile("default", deadline=None)
settings.register_profile("fuzz", deadline=None, max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
