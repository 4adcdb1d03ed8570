"""The language of constraints: expressions over named values, such as `hidden_size % num_heads == 0`.

Python's grammar gives the tree, a list of allowed nodes what it may hold; each becomes a closure. Nothing is evaluated
that is not on the list, and no allowed operation makes much of little: no powers, no arithmetic on text.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

MOST_CHARACTERS = 500
MOST_PARTS = 200
"""Nodes of an expression's tree: names, numbers, operators."""
MOST_DEPTH = 40

Evaluate = Callable[[Mapping[str, Any]], Any]


class ExpressionError(ValueError):
    """A text is no expression of the language.

    Args:
        rule: What must hold.
        at: Where it does not: characters from the start of the text.
        got: What stands there.
        remedy: What to do.
    """

    def __init__(self, rule: str, at: int = 0, got: str = "", remedy: str = "") -> None:
        super().__init__(rule)
        self.rule, self.at, self.got, self.remedy = rule, at, got, remedy


class WrongKindError(ValueError):
    """An operation got values of a kind that it does not take, such as text for a number."""


@dataclass(frozen=True)
class Expression:
    """A parsed expression. `names` has each name of a value, with the character where it first stands."""

    text: str
    names: Mapping[str, int]
    evaluate: Evaluate

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of the values; all of `names` must be among them.

        What cannot be worked out, as by dividing by zero, does not hold.

        Raises:
            WrongKindError: If an operation gets values of a kind that it does not take.
        """
        try:
            return _truth(self.evaluate(values))
        except (ZeroDivisionError, OverflowError):
            return False


@lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """Read an expression.

    Raises:
        ExpressionError: If the text is no expression of the language.
    """
    if len(text) > MOST_CHARACTERS:
        raise ExpressionError(f"an expression has at most {MOST_CHARACTERS} characters", got=str(len(text)))
    stripped = text.lstrip()
    shift = len(text) - len(stripped)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's remarks on odd but valid texts, such as `1if`
            tree = ast.parse(stripped, mode="eval")
    except SyntaxError as error:
        at = shift + error.offset - 1 if error.offset else len(text)  # 0 is said of the end
        said = (error.msg or "it breaks off").partition(". ")[0]
        raise ExpressionError(f"is not an expression: {said}", min(at, len(text)), remedy=_hint(stripped)) from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError("is not an expression", remedy="write it like low < high") from None
    reader = _Reader(stripped, shift)
    count = sum(1 for node in ast.walk(tree) if not isinstance(node, ast.expr_context | ast.operator | ast.cmpop))
    if count > MOST_PARTS:
        raise ExpressionError(f"an expression has at most {MOST_PARTS} parts", got=str(count), remedy="split it")
    evaluate = reader.read(tree.body)
    if isinstance(tree.body, ast.BinOp | ast.Call) or (
        isinstance(tree.body, ast.Constant) and not isinstance(tree.body.value, bool)
    ):
        raise ExpressionError("must be true or false", shift, remedy="compare it with something: ... <= 4")
    return Expression(text, reader.names, evaluate)


def _hint(text: str) -> str:
    for wrong, right in (("&&", "and"), ("||", "or"), ("!", "not")):
        if wrong in text.replace("!=", ""):
            return f"write {right} for {wrong}"
    return "write == to compare" if "=" in text else "write it like low < high"


def _number(value: Any) -> Any:
    if not isinstance(value, int | float):  # a truth value counts 0 or 1
        raise WrongKindError(f"a number is needed, and {_shown(value)} is none")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongKindError(f"true or false is needed, and {_shown(value)} is neither")
    return value


def _shown(value: Any) -> str:
    return "null" if value is None else repr(value)[:60]


def _equal(left: Any, right: Any) -> bool:
    """As space files have it: 1 and 1.0 are one value, 1 and true are two."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _ordered(order: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: order(_number(left), _number(right))


def _among(left: Any, right: Sequence[Any]) -> bool:
    return any(_equal(left, item) for item in right)


def _count(text: Any, piece: Any) -> int:
    """How often `piece` stands in `text`, such as the bit 1 in a layout."""
    for value in (text, piece):
        if not isinstance(value, str):
            raise WrongKindError(f"count takes two texts, and {_shown(value)} is none")
    return text.count(piece) if piece else 0


_FUNCTIONS: dict[str, tuple[int, int | None, Callable[..., Any]]] = {
    "min": (2, None, lambda *values: min(map(_number, values))),
    "max": (2, None, lambda *values: max(map(_number, values))),
    "abs": (1, 1, lambda value: abs(_number(value))),
    "count": (2, 2, _count),
}
"""Name to the least and most arguments, and what is done."""
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EQUALITY: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: _equal,
    ast.NotEq: lambda left, right: not _equal(left, right),
    ast.In: _among,
    ast.NotIn: lambda left, right: not _among(left, right),
}
_WORDS = {"true": True, "false": False, "null": None}
_WRONG = {
    ast.Pow: "powers are not allowed",
    ast.Is: "is compares no values",
    ast.IsNot: "is compares no values",
    ast.IfExp: "if is not allowed",
    ast.Attribute: "a name has no parts",
    ast.Subscript: "a value has no parts",
}


class _Reader:
    """Turns a tree into closures; refuses what the language has not."""

    def __init__(self, text: str, shift: int) -> None:
        self._text, self._shift = text, shift
        self._depth = 0
        self.names: dict[str, int] = {}

    def read(self, node: ast.expr) -> Evaluate:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise self._error(node, f"expressions are nested at most {MOST_DEPTH} deep", remedy="split it")
        found = self._read(node)
        self._depth -= 1
        return found

    def _read(self, node: ast.expr) -> Evaluate:
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name(id=name):
                if name in _WORDS:
                    word = _WORDS[name]
                    return lambda values: word
                self.names.setdefault(name, self._at(node))
                return operator.itemgetter(name)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.read(operand)
                return lambda values: not _truth(inner(values))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.read(operand)
                return lambda values: -_number(inner(values))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                do, one, two = _ARITHMETIC[type(op)], self.read(left), self.read(right)
                return lambda values: do(_number(one(values)), _number(two(values)))
            case ast.BoolOp(op=op, values=parts):
                return self._connected(isinstance(op, ast.And), [self.read(part) for part in parts])
            case ast.Compare():
                return self._compared(node)
            case ast.Call():
                return self._called(node)
        kind = type(node.op) if isinstance(node, ast.BinOp) else type(node)
        raise self._error(node, _WRONG.get(kind, "this is not allowed in a constraint"), remedy=_ALLOWED)

    def _constant(self, node: ast.Constant) -> Evaluate:
        value = node.value
        if value is not None and not isinstance(value, bool | int | float | str):
            raise self._error(node, "a value is a number, text, true, false or null")
        if isinstance(value, float) and not math.isfinite(value):
            raise self._error(node, "numbers must be finite")
        return lambda values: value

    @staticmethod
    def _connected(all_: bool, parts: Sequence[Evaluate]) -> Evaluate:
        # The first that decides ends it: `n > 0 and m / n < 2` divides by no zero.
        if all_:
            return lambda values: all(_truth(part(values)) for part in parts)
        return lambda values: any(_truth(part(values)) for part in parts)

    def _compared(self, node: ast.Compare) -> Evaluate:
        operands: list[Evaluate] = [self.read(node.left)]
        steps: list[Callable[[Any, Any], bool]] = []
        for op, right in zip(node.ops, node.comparators, strict=True):
            listed = isinstance(right, ast.List | ast.Tuple)
            if listed != isinstance(op, ast.In | ast.NotIn):
                raise self._error(right, "in takes a list, and only in does", remedy="write kind in ['a', 'b']")
            if isinstance(right, ast.List | ast.Tuple):
                operands.append(self._list([self.read(item) for item in right.elts]))
            else:
                operands.append(self.read(right))
            if type(op) in _ORDER:
                steps.append(_ordered(_ORDER[type(op)]))
            elif type(op) in _EQUALITY:
                steps.append(_EQUALITY[type(op)])
            else:
                raise self._error(right, _WRONG[type(op)], remedy="write == or !=")

        def compare(values: Mapping[str, Any]) -> bool:
            left = operands[0](values)
            for step, operand in zip(steps, operands[1:], strict=True):
                right = operand(values)
                if not step(left, right):
                    return False
                left = right
            return True

        return compare

    @staticmethod
    def _list(items: Sequence[Evaluate]) -> Evaluate:
        return lambda values: [item(values) for item in items]

    def _called(self, node: ast.Call) -> Evaluate:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _FUNCTIONS:
            raise self._error(node, "there is no such function", remedy=f"functions are {', '.join(_FUNCTIONS)}")
        least, most, do = _FUNCTIONS[name]
        arguments = len(node.args)
        if node.keywords or arguments < least or (most is not None and arguments > most):
            wanted = f"{least}" if least == most else f"at least {least}"
            raise self._error(node, f"{name} takes {wanted} value{'s' * (wanted != '1')}", got=str(arguments))
        parts = [self.read(argument) for argument in node.args]
        return lambda values: do(*(part(values) for part in parts))

    def _at(self, node: ast.expr) -> int:
        line = self._text.split("\n")[node.lineno - 1] if node.lineno == 1 else ""
        return self._shift + len(line.encode()[: node.col_offset].decode(errors="ignore"))

    def _error(self, node: ast.expr, rule: str, *, got: str | None = None, remedy: str = "") -> ExpressionError:
        found = ast.get_source_segment(self._text, node) if got is None else got
        return ExpressionError(rule, self._at(node), (found or "")[:60], remedy)


_ALLOWED = "use names, numbers, text, + - * / // %, comparisons, and, or, not, in, min, max, abs, count"
