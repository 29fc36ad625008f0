"""OPTIMADE filters: the parser and the logic of :mod:`api.grammar`, with OPTIMADE's names, types and answers.

Two kinds of entries are asked: structures, whose filters become MongoDB queries (:mod:`api.optimade.structure_filter`),
and short lists in memory (links, references). A property of another provider is unknown for all entries, as the
specification asks; the features that it leaves optional and that are not here end in 501 with their name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lark.exceptions import LarkError, VisitError
from optimade.exceptions import NotImplementedResponse, OptimadeHTTPException

from api.filter_errors import check_text, lark_error
from api.filters import DEEPEST, LONGEST
from api.grammar import CandidateTransformer, Constant, Reference, parser
from api.optimade.values import Test, examine
from store.errors import FilterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_QUANTIFIERS: Final = frozenset({"ALL", "ANY", "ONLY"})


def understand(text: str, translator: Translator) -> Any:
    """Parse a filter and translate it.

    Parameters
    ----------
    text : str
        The filter; not blank.
    translator : Translator

    Returns
    -------
    object
        What the translator makes of it.

    Raises
    ------
    store.errors.FilterError
        It cannot be read, is too long or nested too deep.
    optimade.exceptions.OptimadeHTTPException
        An unknown property (400), or a feature or a comparison of types that is not supported (501).
    """
    check_text(text, LONGEST, DEEPEST)
    try:
        tree = parser().lark.parse(text)
    except LarkError as error:
        raise lark_error(text, error) from None
    try:
        return translator.transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, FilterError | OptimadeHTTPException):
            raise error.orig_exc from None
        raise


# Its methods for comparisons are replaced by others of another shape; the rest (values, places, names) is used as it is.
_Walk: Any = CandidateTransformer


class Translator(_Walk, ABC):  # type: ignore[misc]
    """The walk over the tree of a filter; what a single comparison means is told by a subclass.

    Attributes
    ----------
    foreign : list of str
        Properties of other providers that the filter names.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.foreign: list[str] = []

    @abstractmethod
    def judge(self, name: str, test: Test) -> Any:
        """Say for which entries a test of a property is true, and for which false."""

    def property_first_comparison(self, arg: list[Any]) -> Any:
        """property_first_comparison: property ( value_op_rhs | known_op_rhs | ... )."""
        reference, test = arg
        return self.judge(reference.name, test)

    def constant_first_comparison(self, arg: list[Any]) -> Any:
        """constant_first_comparison: constant OPERATOR ( non_string_value | not_implemented_string )."""
        constant, operator, reference = arg
        if not isinstance(reference, Reference):
            raise NotImplementedResponse("Comparisons of two values are not supported.")
        turned = self._reversed_operator_map[str(operator)]
        return self.judge(reference.name, Test("compare", turned, (constant.value,)))

    def value_op_rhs(self, arg: list[Any]) -> Test:
        """value_op_rhs: OPERATOR value."""
        return Test("compare", str(arg[0]), (_given(arg[1]),))

    def known_op_rhs(self, arg: list[Any]) -> Test:
        """known_op_rhs: IS ( KNOWN | UNKNOWN )."""
        return Test("known", str(arg[1]))

    def fuzzy_string_op_rhs(self, arg: list[Any]) -> Test:
        """fuzzy_string_op_rhs: CONTAINS value | STARTS [ WITH ] value | ENDS [ WITH ] value."""
        return Test("text", str(arg[0]), (_given(arg[-1]),))

    def set_op_rhs(self, arg: list[Any]) -> Test:
        """set_op_rhs: HAS ( [ OPERATOR ] value | ALL value_list | ANY value_list | ONLY value_list )."""
        quantifier = "ANY" if len(arg) == 2 else str(arg[1])
        if quantifier not in _QUANTIFIERS:
            raise NotImplementedResponse("HAS with a comparison (HAS < 3) is not supported.")
        values = arg[-1] if isinstance(arg[-1], list) else [arg[-1]]
        return Test("has", quantifier, tuple(_given(value) for value in values))

    def length_op_rhs(self, arg: list[Any]) -> Test:
        """length_op_rhs: LENGTH [ OPERATOR ] signed_int."""
        return Test("length", str(arg[1]) if len(arg) == 3 else "=", (_given(arg[-1]),))

    def value_list(self, arg: list[Any]) -> list[Any]:
        """value_list: [ OPERATOR ] value ( "," [ OPERATOR ] value )*."""
        if any(not isinstance(value, Constant | Reference) for value in arg):
            raise NotImplementedResponse("Comparisons inside a list of values (HAS ANY > 3, < 1) are not supported.")
        return arg

    def value_zip(self, arg: list[Any]) -> None:
        """value_zip: correlated lists."""
        raise NotImplementedResponse("Correlated lists (a:b HAS x:y) are not supported.")

    value_zip_list = value_zip
    property_zip_addon = value_zip
    set_zip_op_rhs = value_zip


def _given(value: Any) -> Any:
    if isinstance(value, Constant):
        return value.value
    raise NotImplementedResponse("Comparisons of two properties are not supported.")


@dataclass(frozen=True)
class Verdict:
    """Entries of a list for which a filter is true, and for which false, by their places."""

    yes: frozenset[int]
    no: frozenset[int]


class ListTranslator(Translator):
    """Filters on a short list of entries.

    Parameters
    ----------
    text : str
    entries : sequence of mapping
        Properties by name, one mapping an entry.
    names : collection of str
        The properties that there are.

    Examples
    --------
    >>> found = understand('name = "a" OR size > 3', ListTranslator("", [{"name": "a"}, {"size": 5}], {"name", "size"}))
    >>> sorted(found.yes)
    [0, 1]
    """

    def __init__(self, text: str, entries: Sequence[Mapping[str, Any]], names: set[str]) -> None:
        super().__init__(text)
        self.entries = entries
        self.names = names

    def judge(self, name: str, test: Test) -> Verdict:
        """Apply a test to each entry."""
        base = name.partition(".")[0]
        if base not in self.names and not base.startswith("_"):
            from optimade.exceptions import BadRequest

            raise BadRequest(f"There is no property {name!r}; there are {', '.join(sorted(self.names))}.")
        if base not in self.names:
            self.foreign.append(name)
        answers = [examine(name, entry.get(name), test) for entry in self.entries]
        return Verdict(
            frozenset(place for place, answer in enumerate(answers) if answer is True),
            frozenset(place for place, answer in enumerate(answers) if answer is False),
        )

    def expression(self, arg: list[Verdict]) -> Verdict:
        """OR: true where one is, false where all are."""
        return Verdict(
            frozenset().union(*(each.yes for each in arg)),
            arg[0].no.intersection(*(each.no for each in arg[1:])),
        )

    def expression_clause(self, arg: list[Verdict]) -> Verdict:
        """AND: true where all are, false where one is."""
        return Verdict(
            arg[0].yes.intersection(*(each.yes for each in arg[1:])),
            frozenset().union(*(each.no for each in arg)),
        )

    def expression_phrase(self, arg: list[Any]) -> Verdict:
        """NOT swaps the two."""
        verdict: Verdict = arg[-1]
        return Verdict(verdict.no, verdict.yes) if len(arg) > 1 else verdict
