"""Generated from the interface files."""
