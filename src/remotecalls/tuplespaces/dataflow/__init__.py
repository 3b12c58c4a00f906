"""A pipeline over a tuple space: stages that know a pattern and a server, and not each other.

    async with TupleSpaceServer() as server:
        stages = (Stage("pricer", "pending", "priced", 0.02), Stage("packer", "priced", "packed"))
        async with crew(server.address, *stages) as workers:
            ...
            workers.kill("pricer")      # in the middle of an order: another one does it

Each worker is a process of its own. It takes an order and writes it back, changed, in one
transaction; so an order is in one state, whatever happens to the worker.
"""

from remotecalls.tuplespaces.dataflow.crew import (
    Crew,
    WorkersFailed,
    crew,
    javascript_worker,
    python_worker,
)
from remotecalls.tuplespaces.dataflow.stage import ORDER, WORKING, Stage, run_stage

__all__ = [
    "ORDER",
    "WORKING",
    "Crew",
    "Stage",
    "WorkersFailed",
    "crew",
    "javascript_worker",
    "python_worker",
    "run_stage",
]
