"""Functions for the parts of an expression that are used for each record, in place of walking its tree each time.

They do what ``jmespath.visitor.TreeInterpreter`` does, which evaluates all other parts. Walking the tree took most of
the time of ``--where`` and ``--select``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from jmespath.visitor import TreeInterpreter

from loader.shaping.number_text import is_false

Evaluate = Callable[[Any], Any]
"""Gives the value of a part of an expression for a value."""

Node = dict[str, Any]
"""A part of an expression, as the parser of jmespath gives it."""

_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


def compiled(node: Node, interpreter: TreeInterpreter) -> Evaluate:
    """The function for a part of an expression.

    Args:
        interpreter: Evaluates the parts for which there is no function here.

    Raises:
        RecursionError: The expression nests too deeply.
    """
    make = _MAKERS.get(node["type"])
    if make is not None:
        return make(node, interpreter)

    def walk(value: Any) -> Any:
        return interpreter.visit(node, value)

    return walk


def _children(node: Node, interpreter: TreeInterpreter) -> list[Evaluate]:
    return [compiled(child, interpreter) for child in node["children"]]


def _current(_node: Node, _interpreter: TreeInterpreter) -> Evaluate:
    return lambda value: value


def _literal(node: Node, _interpreter: TreeInterpreter) -> Evaluate:
    found = node["value"]
    return lambda _: found


def _field(node: Node, _interpreter: TreeInterpreter) -> Evaluate:
    name = node["value"]
    return lambda value: value.get(name) if type(value) is dict else None


def _chain(node: Node, interpreter: TreeInterpreter) -> Evaluate:
    first, *others = _children(node, interpreter)

    def of(value: Any) -> Any:
        found = first(value)
        for one in others:
            found = one(found)
        return found

    return of


def _object(node: Node, interpreter: TreeInterpreter) -> Evaluate:
    members = [(child["value"], compiled(child["children"][0], interpreter)) for child in node["children"]]
    return lambda value: None if value is None else {name: of(value) for name, of in members}


def _array(node: Node, interpreter: TreeInterpreter) -> Evaluate:
    elements = _children(node, interpreter)
    return lambda value: None if value is None else [of(value) for of in elements]


def _not(node: Node, interpreter: TreeInterpreter) -> Evaluate:
    (inner,) = _children(node, interpreter)
    # A number is true, 0 as well.
    return lambda value: is_false(inner(value))


def _and(node: Node, interpreter: TreeInterpreter) -> Evaluate:
    left, right = _children(node, interpreter)
    return lambda value: found if is_false(found := left(value)) else right(value)


def _or(node: Node, interpreter: TreeInterpreter) -> Evaluate:
    left, right = _children(node, interpreter)
    return lambda value: right(value) if is_false(found := left(value)) else found


def _comparison(node: Node, interpreter: TreeInterpreter) -> Evaluate:
    kind, (left, right) = node["value"], _children(node, interpreter)
    if kind in _ORDERS:
        compare = _ORDERS[kind]

        def ordered(value: Any) -> Any:
            one, other = left(value), right(value)
            return compare(one, other) if _has_order(one) and _has_order(other) else None

        return ordered
    if kind == "eq":
        return lambda value: _equal(left(value), right(value))
    return lambda value: not _equal(left(value), right(value))


def _equal(one: Any, other: Any) -> bool:
    # For Python, True is 1.
    return one == other and (type(one) is bool) is (type(other) is bool)


def _has_order(value: Any) -> bool:
    return isinstance(value, int | float | str) and type(value) is not bool


_MAKERS: dict[str, Callable[[Node, TreeInterpreter], Evaluate]] = {
    "identity": _current,
    "current": _current,
    "literal": _literal,
    "field": _field,
    "subexpression": _chain,
    "pipe": _chain,
    "multi_select_dict": _object,
    "multi_select_list": _array,
    "not_expression": _not,
    "and_expression": _and,
    "or_expression": _or,
    "comparator": _comparison,
}
