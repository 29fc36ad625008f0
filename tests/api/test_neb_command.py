"""``ionatlas neb``: what it prints where, its exit codes, and what it keeps. The potential is a toy; the band is real."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.cli.neb import Telling, read_supercell
from api.neb import neb
from builders.potential.neb import Options
from builders.potential.result import Convergence
from store.errors import UsageError

from ..builders.potential_models import Hedgehogs, potential

LITHIUM_FLUORIDE = """data_LiF
_cell_length_a 4.03
_cell_length_b 4.03
_cell_length_c 4.03
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_symmetry_equiv_pos_as_xyz
'x,y,z'
'x,y+1/2,z+1/2'
'x+1/2,y,z+1/2'
'x+1/2,y+1/2,z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Li1 Li 0.5 0.5 0.5
F1 F 0 0 0
"""
QUICK = ("--images", "1", "--fmax", "0.1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "LiF.cif"
    made.write_text(LITHIUM_FLUORIDE, encoding="utf-8")
    return made


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Put a calculator in the place of the potential."""

    def put(calculator: Any) -> None:
        monkeypatch.setattr("builders.potential.potentials.require_potential", lambda: None)
        monkeypatch.setattr("builders.potential.potentials.load_potential", lambda: potential(calculator))

    return put


@pytest.fixture
def toy(use: Callable[[Any], None]) -> None:
    use(Hedgehogs())


@pytest.fixture
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a store was asked for")

    monkeypatch.setattr("store.connection.connect", refuse)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["neb", *arguments])


@pytest.mark.usefixtures("no_store", "toy")
class TestFile:
    def test_words_and_progress(self, file: Path) -> None:
        result = run(str(file), "--ion", "Li", "--hop", "0", *QUICK)
        assert result.exit_code == 0, result.stderr
        first, second, third = result.stdout.splitlines()[:3]
        assert first.startswith("LiF, hop 0 of lithium (Li): Li1 → ")
        assert "2.850 Å; vacancy limit, supercell " in first
        assert first.endswith("Toy 1.0")
        assert second.startswith("barrier ")
        assert " eV forward, " in second
        assert third.startswith("converged: ")
        for words in ("relaxing the start: iteration 0", "elastic band: iteration 0", "climbing image: iteration 0"):
            assert words in result.stderr
            assert words not in result.stdout

    def test_json_is_json_and_nothing_else(self, file: Path) -> None:
        told = json.loads(run(str(file), "--json", *QUICK).stdout)
        assert told["id"] == "neb-LiF-Li-0-toy"
        assert told["converged"] is True
        assert told["forward"] == pytest.approx(told["reverse"], abs=0.01)
        assert told["forward"] == pytest.approx(max(told["energies"]))
        assert len(told["energies"]) == len(told["distances"]) == 3
        assert told["hop"]["length"] == pytest.approx(4.03 / 2**0.5, abs=1e-3)
        assert told["limit"] == "vacancy"
        assert told["supercell"]["image_distance"] >= 8.0
        assert told["units"]["forward"] == "eV"
        assert told["history"][-1][0] == "climb"
        assert told["potential"]["name"] == "Toy"

    def test_the_dilute_limit_and_a_supercell(self, file: Path) -> None:
        told = json.loads(run(str(file), "--dilute", "--supercell", "2,2,2", "--json", *QUICK).stdout)
        assert told["limit"] == "dilute"
        assert told["id"] == "neb-LiF-Li-0-toy-dilute"
        assert told["n_atoms"] == 33
        assert "other ions taken out" in [flag["code"] for flag in told["flags"]]

    def test_a_profile_is_drawn(self, file: Path, tmp_path: Path) -> None:
        png = tmp_path / "profile.png"
        result = run(str(file), "--png", str(png), *QUICK)
        assert result.exit_code == 0, result.stderr
        assert png.read_bytes().startswith(b"\x89PNG")
        assert str(png) in result.stderr

    def test_python_gives_the_same(self, file: Path) -> None:
        told = json.loads(run(str(file), "--json", *QUICK).stdout)
        report = neb(file, "Li", 0, options=Options(images=1, fmax=0.1), potential=potential(Hedgehogs()))
        assert report.forward == told["forward"]
        assert repr(report).splitlines()[1].startswith("barrier ")

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (["none.cif"], 2, "There is no file 'none.cif'"),
            (["{file}", "--hop", "7"], 2, "no hop 7"),
            (["{file}", "--hop", "-1"], 2, "--hop"),
            (["{file}", "--images", "0"], 2, "1 to 25 images"),
            (["{file}", "--fmax", "-1"], 2, "fmax is between"),
            (["{file}", "--supercell", "2,2"], 2, "three positive numbers"),
            (["{file}", "--png", "a.gif"], 2, "written as PNG"),
            (["{file}", "--png", "/no/such/folder/a.png"], 2, "no folder"),
            (["{file}", "--ion", "Na", "--vacancy"], 2, "holds no Na"),
        ],
    )
    def test_errors_have_exit_codes(self, arguments: list[str], code: int, words: str, file: Path) -> None:
        result = run(*[argument.format(file=file) for argument in arguments])
        assert result.exit_code == code, result.stderr
        assert words in result.stderr
        assert "fault of ionatlas" not in result.stderr
        assert result.stdout == ""

    def test_what_does_not_converge_ends_with_5(self, file: Path) -> None:
        result = run(str(file), "--steps", "1", "--fmax", "0.001")
        assert result.exit_code == 5
        assert "no barrier" in result.stdout
        assert "flag: not converged" in result.stdout
        assert "nothing was stored" in result.stderr

    def test_ctrl_c_shows_how_far_it_got(self, file: Path, use: Callable[[Any], None]) -> None:
        use(Hedgehogs(stop_after=30))
        result = run(str(file), "--fmax", "0.001")
        assert result.exit_code == 130
        assert "no barrier: the highest image is" in result.stdout
        assert "flag: interrupted" in result.stdout
        assert "nothing was stored" in result.stderr


def test_without_the_extra_pip_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    result = run(str(file))
    assert result.exit_code == 2
    assert 'pip install "ionatlas[potential]"' in result.stderr


@pytest.mark.usefixtures("toy")
class TestStore:
    def test_a_barrier_is_kept_as_a_record(self, file: Path, database: Any) -> None:
        from store.ingest.readers import read_hop

        result = run(str(file), "--store", "--json", *QUICK)
        assert result.exit_code == 0, result.stderr
        assert "stored as neb-LiF-Li-0-toy (new)" in result.stderr
        (kept,) = database["sources"].find()
        assert (kept["_id"], kept["format"], kept["provider"]) == ("neb-LiF-Li-0-toy", "hop-json", "ionatlas neb")
        hop = read_hop(kept["format"], kept["content"])
        assert hop.barrier == pytest.approx(json.loads(result.stdout)["forward"], abs=1e-6)
        assert hop.method == "MLIP-NEB (Toy 1.0)"

    def test_the_same_barrier_twice_is_one_record(self, file: Path, database: Any, use: Callable[[Any], None]) -> None:
        for word in ("new", "unchanged"):
            use(Hedgehogs())
            assert f"({word})" in run(str(file), "--store", *QUICK).stderr
        assert database["sources"].count_documents({}) == 1

    def test_what_is_no_barrier_is_not_kept(self, file: Path, database: Any, use: Callable[[Any], None]) -> None:
        use(Hedgehogs(stop_after=30))
        assert run(str(file), "--store", "--fmax", "0.001").exit_code == 130
        assert run(str(file), "--store", "--fmax", "0.001", "--steps", "1").exit_code in (5, 130)
        assert database["sources"].count_documents({}) == 0

    def test_a_store_that_is_not_there_is_told_before_the_work(
        self, file: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, use: Callable[[Any], None]
    ) -> None:
        calculator = Hedgehogs()
        use(calculator)
        monkeypatch.setenv("IONATLAS_MONGODB_URI", "mongodb://127.0.0.1:1/?connectTimeoutMS=200")
        monkeypatch.setenv("IONATLAS_SERVER_TIMEOUT", "0.3")
        assert run(str(file), "--store", *QUICK).exit_code == 3
        assert calculator.calls == 0


@pytest.mark.usefixtures("at_built", "toy")
def test_a_material_of_the_store() -> None:
    told = json.loads(run("t-3", "--json", *QUICK).stdout)
    assert told["id"] == "neb-t-3-Li-0-toy"
    assert told["formula"] == "LiF"


def test_help_names_the_options() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for word in (
        "FILE|ID",
        "--ion",
        "--hop",
        "--images",
        "--fmax",
        "--supercell",
        "--dilute",
        "--vacancy",
        "--store",
        "--png",
    ):
        assert word in result.stdout


def test_supercells_as_they_are_written() -> None:
    assert read_supercell(" AUTO ") is None
    assert read_supercell("1x2x3") == (1, 2, 3)
    for text in ("", "2,2", "a,b,c", "0,1,1", "1,1,999", "2.5,1,1"):
        with pytest.raises(UsageError):
            read_supercell(text)


def test_progress_on_a_terminal_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Telling(live=True) as telling:
        telling.announce("LiF, hop 0")
        telling(Convergence("band", 3, 0.5, 0.2))
    assert "LiF, hop 0" in capsys.readouterr().err
