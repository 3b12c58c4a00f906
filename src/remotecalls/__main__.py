"""`python -m remotecalls`."""

from remotecalls.cli import main

main()
