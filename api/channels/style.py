"""How pictures of channels look, the same on paper and on a screen: colours, sizes, and the words around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api.channels.scene import BELOW, CLOSED, SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from api.channels.scene import Scene, Tubes
    from builders.channels.model import Channels

VOID_COLOUR: Final = (0.45, 0.72, 0.92)
SITE_RADIUS: Final = 0.52
ANION_RADIUS: Final = 0.17
CATION_RADIUS: Final = 0.2
VOID_SCALE: Final = 0.24
"""Drawn radius of a void in units of R_sd."""
TUBE_RADII: Final = {1: 0.22, 2: 0.13, 3: 0.09, 4: 0.065, SIDE: 0.045, BELOW: 0.03, CLOSED: 0.16}
"""Å, drawn, by tier."""
DETOUR_RADIUS: Final = 0.03
"""Å, drawn, of channels that are wide enough but on no hop's way."""
AXES: Final = (("a", "#c0392b"), ("b", "#1e8449"), ("c", "#2058a8"))


@dataclass(frozen=True)
class Labels:
    """Words and numbers around a picture of channels.

    Attributes
    ----------
    title : str
    lines : tuple of str
        Below the title.
    r_chan, r_sd : float
        Å; thresholds.
    radii : tuple of float
        r1, r2, r3, Å.
    """

    title: str
    lines: tuple[str, ...]
    r_chan: float
    r_sd: float
    radii: tuple[float, float, float]


def width_range(scene: Scene, labels: Labels) -> tuple[float, float]:
    """Radii at the two ends of the colour bar, Å: from the threshold to the widest channel, at least 0.25 Å."""
    shown = scene.tubes.width[(scene.tubes.tier != BELOW) & scene.tubes.on_route]
    high = float(shown.max()) if len(shown) else max(labels.r_chan, *labels.radii)
    low = min(labels.r_chan, float(shown.min()) if len(shown) else labels.r_chan)
    if high - low < 0.25:
        low = high - 0.25
    return low, high


def channel_colours() -> Any:
    """Colour map of the radii: light and warm for narrow, dark for wide."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    shades = colormaps["plasma_r"](np.linspace(0.12, 0.8, 64))
    return LinearSegmentedColormap.from_list("channels", shades)


def scene_colours(channels: Channels) -> dict[str, tuple[float, float, float]]:
    """Colours of the elements: the ion and its anion first, then what there is most of."""
    amounts = channels.framework.amounts()
    others = sorted(amounts, key=lambda symbol: -amounts[symbol])
    first = [channels.ion] if channels.anion is None else [channels.ion, channels.anion]
    return element_colours([*first, *others], taken=[VOID_COLOUR])


def pale(colour: Any) -> NDArray[np.float64]:
    """Colour of a polyhedron around an atom of this colour: mixed with white, dark ones more."""
    red, green, blue = colour
    share = 0.25 + 0.3 * (1 - (0.299 * red + 0.587 * green + 0.114 * blue))
    mixed: NDArray[np.float64] = np.asarray(colour, dtype=float) * (1 - share) + share
    return mixed


def tube_radii(tubes: Tubes) -> NDArray[np.float64]:
    """Drawn radius of each channel, Å: thick on the ways of the hops, by their tier."""
    radii = np.array([TUBE_RADII[tier] for tier in tubes.tier.tolist()], dtype=float)
    return np.where(tubes.on_route, radii, np.minimum(radii, DETOUR_RADIUS))


def atom_radius(symbol: str, centred: bool) -> float:
    """Drawn radius of a framework atom, Å; small in the centre of a polyhedron."""
    from ase.data import atomic_numbers, covalent_radii

    if centred:
        return CATION_RADIUS
    size = float(covalent_radii[atomic_numbers[symbol]])
    return ANION_RADIUS + 0.16 * max(0.0, size - 0.7)


@lru_cache(maxsize=1)
def _schemes() -> tuple[dict[str, _Colour], ...]:
    """Colours of the elements as VESTA and as Jmol paint them."""
    import re
    from importlib.resources import files

    text = (files("pymatgen.vis") / "ElementColorSchemes.yaml").read_text(encoding="utf-8")
    parts = re.split(r"^(\w+):", text, flags=re.MULTILINE)
    bodies = dict(zip(parts[1::2], parts[2::2], strict=True))
    schemes = []
    for name in ("VESTA", "Jmol"):
        rows = re.findall(r"^ +(\w+): *\[ *(\d+), *(\d+), *(\d+) *\]", bodies[name], re.MULTILINE)
        schemes.append({row[0]: (int(row[1]) / 255, int(row[2]) / 255, int(row[3]) / 255) for row in rows})
    return tuple(schemes)


def element_colours(symbols: Sequence[str], taken: Sequence[_Colour] = ()) -> dict[str, _Colour]:
    """Choose a colour for each element of a picture: VESTA's, or where that is too like one chosen before, another.

    Parameters
    ----------
    symbols : sequence of str
        Those that must have their own colour first.
    taken : sequence
        Colours that something else has.

    Returns
    -------
    dict
        Red, green and blue from 0 to 1, by symbol.

    Examples
    --------
    >>> chosen = element_colours(["Li", "O", "Zr"])  # Li and Zr are both green in VESTA
    >>> chosen["O"], chosen["Zr"] == element_colours(["Zr"])["Zr"]
    ((0.996078431372549, 0.011764705882352941, 0.0), False)
    """
    chosen: dict[str, _Colour] = {}
    for symbol in dict.fromkeys(symbols):
        named = [scheme[symbol] for scheme in _schemes() if symbol in scheme]
        free = [
            each for each in (*named, *_SPARE) if not any(_alike(each, other) for other in (*chosen.values(), *taken))
        ]
        chosen[symbol] = (free or named or list(_SPARE))[0]
    return chosen


_Colour = tuple[float, float, float]
_SPARE: Final[tuple[_Colour, ...]] = (
    (0.16, 0.50, 0.73), (0.95, 0.77, 0.06), (0.55, 0.27, 0.68), (0.09, 0.63, 0.52), (0.83, 0.33, 0.0), (0.5, 0.55, 0.55),
)  # fmt: skip


def _alike(one: _Colour, other: _Colour) -> bool:
    """Whether two colours are taken for each other: of the same hue, and about as light."""
    (light, red, yellow), (light2, red2, yellow2) = _lab(one), _lab(other)
    chroma, chroma2 = np.hypot(red, yellow), np.hypot(red2, yellow2)
    if min(chroma, chroma2) < 12.0:
        return bool(max(chroma, chroma2) < 20.0 and abs(light - light2) < 25.0)
    turn = abs((np.degrees(np.arctan2(yellow, red) - np.arctan2(yellow2, red2)) + 180.0) % 360.0 - 180.0)
    return bool(turn < 20.0 and abs(light - light2) < 30.0)


def _lab(colour: _Colour) -> NDArray[np.float64]:
    """CIE L*a*b* of an sRGB colour (IEC 61966-2-1, D65)."""
    rgb = np.asarray(colour, dtype=float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = _TO_XYZ @ linear / np.array([0.9505, 1.0, 1.089])
    bent = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * bent[1] - 16, 500 * (bent[0] - bent[1]), 200 * (bent[1] - bent[2])])


_TO_XYZ: Final = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
