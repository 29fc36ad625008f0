"""``ionatlas demo``: from nothing to first answers on real structures, by the very commands a user would type."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pymongo.database import Database

DATABASE = "demo"
CHANGED = "Spodumene"


def demo(
    folder: Annotated[Path, typer.Argument(help="Where the store and the pictures go.")] = Path("demo-output"),
) -> None:
    """Show it all: experimental minerals in, everything built, questions asked and answered, pictures.

    The structures are the 9,275 records of the American Mineralogist Crystal Structure Database that larixite carries.
    The demo has a server and a database of its own in FOLDER and leaves the user's store alone.
    """
    started = time.perf_counter()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.pop("IONATLAS_MONGODB_URI", None)
    os.environ["IONATLAS_HOME"] = str(folder / "store")
    os.environ["IONATLAS_DATABASE"] = DATABASE
    from store.server import stop_server
    from store.settings import load_settings

    try:
        _begin_anew()
        _fill()
        _ask()
        _channels(folder)
        _barriers()
        _conductivity(folder)
        _structures(folder)
        _conditions()
        _change_one()
        _draw(folder)
        _serve(folder)
    finally:
        from store.connection import close_connections

        close_connections()
        stop_server(load_settings())
    _say(
        f"All of it took {time.perf_counter() - started:.0f} s. The store stays in {folder / 'store'}; to go on asking:"
    )
    typer.echo(f"  export IONATLAS_HOME={shlex.quote(str(folder / 'store'))} IONATLAS_DATABASE={DATABASE}")
    typer.echo('  .venv/bin/ionatlas query \'elements HAS ALL "Li","P"\' --sort density')


def _say(text: str) -> None:
    typer.secho(f"\n{text}", fg=typer.colors.CYAN, bold=True)


def _run(*arguments: str, may_fail: bool = False) -> None:
    """Run a command of ours as if it were typed, and show it."""
    from api.cli.main import app

    typer.secho("$ ionatlas " + shlex.join(arguments), bold=True)
    try:
        code = app(list(arguments), standalone_mode=False)
    except typer.Exit as ended:
        code = ended.exit_code
    if code and not (may_fail and code == 5):
        raise typer.Exit(code)


def _begin_anew() -> None:
    import shutil

    from store.connection import connect
    from store.settings import load_settings

    settings = load_settings()
    database = connect(settings)
    database.client.drop_database(database.name)
    shutil.rmtree(settings.home / "indexes", ignore_errors=True)


def _fill() -> None:
    _say("1. Real structures in: experimental minerals, verbatim, into a MongoDB that came with the installation.")
    _run("ingest", "amcsd")
    _say("2. Everything derived from them. What cannot be read is recorded with its reason, and the rest goes on.")
    # Channels of two ions: all twelve take some minutes more.
    _run("build", "--ion", "Li", "--ion", "Na", may_fail=True)
    _run("status")


def _ask() -> None:
    _say("3. A question by property: ordered lithium minerals with oxygen and without hydrogen, lightest first.")
    # Where X-rays did not find the hydrogen its formula says so, and the flag keeps such minerals out.
    wanted = (
        'elements HAS ALL "Li","O" AND NOT elements HAS "H" AND NOT flags HAS "hydrogen not located" '
        "AND is_ordered = TRUE AND density < 2.7"
    )
    fields = "name,formula,space_group_symbol,nsites_primitive,density,volume_per_atom"
    _run("query", wanted, "--fields", fields, "--sort", "density", "--limit", "10", "--unique")
    _say("4. A question by similarity: which minerals are nearest in composition to the cathode LiFePO4?")
    _run("similar", "LiFePO4", "-k", "8", "--fields", "name,formula,space_group_symbol,density")


def _channels(folder: Path) -> None:
    _say("5. A question about channels: in which silicates without water could sodium travel in three dimensions?")
    wanted = (
        'na_channel_dimension = 3 AND elements HAS ALL "Na","Si","O" AND NOT elements HAS "H" '
        'AND NOT flags HAS "hydrogen not located" AND is_ordered = TRUE AND na_path_r3 > 0'
    )
    fields = "name,formula,space_group_symbol,na_channel_r1,na_channel_r3,na_path_r3,na_channel_hops"
    _run("query", wanted, "--fields", fields, "--sort=-na_path_r3", "--limit", "8", "--unique")
    _say(
        "   And how does lithium get through triphylite, the mineral of the cathode LiFePO4? Hops, voids, doubts, a picture."
    )
    key = _triphylite()
    picture, page = str(folder / "channels.png"), str(folder / "channels.html")
    _run("channels", key, "--ion", "Li", "--png", picture, "--html", page)


def _barriers() -> None:
    _say(
        "6. A question about barriers: which ordered lithium minerals would lithium cross most easily, as far as is known?"
    )
    wanted = (
        'li_migration_energy >= 0 AND li_migration_energy_in_domain = TRUE AND NOT elements HAS "H" '
        'AND NOT flags HAS "hydrogen not located" AND is_ordered = TRUE'
    )
    fields = (
        "name,formula,li_migration_energy,li_migration_energy_lower,li_migration_energy_upper,li_migration_energy_3"
    )
    _run("query", wanted, "--fields", fields, "--sort", "li_migration_energy", "--limit", "8", "--unique")
    _say("   And hop by hop, in triphylite: the barriers, how sure they are, and which way is the easy one.")
    _run("predict", "migration-energy", _triphylite(), "--ion", "Li")


def _conductivity(folder: Path) -> None:
    _say("7. A question about conductivity: which lithium minerals should conduct best at room temperature, and why?")
    wanted = (
        'li_conductivity > -30 AND li_conductivity_in_domain = TRUE AND NOT elements HAS "H" '
        'AND NOT flags HAS "hydrogen not located"'
    )
    fields = "name,formula,li_conductivity,li_conductivity_lower,li_conductivity_upper,li_migration_energy"
    _run("query", wanted, "--fields", fields, "--sort=-li_conductivity", "--limit", "6", "--unique")
    _run("explain", "conductivity", _triphylite(), "--png", str(folder / "explained.png"))


def _structures(folder: Path) -> None:
    _say("8. A question without a known answer: which structure would LiNiPO4 take, if minerals are all we know?")
    _run("predict-structure", "LiNiPO4", "--exclude-formula", "--top", "5", "-o", str(folder / "predicted"))
    _say(
        "   And the other way round: what else could take the structure of LiFePO4? New, charge-balanced compositions."
    )
    wanted = ("--elements", "Li,Na,Mg,Mn,Co,Ni,P,As,Si,O,S", "--with", "Li,O", "--charge-balanced", "--new")
    _run("inverse", _olivine(), "-k", "8", *wanted)
    _say("   Minerals whose atoms are arranged like those of LiFePO4, whatever the elements.")
    _run("similar", _olivine(), "--by", "structure", "-k", "6", "--fields", "name,formula,space_group_symbol")


def _conditions() -> None:
    _say(
        "9. A question with units and with similarity as one of its conditions: light minerals arranged like LiFePO4, "
        "without lithium."
    )
    wanted = f'SIMILAR TO "{_olivine()}" BY structure AND density < 4000 kg/m^3 AND NOT elements HAS "Li"'
    _run("query", wanted, "--fields", "name,formula,space_group_symbol,density", "--limit", "6")
    _say("   And a count: into which crystal systems do minerals with lithium fall, and how dense are they?")
    _run("aggregate", 'elements HAS "Li"', "--by", "crystal_system", "--value", "density")


def _serve(folder: Path) -> None:
    from api.cli.demo_served import show_served

    _say("12. The same store over HTTP: from Python anywhere, by OPTIMADE, and as pages.")
    show_served(folder, _olivine())


def _olivine() -> str:
    return _first({"formula": "LiFePO4", "is_ordered": True})


def _triphylite() -> str:
    return _first({"name": "Triphylite", "li_channel_r1": {"$gt": 0}})


def _first(wanted: dict[str, Any]) -> str:
    """The first candidate, by id, that fits."""
    from store.connection import connect
    from store.settings import load_settings

    material = connect(load_settings())["candidates"].find_one(wanted, sort=[("_id", 1)])
    if material is None:
        raise RuntimeError(f"no candidate fits {wanted}")
    return str(material["_id"])


def _change_one() -> None:
    from store.connection import connect
    from store.settings import load_settings

    database = connect(load_settings())
    _say(
        f"10. An incremental rebuild: one {CHANGED} is given again with a cell 1 % longer along a. What is stale, and why?"
    )
    key = _give_changed(database)
    _run("build", "--explain", "--ion", "Li", "--ion", "Na")
    _run("build", "--ion", "Li", "--ion", "Na", may_fail=True)
    _say("   And where does its density come from?")
    _run("why", key, "density")


def _give_changed(database: Database[dict[str, Any]]) -> str:
    """Ingest a changed version of one record, as a provider would send it."""
    import orjson

    from store.ingest.ingest import ingest
    from store.ingest.records import Origin, Record

    material = database["candidates"].find_one({"name": CHANGED, "is_ordered": True}, sort=[("_id", 1)])
    if material is None:
        raise RuntimeError(f"no {CHANGED} among the candidates")
    source = database["sources"].find_one({"_id": material["_id"]})
    assert source is not None
    row = orjson.loads(source["content"])
    before = row["a"]
    row["a"] = f"{1.01 * float(before):.4f}"
    record = Record(
        format=source["format"],
        content=orjson.dumps(row, option=orjson.OPT_SORT_KEYS),
        id=source["_id"],
        provider=source["provider"],
        licence=source["licence"],
        references=tuple(source["references"]),
        origin=Origin(path="a corrected version of the record, made by the demo"),
    )
    ingest(database, [record])
    typer.echo(f"{material['_id']} ({CHANGED}): a = {before} Å becomes {row['a']} Å")
    return str(material["_id"])


def _draw(folder: Path) -> None:
    _say("11. Pictures.")
    from store.connection import connect
    from store.settings import load_settings

    database = connect(load_settings())
    material = database["candidates"].find_one({"formula": "LiFePO4"}, sort=[("_id", 1)])
    key = str((material or {"_id": "amcsd-3"})["_id"])
    _run("picture", "-o", str(folder / "elements.png"))
    _run("picture", key, "-o", str(folder / "structure.png"))
