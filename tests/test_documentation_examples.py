"""Every example of the README and the docs runs: commands and Python, on a desk with the files and the store they speak of."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from store.server import ServerInfo
from store.settings import Settings

from .documented import PAGES, Example, commands, crystals, lay_out, programs

COMMANDS = [example for page in PAGES for example in commands(page)]
PROGRAMS = [example for page in PAGES for example in programs(page)]

ELSEWHERE = {
    # What begins so is not run here; where it is, or why it cannot be.
    r"ionatlas ingest '?(mp:|optimade:)": "asks a provider on the Internet: tests/store/test_ingest_*.py, with their answers",
    r"ionatlas ingest (amcsd|nebDFT2k|barriers.jsonl.gz hops.csv nebDFT2k|pathways)": "a download: tests/store/test_ingest_*.py",
    r"ionatlas build --cluster tcp": "needs a scheduler: tests/builders/test_engine.py",
    r"ionatlas build --cluster local": "tests/builders/test_engine.py::test_dask_workers_keep_the_same_promises",
    r"ionatlas (neb|predict-structure LiNiPO4 --energies)": "needs the extra potential: tests/api/test_neb_command.py",
    r"ionatlas (train|reproduce|compare)": "needs hundreds of records: tests/api/test_{train,reproduce,compare}_command.py",
    r"ionatlas predict migration-energy my.cif --model my-model": "needs the trained model: tests/api/test_train_command.py",
    r"ionatlas (demo|serve)\b": "runs on its own: make demo, tests/api/test_rest_*.py",
    r"(pip|docker|dask|export|mrun|python -c|make|cp)\b": "no command of ours",
}
PROGRAMS_ELSEWHERE = {
    "from api.reproduce import osipov": "needs hundreds of records: tests/api/test_reproduce.py",
}


def reason_elsewhere(example: Example) -> str | None:
    return next((why for pattern, why in ELSEWHERE.items() if re.match(pattern, example.text)), None)


HERE = [example for example in COMMANDS if reason_elsewhere(example) is None]


@pytest.fixture(scope="module")
def desk(server: ServerInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Settings]]:
    """A folder with the files, and a store of the crystals with everything built."""
    from api.builds import run_builds
    from api.work import build_options, ingest_source
    from store.connection import connect

    folder = tmp_path_factory.mktemp("desk")
    lay_out(folder)
    settings = Settings(home=folder / "home", mongodb_uri=server.uri, database=f"test_{uuid.uuid4().hex[:16]}")
    database = connect(settings)
    for name in ("mp.jsonl.gz", "conductivity.jsonl.gz", "barriers.jsonl.gz"):
        ingest_source(database, folder / name)
    run_builds(database, settings, options=build_options(settings, workers=1, ions=["Li", "Na"]))
    yield folder, settings
    connect(settings).client.drop_database(settings.database)


@dataclass(frozen=True)
class Served:
    """Where the store is served, and a key to it."""

    address: str
    token: str

    def put_into(self, text: str) -> str:
        """The same example with what it stands for here."""
        text = re.sub(r"http://(127\.0\.0\.1|localhost):8000|https://atlas\.example\.org", self.address, text)
        return text.replace("ia_...", self.token)


@pytest.fixture(scope="module")
def served(desk: tuple[Path, Settings]) -> Iterator[Served]:
    """The store of the desk, served as it is where the pages say port 8000."""
    import threading
    import time

    import uvicorn

    from api.keys import create_key
    from api.rest.app import create_app
    from store.connection import connect

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    _, token = create_key(connect(desk[1]), "the reader", ("read", "compute", "export"))
    server = uvicorn.Server(uvicorn.Config(create_app(desk[1]), port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield Served(f"http://127.0.0.1:{port}", token)
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def at_desk(desk: tuple[Path, Settings], monkeypatch: pytest.MonkeyPatch) -> Path:
    folder, settings = desk
    monkeypatch.chdir(folder)
    monkeypatch.setenv("IONATLAS_HOME", str(settings.home))
    monkeypatch.setenv("IONATLAS_MONGODB_URI", settings.mongodb_uri or "")
    monkeypatch.setenv("IONATLAS_DATABASE", settings.database)
    return folder


def test_there_are_examples_and_most_run_here() -> None:
    ours = [example for example in COMMANDS if example.text.startswith("ionatlas")]
    assert len(HERE) > 40
    assert len(HERE) > 0.6 * len(ours)
    for pattern, why in ELSEWHERE.items():
        for path in re.findall(r"tests/[\w/{},*]+\.py", why):
            pieces = path.replace("{", "*").replace("}", "*").replace(",", "*")
            assert list(Path(__file__).parent.parent.glob(re.sub(r"\*.*\*", "*", pieces))), f"{pattern}: {path}"


def test_every_example_is_one_of_ours_or_known_not_to_be() -> None:
    for example in HERE:
        assert example.words[0] in ("ionatlas", "curl"), f"{example}: {example.text}"


@pytest.mark.parametrize("example", [example for example in HERE if example.words[0] == "curl"], ids=str)
def test_requests(example: Example, at_desk: Path, served: Served) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl")
    words = shlex.split(served.put_into(example.text), comments=True)
    words = words[: words.index("|")] if "|" in words else words
    done = subprocess.run(
        [curl, "--fail-with-body", "-sS", *words[1:]], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("example", [example for example in HERE if example.words[0] != "curl"], ids=str)
def test_commands(example: Example, at_desk: Path) -> None:
    from api.cli.main import app

    words = example.words[1:]
    if ">" in words:  # into a file, as a shell would
        words = words[: words.index(">")]
    if words == ["build"]:
        words += ["--ion", "Li"]  # the same command, sooner done
    done = CliRunner().invoke(app, words)
    if example.fails:
        assert done.exit_code == 2, done.output
    else:
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize("example", PROGRAMS, ids=str)
def test_programs(example: Example, at_desk: Path, served: Served) -> None:
    for beginning, why in PROGRAMS_ELSEWHERE.items():
        if example.text.startswith(beginning):
            pytest.skip(why)
    from api.client import Atlas
    from store.crystal import Crystal

    given: dict[str, Any] = {"crystal": Crystal.from_pymatgen(crystals()["mp-19017"]), "folder": at_desk / "written"}
    try:
        exec(compile(served.put_into(example.text), str(example), "exec"), given)
    finally:
        for each in given.values():
            if isinstance(each, Atlas):
                each.close()
