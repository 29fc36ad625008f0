"""``ionatlas db``: the private MongoDB server of this user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from store.server import ServerStatus
    from store.settings import Settings

app = typer.Typer(
    name="db",
    no_args_is_help=True,
    help="See, start and stop the private MongoDB server. It starts by itself when a command needs it, serves all "
    "ionatlas processes of this data folder, and goes on until it is stopped.",
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Tell whether the server runs, where, and how large its data is.

    Exit code 3 when it does not run or does not answer.
    """
    from store.settings import load_settings

    settings = load_settings()
    facts = _named_server(settings) if settings.mongodb_uri else _private_server(settings)
    _show(facts, as_json)
    if not facts["answers"]:
        raise typer.Exit(3)


@app.command()
def start(as_json: JsonOption = False) -> None:
    """Start the server, or find that it runs already."""
    from store.errors import UsageError
    from store.server import ensure_server
    from store.settings import load_settings

    settings = load_settings()
    if settings.mongodb_uri:
        raise UsageError(
            "IONATLAS_MONGODB_URI names a server, so there is no private one to start.",
            mend="unset IONATLAS_MONGODB_URI",
        )
    ensure_server(settings)
    _show(_private_server(settings), as_json)


@app.command()
def stop() -> None:
    """Shut the server down cleanly; nothing is lost, and the next command that needs it starts it again."""
    from store.server import stop_server
    from store.settings import load_settings

    was_running = stop_server(load_settings())
    typer.echo("The private server is stopped." if was_running else "The private server was not running.")


@app.command()
def path() -> None:
    """Print the folder of the server's data."""
    from store.server import server_folder
    from store.settings import load_settings

    typer.echo(str(server_folder(load_settings()).dbpath))


def _private_server(settings: Settings) -> dict[str, Any]:
    from store.server import server_status

    found: ServerStatus = server_status(settings)
    info = found.info
    return {
        "running": info is not None,
        "answers": found.answers,
        "pid": info.pid if info else None,
        "port": info.port if info else None,
        "uri": info.uri if info else None,
        "version": info.version if info else None,
        "started_at": info.started_at.isoformat(timespec="seconds") if info else None,
        "uptime": round(found.uptime, 1) if found.uptime is not None else None,
        "database": settings.database,
        "data_folder": str(found.dbpath),
        "size_on_disk": found.size_on_disk,
        "log": str(found.log),
    }


def _named_server(settings: Settings) -> dict[str, Any]:
    from pymongo.errors import OperationFailure

    from store.connection import connect, redact

    database = connect(settings, start=False)
    said = database.client.admin.command("hello")
    try:
        size: int | None = int(database.command("dbStats")["totalSize"])
    except OperationFailure:  # the user may not ask; that is no fault of the server
        size = None
    return {
        "running": True,
        "answers": True,
        "uri": redact(settings.mongodb_uri or ""),
        "version": database.client.server_info()["version"],
        "replica_set": said.get("setName"),
        "primary": said.get("primary"),
        "database": settings.database,
        "size_on_disk": size,
    }


_LABELS = {
    "pid": "process",
    "port": "port",
    "uri": "address",
    "version": "MongoDB",
    "replica_set": "replica set",
    "primary": "primary",
    "uptime": "up for",
    "database": "database",
    "data_folder": "data folder",
    "size_on_disk": "on disk",
    "log": "log",
}


def _show(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps(facts, indent=2))
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    if not facts["running"]:
        console.print("[bold]not running[/bold]  (ionatlas db start)")
    elif facts["answers"]:
        console.print("[bold green]running[/bold green]")
    else:
        console.print("[bold red]running, but it does not answer[/bold red]  (see its log)")
    for name, label in _LABELS.items():
        value = facts.get(name)
        if value is not None:
            # No wrapping: addresses and paths are there to be copied.
            console.print(f"[dim]{label:<12}[/dim] {escape(_plain(name, value))}", soft_wrap=True)


def _plain(name: str, value: Any) -> str:
    if name == "size_on_disk":
        return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"
    if name == "uptime":
        minutes, seconds = divmod(int(value), 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
        return " ".join(f"{amount} {unit}" for amount, unit in parts if amount) or "0 s"
    return str(value)
