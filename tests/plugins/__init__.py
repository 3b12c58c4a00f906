"""Pieces of the test run that are not tests."""
