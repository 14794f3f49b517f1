"""What may stand in the graph of an exported program before torch may read it.

torch's own reader evaluates the shapes' text as Python, looks functions up by name, writes the names of values into
source code that it runs, and unpickles custom objects. So each string is held to what it has to be, and whatever is
only for information is left out.
"""

from __future__ import annotations

import ast
import json
import keyword
import re
from collections.abc import Callable
from typing import Any

from engine.errors import ModelUnreadable, ModelUnsafe, OperatorUnsupported

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}\Z")
_PATH = re.compile(r"[A-Za-z0-9_]{0,255}(\.[A-Za-z0-9_]{1,255}){0,63}\Z")
_WORKED_OUT = re.compile(r"(?=.*[-+*/])[a-z0-9][a-z0-9+*/() -]{0,200}\Z")
"""A size worked out of others, such as `4*s18`."""

_SYMBOL = re.compile(r"[a-z]{1,4}[0-9]{1,18}\Z")
_OPERATORS = re.compile(
    r"(torch\.ops\.aten\.\w+\.\w+"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|getitem|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.(ceil|floor|trunc)"
    r"|torch\.(sym_int|sym_float|sym_max|sym_min|sym_not|sym_ite|_sym_sqrt))\Z"
)
_TOUCHES_FILES = "from_file"

_ARGUMENTS = frozenset(
    f"as_{kind}"
    for kind in (
        *("none", "tensor", "tensors", "optional_tensor", "optional_tensors", "nested_tensors"),
        *("int", "ints", "int_lists", "float", "floats", "float_lists", "bool", "bools", "string", "strings"),
        *("sym_int", "sym_ints", "sym_float", "sym_floats", "sym_bool", "sym_bools", "expr", "name"),
        *("scalar_type", "memory_format", "layout", "device", "complex"),
    )
)
"""Kinds of arguments; left out are those that hold graphs, operators and custom objects."""

_LEFT_OUT: dict[str, Callable[[], object]] = {
    "metadata": dict,  # lines of source code and where they lay
    "guards_code": list,  # Python text that torch would run
    "treespec_namedtuple_fields": dict,  # classes
    "custom_obj_values": dict,
}
_ARGUMENT_TEXT = re.compile(r"[ -~]{0,1000}\Z")
"""What an operator is told in words, such as the sums of einsum; torch quotes it wherever it writes code."""

_NOTE = re.compile(r"[\w .+\-/:,]{0,200}\Z")
_TEXTS = {
    **dict.fromkeys(("as_string", "as_strings"), _ARGUMENT_TEXT),
    **dict.fromkeys(("torch_version", "min_val", "max_val", "verifiers", "dialect"), _NOTE),
    **dict.fromkeys(("parameter_name", "buffer_name", "tensor_constant_name", "fqn", "target_name"), _PATH),
}
"""What a text under a key may be; under any other it is the name of a value, which gets into code."""

_CONTAINERS = {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
_FUNCTIONS = {
    *("Mod", "PythonMod", "FloorDiv", "CleanDiv", "CeilDiv", "ModularIndexing", "Max", "Min", "Identity"),
    *("IntTrueDiv", "FloatTrueDiv", "TruncToInt", "FloorToInt", "CeilToInt", "ToFloat", "Where", "floor", "ceiling"),
    *("Add", "Mul", "Integer", "Rational", "Equality", "Unequality", "And", "Or", "Not"),
    *("LessThan", "StrictLessThan", "GreaterThan", "StrictGreaterThan"),
}
_ASSUMPTIONS = {"positive", "nonnegative", "integer"}
_LONGEST_EXPRESSION, _LARGEST_NUMBER = 2000, 1 << 48
_EXPRESSION_NODES = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Load, ast.Name, ast.Call, ast.Constant, ast.keyword),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.USub, ast.UAdd),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)


def checked_program(text: bytes) -> bytes:
    """Return the program's JSON with nothing in it that is not understood. Raises a ModelError that names the part."""
    try:
        program = json.loads(text)
        return json.dumps(_checked(program, "program", "program")).encode()
    except (ValueError, UnicodeDecodeError) as error:
        raise ModelUnreadable(f"The program's graph is not JSON: {error}. Export it again.") from error
    except RecursionError as error:
        raise ModelUnsafe("The program's graph is nested too deeply.") from error


def checked_sizes(entries: object, where: str) -> list[int]:
    """Return sizes, strides or the like of a stored tensor: whole numbers, none negative, none symbolic."""
    found = [entry.get("as_int") if isinstance(entry, dict) else None for entry in _list(entries, where)]
    if not all(type(size) is int and 0 <= size <= _LARGEST_NUMBER for size in found):
        raise ModelUnreadable(f"'{where}' has the sizes {str(entries)[:100]}, which are no numbers.", where=where)
    return [int(size) for size in found if size is not None]


def _checked(part: Any, key: str, where: str) -> Any:
    """Walk down: every key and every text of the document is held to what it may be."""
    if isinstance(part, dict):
        where = _place(part, where)
        if key == "range_constraints":  # those of sums and multiples follow from those of the symbols
            part = {name: value for name, value in part.items() if not _WORKED_OUT.match(name)}
        return {name: _entry(name, value, where) for name, value in part.items()}
    if isinstance(part, list):
        return [_checked(value, key, where) for value in part]
    if isinstance(part, str):
        return _text(part, key, where)
    return part


def _entry(name: str, value: Any, where: str) -> Any:
    if name in _LEFT_OUT:
        return _LEFT_OUT[name]()
    if name.startswith("as_") and name not in _ARGUMENTS:
        raise OperatorUnsupported(
            f"{where}: an argument of the kind {name[3:]} is not taken. Export it without objects and control flow.",
            where=where,
        )
    if not _PATH.match(name):
        raise _unsafe(name, where, "name")
    if name in ("device", "as_device"):
        return {"type": "cpu", "index": None}  # a network exported on a GPU is read without one
    return _checked(value, name, where)


def _place(part: dict[str, Any], where: str) -> str:
    """Name the node, for errors within it."""
    name = part.get("name")
    return f"Node '{name}'" if "target" in part and isinstance(name, str) else where


def _text(text: str, key: str, where: str) -> str:
    if key == "target":
        return _operator(text, where)
    if key == "expr_str":
        return _expression(text, where)
    if key in ("in_spec", "out_spec"):
        _check_structure(text, where)
        return text
    pattern = _TEXTS.get(key, _IDENTIFIER)
    if not pattern.match(text) or (pattern is _IDENTIFIER and keyword.iskeyword(text)):
        raise _unsafe(text, where, "name" if pattern in (_IDENTIFIER, _PATH) else "text")
    return text


def _operator(target: str, where: str) -> str:
    if not _OPERATORS.match(target) or _TOUCHES_FILES in target:
        raise OperatorUnsupported(
            f"{where} calls {target[:100]}, which is not one of torch's plain operators. "
            "Export the network to ONNX where it was trained, and upload that.",
            where=where,
        )
    return target


def _expression(text: str, where: str) -> str:
    """Take sums, products and quotients of symbols and numbers, as sizes are: `Mul(Integer(2), Symbol('s77'))`."""
    if len(text) > _LONGEST_EXPRESSION:
        raise _unsafe(text, where, "size")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise _unsafe(text, where, "size") from error
    if not all(isinstance(node, _EXPRESSION_NODES) and _is_plain(node) for node in ast.walk(tree)):
        raise _unsafe(text, where, "size")
    return text


def _is_plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return bool(_SYMBOL.match(node.value))
        return isinstance(node.value, (int, float)) and abs(node.value) <= _LARGEST_NUMBER
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and all(key.arg in _ASSUMPTIONS for key in node.keywords)
    if isinstance(node, ast.Name):
        return node.id == "Symbol" or node.id in _FUNCTIONS or bool(_SYMBOL.match(node.id))
    return True


def _check_structure(text: str, where: str) -> None:
    """How arguments and results are nested: tuples, lists and dictionaries by name, no classes."""
    if not text:
        return
    document = json.loads(text)
    if not isinstance(document, list) or len(document) != 2:
        raise _unsafe(text, where, "structure")
    waiting = [document[1]]
    while waiting:
        spec = waiting.pop()
        if not isinstance(spec, dict) or set(spec) != {"type", "context", "children_spec"}:
            raise _unsafe(text, where, "structure")
        if spec["type"] not in _CONTAINERS or not _are_keys(spec["context"]):
            raise OperatorUnsupported(
                f"{where}: its arguments or results hold a {str(spec['type'])[:80]}. "
                "Export a network that takes and returns tensors, or tuples, lists and dictionaries of them.",
                where=where,
            )
        waiting += _list(spec["children_spec"], where)


def _are_keys(context: object) -> bool:
    """Tell whether a container's description is nothing, or the plain names of its entries."""
    found = json.loads(context) if isinstance(context, str) else context
    return found is None or (isinstance(found, list) and all(isinstance(k, str) and _NOTE.match(k) for k in found))


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ModelUnreadable(f"'{where}' has {str(value)[:80]} where a list belongs. Export it again.", where=where)
    return value


def _unsafe(text: str, where: str, kind: str) -> ModelUnsafe:
    return ModelUnsafe(
        f"{where}: {text[:100]!r} is not a {kind} that torch.export writes. Export it again.", where=where
    )
