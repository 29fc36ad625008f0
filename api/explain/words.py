"""An explanation in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.explain.kinds import window_of

if TYPE_CHECKING:
    from api.explain.kinds import Kind
    from builders.explanation.model import CurvePart

GROUP_NAMES: Final = {
    "all": "all atoms",
    "ion": "the lithium",
    "anions": "the anions",
    "cations": "the framework cations",
    "framework": "the framework",
}
HOLE_NAMES: Final = (("cluster", "clusters"), ("loop", "loops"), ("void", "voids"))
_LITTLE: Final = 0.005


def signed(value: float) -> str:
    """Write a contribution.

    Examples
    --------
    >>> signed(0.314), signed(-0.05)
    ('+0.31', '-0.05')
    """
    return f"{value:+.2f}"


def about(group: str, degree: int) -> str:
    """Name the holes of a curve.

    Examples
    --------
    >>> about("ion", 2)
    'voids among the lithium'
    """
    return f"{HOLE_NAMES[degree][1]} among {GROUP_NAMES[group]}"


def sentence(part: CurvePart, kinds: list[Kind], absence: float) -> str:
    """Say what a curve adds, at which radii, and by which holes."""
    verb = "raise" if part.contribution >= 0 else "lower"
    if all(value != value for value in part.curve.tolist()):
        return (
            f"{signed(part.contribution)}: the crystal has no atoms of {GROUP_NAMES[part.group].removeprefix('the ')}"
        )
    window = window_of(part)
    there = f"at {window.low:.1f} Å" if window.low == window.high else f"from {window.low:.1f} to {window.high:.1f} Å"
    text = f"{about(part.group, part.degree)} {verb} it by {abs(part.contribution):.2f}, mostly {there}"
    holes, usual = _amount(window.holes), _amount(window.usual)
    if holes != usual:
        text += f" (per atom at {window.peak:.1f} Å: {holes}, usually {usual})"
    told = [_of_kind(kind, part.degree) for kind in kinds[:2] if kind.contribution * part.contribution > 0]
    told = [each for each, kind in zip(told, kinds, strict=False) if abs(kind.contribution) > _LITTLE]
    if absence * part.contribution > 0 and abs(absence) > max(_LITTLE, 0.5 * abs(part.contribution)):
        told.append(f"{signed(absence)} because there are none at other radii" if told else "because there are none")
    return text + (": " + ", ".join(told) if told else "")


def _amount(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if value >= 0.005 else "none"


def _of_kind(kind: Kind, degree: int) -> str:
    name = HOLE_NAMES[degree][kind.count > 1]
    if degree == 0:
        return (
            f"{kind.count} {name} that join at {2 * kind.death:.2f} Å from atom to atom ({signed(kind.contribution)})"
        )
    return f"{kind.count} {name} that open at {kind.birth:.2f} and close at {kind.death:.2f} Å ({signed(kind.contribution)})"
