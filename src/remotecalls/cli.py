"""`python -m remotecalls`: look at the machine, start a service, check a lab, run a benchmark."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import click

from remotecalls import tuplespaces
from remotecalls.bindings import BINDINGS
from remotecalls.doctor import Status, examine
from remotecalls.shop.database import DatabaseUnavailable
from remotecalls.shop.sample import stock

ROOT = Path(__file__).parents[2]
TUPLE_SPACE = "tuplespace"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Remote Calls: the services and labs of the book.

    Start with `doctor`. The book itself is read with `make book`, the labs with `make lab`.
    """


@main.command()
def doctor() -> None:
    """Look at this machine and say what is missing, and the cure.

    Exits with 1 if something that every lab needs is not in order.
    """
    findings = list(examine())
    for finding in findings:
        click.echo(f"{finding.status.value:<8} {finding.subject:<15} {finding.found}")
        if finding.cure:
            click.echo(f"{'':<8} {'':<15} cure: {finding.cure}")
    if any(finding.status is Status.BAD for finding in findings):
        sys.exit(1)


@main.command()
@click.argument("name", type=click.Choice([*BINDINGS, TUPLE_SPACE, "book"]))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port; 0 takes a free one.")
@click.option(
    "--database",
    metavar="WHERE",
    help="SQLite file, or postgresql://...; without it, memory or a temporary file.",
)
@click.option("--exit-with-parent", is_flag=True, help="Stop when standard input ends.")
def serve(name: str, host: str, port: int, database: str | None, exit_with_parent: bool) -> None:
    """Serve the sample shop through the binding NAME, a tuple space, or the built book.

    The first line says where it listens; a line follows for each request. Ctrl-C stops it.
    """
    if database is not None and name in (TUPLE_SPACE, "book"):
        raise click.UsageError(f"{name} has no database: leave --database out")
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a client's requests are not ours
    try:
        if name == "book":
            _serve_book(host, port)
        else:
            asyncio.run(_serve_until_stopped(name, host, port, database, exit_with_parent))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from error
    except DatabaseUnavailable as error:
        raise click.ClickException(f"cannot use the database {error}") from error


async def _serve_until_stopped(
    name: str, host: str, port: int, database: str | None, exit_with_parent: bool
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in signal.SIGINT, signal.SIGTERM:
        loop.add_signal_handler(number, stopped.set)
    if exit_with_parent:
        _call_at_end_of_input(lambda: loop.call_soon_threadsafe(stopped.set))
    async with AsyncExitStack() as stack:
        if name == TUPLE_SPACE:
            spaces = await stack.enter_async_context(tuplespaces.serve(host, port))
            address = spaces.address
        else:
            binding = BINDINGS[name]
            shop = stock(stack.enter_context(binding.shop(database)))
            server = await stack.enter_async_context(binding.serve(shop, host, port))
            address = server.address
        print(f"listening on {address}", flush=True)
        await stopped.wait()


def _call_at_end_of_input(callback: Callable[[], object]) -> None:
    def wait() -> None:
        # Not sys.stdin: its lock, held by this thread at exit, would abort the interpreter.
        while os.read(sys.stdin.fileno(), 4_096):
            pass
        callback()

    threading.Thread(target=wait, name="parent watch", daemon=True).start()


def _serve_book(host: str, port: int) -> None:
    from remotecalls.booksite import serve_book

    stopped = threading.Event()
    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, lambda *_: stopped.set())
    try:
        with serve_book(ROOT / "_build" / "html", host, port) as url:
            print(f"listening on {url}", flush=True)
            stopped.wait()
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("name", required=False)
def bench(name: str | None) -> None:
    """Run the benchmark NAME of benchmarks/; without a name, list them."""
    scripts = {path.stem: path for path in sorted((ROOT / "benchmarks").glob("[!_]*.py"))}
    if name is None:
        for stem, path in scripts.items():
            first_line = path.read_text().split('"""')[1].splitlines()[0]
            click.echo(f"{stem:<15} {first_line}")
        return
    if name not in scripts:
        raise click.ClickException(f"no benchmark {name!r}; there is {', '.join(scripts)}")
    sys.exit(subprocess.run([sys.executable, scripts[name]], check=False).returncode)


@main.command()
@click.argument("lab")
def check(lab: str) -> None:
    """Run your copy of labs/LAB.ipynb from a fresh kernel and say which exercises pass.

    The notebook is not changed. Exits with 1 if a cell failed or an exercise does not pass yet.
    """
    # Jupyter takes a second to import, and `serve` is started in every lab.
    from remotecalls.notebook.execute import ExecutionError, check_lab
    from remotecalls.notebook.places import PlaceError

    try:
        result = check_lab(lab)
    except (FileNotFoundError, PlaceError, ExecutionError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(result)
    if not result.passed:
        sys.exit(1)


@main.command()
@click.argument("notebooks", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def execute(notebooks: tuple[Path, ...]) -> None:
    """Run NOTEBOOKS from a fresh kernel and write them back with their outputs.

    For authors: this is how a lab's outputs come to be.
    """
    from remotecalls.notebook.execute import ExecutionError
    from remotecalls.notebook.execute import execute as execute_notebook

    for path in notebooks:
        try:
            execute_notebook(path)
        except ExecutionError as error:
            raise click.ClickException(f"{path}: {error}") from error
        click.echo(f"{path}: executed")
