"""Messages about filters: the text, a caret under the place, what was expected in plain words, the nearest fields."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

from store.errors import FilterError, UnknownField
from store.fields import FIELDS, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

_WIDTH: Final = 110
_KEYWORDS: Final = frozenset(
    {"AND", "OR", "NOT", "IS", "KNOWN", "UNKNOWN", "CONTAINS", "STARTS", "ENDS", "WITH", "LENGTH", "HAS"}
    | {"ALL", "ONLY", "ANY", "TRUE", "FALSE", "MATCHES", "SIMILAR", "TO", "BY", "WITHIN"}
)

_VALUE: Final = frozenset({"ESCAPED_STRING", "TRUE"})
_WORDS: Final = {
    "_AND": "AND",
    "_OR": "OR",
    "RPAR": "a closing bracket )",
    "OPERATOR": "a comparison (= != < <= > >=)",
    "HAS": "HAS",
    "CONTAINS": "CONTAINS",
    "STARTS": "STARTS WITH",
    "ENDS": "ENDS WITH",
    "LENGTH": "LENGTH",
    "MATCHES": "MATCHES",
    "TO": "TO",
    "BY": "BY",
    "WITHIN": "WITHIN",
    "IS": "IS KNOWN or IS UNKNOWN",
    "KNOWN": "KNOWN",
    "UNKNOWN": "UNKNOWN",
    "COMMA": "a comma and another value",
    "ALL": "ALL",
    "ANY": "ANY",
    "ONLY": "ONLY",
}
"""What the grammar's terminals are called in a message, in the order in which they are told."""

E = TypeVar("E", bound=FilterError)


def picture(text: str, start: int, end: int) -> str:
    r"""Show the line of the filter that holds a place, with carets under the place.

    Examples
    --------
    >>> print(picture('bandgap > 1', 0, 7))
      bandgap > 1
      ^^^^^^^
    """
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", start)
    line = text[begin : len(text) if stop < 0 else stop].replace("\t", " ").replace("\r", " ")
    at, length = start - begin, max(1, min(end, len(text) if stop < 0 else stop) - start)
    left = max(0, at - _WIDTH // 2) if len(line) > _WIDTH else 0
    shown = line[left : left + _WIDTH]
    before, after = ("…" if left else ""), ("…" if left + _WIDTH < len(line) else "")
    carets = "^" * max(1, min(length, len(shown) - (at - left)))
    return f"  {before}{shown}{after}\n  {' ' * (len(before) + at - left)}{carets}"


def with_picture(error: E, text: str, start: int, end: int) -> E:
    """Add the picture of the place to an error."""
    # What mends it is told on a line of its own, not behind the carets.
    close = "\n" if error.mend else ""
    return type(error)(f"{error.message}\n{picture(text, start, end)}{close}", mend=error.mend)


def unknown_field(text: str, name: str, start: int, end: int) -> UnknownField:
    """Make the error for a name that is no field, with the nearest ones and their units."""
    known = FIELDS.get(name)
    if known is not None:
        message = f"{name} can be shown (ionatlas show ID) but not asked for."
    else:
        message = f"There is no field {name!r}."
    close = ", ".join(field.label for field in nearest(name))
    return UnknownField(
        f"{message}\n{picture(text, start, end)}\nNearest: {close}.", mend="ionatlas fields shows all fields with units"
    )


def unknown_name(name: str, use: str) -> UnknownField:
    """Make the error for a field named outside a filter, e.g. to sort by."""
    close = ", ".join(field.label for field in nearest(name))
    return UnknownField(
        f"There is no field {name!r} {use}. Nearest: {close}.", mend="ionatlas fields shows all fields with units"
    )


def no_such_index(text: str, name: str, start: int, end: int) -> None:
    """Refuse what nothing is compared by.

    Raises
    ------
    FilterError
    """
    known = _indexes()
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4) or [known[0]]
    error = FilterError(
        f"Materials are compared by {', '.join(known[:-1])} or {known[-1]}, and not by {name}.", mend=f"BY {close[0]}"
    )
    raise with_picture(error, text, start, end)


def _indexes() -> tuple[str, ...]:
    from indexes.registry import INDEXES

    return tuple(INDEXES)


def check_text(text: str, longest: int, deepest: int) -> None:
    """Refuse what the parser would choke on: too long, too deep, open strings and brackets, broken characters.

    Raises
    ------
    FilterError
    """
    if len(text) > longest:
        raise FilterError(
            f"The filter has {len(text)} characters; at most {longest} are taken.", mend="split it into several queries"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise with_picture(
            FilterError("The filter holds a broken character.", mend="write it in UTF-8"),
            text.encode("utf-8", "replace").decode(),
            error.start,
            error.start + 1,
        ) from None
    _check_brackets(text, deepest)


def _check_brackets(text: str, deepest: int) -> None:
    opened: list[int] = []
    place = 0
    while place < len(text):
        letter = text[place]
        if letter == '"':
            closing = _closing_quote(text, place)
            if closing is None:
                error = FilterError("A text is opened and never closed.", mend='close it with "')
                raise with_picture(error, text, place, place + 1)
            place = closing
        elif letter == "(":
            opened.append(place)
            if len(opened) > deepest:
                error = FilterError(f"Brackets are nested more than {deepest} deep.", mend="write the filter flatter")
                raise with_picture(error, text, place, place + 1)
        elif letter == ")":
            if not opened:
                error = FilterError("A bracket is closed that was never opened.", mend="take ) away or open it")
                raise with_picture(error, text, place, place + 1)
            opened.pop()
        place += 1
    if opened:
        raise with_picture(
            FilterError("A bracket is opened and never closed.", mend="close it with )"),
            text,
            opened[-1],
            opened[-1] + 1,
        )


def _closing_quote(text: str, start: int) -> int | None:
    place = start + 1
    while place < len(text):
        if text[place] == "\\":
            place += 2
            continue
        if text[place] == '"':
            return place
        place += 1
    return None


def syntax_error(text: str, place: int | None, expected: Iterable[str]) -> FilterError:
    """Put the parser's complaint into words.

    Parameters
    ----------
    text : str
        The filter.
    place : int or None
        Where the parser stopped; None at the end of the text.
    expected : iterable of str
        Names of the grammar's terminals that could have stood there.

    Examples
    --------
    >>> print(syntax_error("band_gap > 1 and density < 5", 13, {"_AND", "_OR"}).message)
    and is not understood here.
      band_gap > 1 and density < 5
                   ^^^
    Expected: AND, OR or the end.
    """
    names = set(expected)
    if place is None:
        end = len(text.rstrip())
        error = FilterError(
            f"The filter ends too early.\n{picture(text, end, end + 1)}\nExpected: {_expected(names, 0)}."
        )
        error.mend = "write the missing part"
        return error
    word, start = _word_at(text, place)
    if _begins_condition(names) and re.fullmatch(r"[A-Za-z_]\w*", word) and not _keyword(word):
        return unknown_field(text, word, start, start + len(word))
    error = FilterError(
        f"{word} is not understood here.\n{picture(text, start, start + len(word))}\nExpected: {_expected(names, 1)}."
    )
    error.mend = _advice(text, word, start, names)
    return error


def _begins_condition(names: set[str]) -> bool:
    return "NOT" in names and "_AND" not in names


def _word_at(text: str, place: int) -> tuple[str, int]:
    while place < len(text) and text[place].isspace():
        place += 1
    start = place
    for same in (r"\w", r"[<>=!]"):  # the lexer may have taken the first letters for something else
        while start > 0 and re.match(same, text[place : place + 1]) and re.match(same, text[start - 1]):
            start -= 1
    found = re.match(r"\w+|[<>=!~&|]+|.", text[start:], flags=re.DOTALL)
    return (found.group() if found else ""), start


def _keyword(word: str) -> str | None:
    """Find the keyword that a word is, or is meant to be."""
    if word.upper() in _KEYWORDS:
        return word.upper()
    close = difflib.get_close_matches(word, sorted(_KEYWORDS), n=1, cutoff=0.75) if word.isupper() else []
    return close[0] if close else None


def _expected(names: set[str], at_end: int) -> str:
    if "MATERIAL" in names:
        told = ["the id of a material", "a formula"]
    elif names == {"IDENTIFIER"}:
        told = list(_indexes())
    elif names >= _VALUE:
        told = ["a number", "TRUE", "FALSE", 'a text in double quotes ("...")']
        told += [_WORDS[name] for name in ("ALL", "ANY", "ONLY") if name in names]
    elif _begins_condition(names):
        told = ["a condition such as band_gap > 1", "NOT", "an opening bracket ("]
    else:
        told = [word for name, word in _WORDS.items() if name in names]
        if "SIGNED_INT" in names:
            told.append("a number" if "SIGNED_FLOAT" in names else "a whole number")
        if at_end and "_AND" in names and "RPAR" not in names:
            told.append("the end")
    if not told:
        told = ["something else"]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} or {told[-1]}"


def _advice(text: str, word: str, start: int, names: set[str]) -> str:
    keyword = _keyword(word)
    if keyword is not None and keyword != word:
        return f"write {keyword}" if word.isupper() else f"keywords are written in capitals: {keyword}"
    if word == "'":
        return 'text stands in double quotes: formula = "LiFePO4"'
    if word == "==":
        return "write = for equal"
    if names >= _VALUE and re.fullmatch(r"\w+", word):
        return f'text stands in double quotes: "{word}"'
    if word == "," and "_AND" in names:
        return 'for several values write HAS ALL "Li","O", HAS ANY or HAS ONLY'
    if set(word) <= set("<>=!") and "_AND" in names:
        return "join two bounds with AND: band_gap > 1 AND band_gap < 3"
    if word in ("&", "&&", "|", "||"):
        return "write AND or OR"
    return "ionatlas query --help shows examples"


def lark_error(text: str, error: Any) -> FilterError:
    """Put an exception of Lark into words."""
    from lark.exceptions import UnexpectedEOF, UnexpectedInput

    names = set(getattr(error, "allowed", None) or getattr(error, "expected", None) or ())
    if isinstance(error, UnexpectedInput) and not isinstance(error, UnexpectedEOF):
        return syntax_error(text, error.pos_in_stream, names)
    return syntax_error(text, None, names)
