"""``ionatlas key``: keys for users of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from api.keys import Key

app = typer.Typer(
    name="key",
    no_args_is_help=True,
    help="Make, list and revoke keys for users of ionatlas serve. The store keeps a hash of a key, never the key.",
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, or what for.")],
    scope: Annotated[
        str,
        typer.Option(
            "--scope", help="What it is good for, with commas: read, compute, export, admin (all, no limits)."
        ),
    ] = "read,compute,export",
    days: Annotated[float, typer.Option("--days", help="Days until it expires; 0 for never.", min=0)] = 365.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Make a key and print its token: now, and never again.

    \b
    ionatlas key create 'Ann, notebook'
    ionatlas key create dashboard --scope read --days 30
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.cli.output import message, to_json
    from api.keys import create_key
    from store.connection import connect
    from store.settings import load_settings

    scopes = [each.strip() for each in scope.split(",") if each.strip()]
    key, token = create_key(connect(load_settings()), name, scopes, days or None)
    if as_json:
        typer.echo(to_json({"id": key.id, "token": token, "scopes": key.scopes, "expires_at": key.expires_at}))
        return
    typer.echo(token)
    until = f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "for ever"
    message(f"The key {key.id} of {key.name} is good for {', '.join(key.scopes)}, {until}. It is shown this once.")


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """List all keys: id, name, scopes, state, last use."""
    from dataclasses import asdict

    from api.cli.output import message, print_table, to_json
    from api.keys import list_keys
    from store.connection import connect
    from store.provenance import utc_now
    from store.settings import load_settings

    now = utc_now()
    keys = list_keys(connect(load_settings()))
    if as_json:
        typer.echo(to_json([{**asdict(key), "state": key.state(now)} for key in keys], indent=True))
        return
    if not keys:
        message("There are no keys. To make one: ionatlas key create NAME")
        return
    headings = [(each, False) for each in ("id", "name", "scopes", "state", "made", "expires", "last used")]
    rows = [(key.id, key.name, " ".join(key.scopes), key.state(now), *map(_day, _times(key))) for key in keys]
    print_table(headings, rows)


@app.command()
def revoke(id: Annotated[str, typer.Argument(help="Id of the key, as ionatlas key list shows it.")]) -> None:
    """Make a key open nothing any more. Servers notice within ten seconds."""
    from api.cli.output import message
    from api.keys import revoke_key
    from store.connection import connect
    from store.settings import load_settings

    key = revoke_key(connect(load_settings()), id)
    message(f"The key {key.id} of {key.name} is revoked.")


def _times(key: Key) -> tuple[datetime | None, ...]:
    return key.created_at, key.expires_at, key.last_used_at


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at else "–"
