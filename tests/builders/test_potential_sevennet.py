"""The potential itself: loaded from the extra, on a crystal with a known barrier."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from builders.potential.potentials import load_potential, require_potential
from store.errors import MissingExtra

CRYSTALS = Path(__file__).resolve().parent.parent / "crystals"
absent = find_spec("sevenn") is None or find_spec("torch") is None


def test_without_the_extra_the_command_that_mends_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        require_potential()
    assert caught.value.mend == 'pip install "ionatlas[potential]"'
    assert "sevenn and torch" in caught.value.message
    with pytest.raises(MissingExtra):
        load_potential()


@pytest.mark.slow
@pytest.mark.skipif(absent, reason='the extra is not installed: pip install "ionatlas[potential]"')
def test_lithium_hops_in_cobalt_oxide() -> None:
    # In a process of its own: torch in this one would be in the way of every test that starts another.
    arguments = [str(CRYSTALS / "LiCoO2.cif"), "--supercell", "2,2,1", "--images", "1", "--fmax", "0.2", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", "from api.cli.main import main; main()", "neb", *arguments],
        cwd=CRYSTALS.parent.parent, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    told = json.loads(done.stdout)
    assert told["converged"]
    assert told["n_atoms"] == 47
    assert told["potential"]["name"] == "SevenNet-0"
    assert told["forward"] == pytest.approx(told["reverse"], abs=0.05)
    assert 0.1 < told["forward"] < 1.0  # DFT and experiments: 0.2 to 0.8 eV
