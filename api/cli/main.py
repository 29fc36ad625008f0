"""The command ``ionatlas``: options for all commands, errors into exit codes, and the commands put together.

Nothing heavy is imported here or in the modules of the commands: ``ionatlas --help`` answers at once.

Exit codes: 0 well, 1 a fault of ours, 2 usage, 3 database, 4 another build runs, 5 items failed, 6 refused by a guard,
7 index, 130 interrupted by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from api.cli import (
    aggregate,
    barriers,
    build,
    channels,
    compare,
    db,
    demo,
    explain,
    export,
    fields,
    ingest,
    key,
    neb,
    picture,
    predict,
    query,
    reproduce,
    serve,
    show,
    status,
    structures,
    train,
)
from store.errors import IonatlasError

EPILOG = "Exit codes: 0 well, 1 fault, 2 usage, 3 database, 4 another build runs, 5 items failed, 6 guard, 7 index."


class ErrorGroup(TyperGroup):
    """A group whose commands' errors become a message on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except IonatlasError as error:
            if _debugging():
                raise
            tell(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt:
            typer.echo("interrupted; what was finished is kept", err=True)
            raise typer.Exit(130) from None
        except Exception as error:
            # Wrong usage, typer.Exit and a closed pipe are typer's business.
            if hasattr(error, "exit_code") or isinstance(error, typer.Abort | BrokenPipeError) or _debugging():
                raise
            told = _of_the_database(error)
            if told is not None:
                tell(told)
                raise typer.Exit(told.exit_code) from error
            typer.echo(
                f"This is a fault of ionatlas: {type(error).__name__}: {error}\n"
                "ionatlas --debug COMMAND shows where it happened; please report it with that.",
                err=True,
            )
            raise typer.Exit(1) from error


app = typer.Typer(
    name="ionatlas",
    cls=ErrorGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A store of crystal structures and what is derived from them: ingest, build, ask, compare.",
)


def tell(error: IonatlasError) -> None:
    """Print an error of ours: what was wrong, and what mends it."""
    typer.secho("Error: ", fg=typer.colors.RED, nl=False, err=True)
    typer.echo(error.message.rstrip(), err=True)
    if error.mend:
        typer.echo(f"To mend it: {error.mend}", err=True)


def _of_the_database(error: Exception) -> IonatlasError | None:
    """Turn what the driver raised (a connection lost where nobody repeated the operation) into an error of ours."""
    if "pymongo" not in sys.modules:
        return None
    from pymongo.errors import PyMongoError

    if not isinstance(error, PyMongoError):
        return None
    from store.connection import database_error
    from store.settings import load_settings

    return database_error(error, load_settings())


def _debugging() -> bool:
    return os.environ.get("IONATLAS_DEBUG", "") not in ("", "0")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("ionatlas"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Options before the command."""
    if debug:
        os.environ["IONATLAS_DEBUG"] = "1"


app.command("ingest")(ingest.ingest)
app.command("build")(build.build)
app.command("status")(status.status)
app.command("query")(query.query)
app.command("similar")(query.similar)
app.command("aggregate")(aggregate.aggregate)
app.command("export")(export.export)
app.command("show")(show.show)
app.command("why")(show.why)
app.command("fields")(fields.fields)
app.command("channels")(channels.channels)
app.add_typer(predict.app, name="predict")
app.add_typer(train.app, name="train")
app.command("barriers")(barriers.barriers)
app.add_typer(compare.app, name="compare")
app.add_typer(explain.app, name="explain")
train.app.command("explanation")(explain.train_explanation)
app.command("neb")(neb.neb)
app.command("predict-structure")(structures.predict_structure)
app.command("inverse")(structures.inverse)
app.command("picture")(picture.picture)
app.command("demo")(demo.demo)
app.add_typer(reproduce.app, name="reproduce")
app.command("serve")(serve.serve)
app.add_typer(key.app, name="key")
app.add_typer(db.app, name="db")


def main() -> None:
    """Run the command line (the entry point of the package)."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe in a narrow encoding must not turn an answer with Å in it into a crash.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app()


if __name__ == "__main__":
    main()
