"""Networks of torch into the one in-memory form, by torch's own exporter; what it wrote is read as any ONNX file."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import onnx_ir as ir
import torch
from google.protobuf.message import EncodeError  # type: ignore[import-untyped]  # protobuf ships no types
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn

from engine.errors import ModelUnreadable, ModelUnsafe
from engine.formats.archives import MOST_BYTES
from engine.formats.checks.external import missing
from engine.formats.onnx import read
from engine.graph.model import Model
from engine.recipe import OPEN_SIDE

OPSET = 18
_TRIED_BATCH = 2
_AXIS_NAMES = {0: "batch", 2: "height", 3: "width"}


def convert_network(network: nn.Module, input_shape: tuple[int | None, ...]) -> Model:
    """Export a network for images of this channels, height and width; the batch is open, and so is what is None.

    Raises ModelUnreadable where torch cannot export it so.
    """
    # Open within the bounds that the network sets, such as a least height; an axis that it fixes is an error.
    dims = {axis: torch.export.Dim.DYNAMIC for axis, size in enumerate((None, *input_shape)) if size is None}
    sizes = (_TRIED_BATCH, *(OPEN_SIDE if size is None else size for size in input_shape))
    program = _tried(lambda: torch.export.export(network, (torch.zeros(sizes),), dynamic_shapes=(dims,)), input_shape)
    return convert_program(program, inputs=("input",), outputs=_output_names(program))


def convert_program(
    program: torch.export.ExportedProgram, inputs: tuple[str, ...] = (), outputs: tuple[str, ...] = ()
) -> Model:
    """Turn an exported program into ONNX; open axes stay open and the batch is called so.

    Raises ModelUnreadable, or ModelUnsafe where its weights do not fit into a file.
    """
    require_room((*program.state_dict.values(), *program.constants.values()))
    options: dict[str, Any] = {"input_names": list(inputs) or None, "output_names": list(outputs) or None}
    made = _tried(lambda: torch.onnx.export(program, (), dynamo=True, opset_version=OPSET, verbose=False, **options))
    model = made.model
    ClearMetadataAndDocStringPass()(model)  # lines of source code, and where they lay
    _name_axes(model)
    return read(_serialised(model), _Nothing())


def require_room(values: Iterable[object]) -> None:
    """Hold tensors against what one ONNX file takes, each counted as if it shared no bytes and in 32 bits.

    Raises ModelUnsafe.
    """
    total = sum(value.numel() * max(4, value.element_size()) for value in values if isinstance(value, Tensor))
    if total > MOST_BYTES:
        raise ModelUnsafe(f"The network's tensors have {total} bytes together; at most {MOST_BYTES} are taken.")


class _Nothing:
    """The exporter leaves no files beside its graph."""

    def size_bytes(self, tensor: str, name: str) -> int:
        raise missing(tensor, name)

    def open(self, name: str) -> IO[bytes]:
        return io.BytesIO()


def _tried(make: Callable[[], Any], input_shape: tuple[int | None, ...] = ()) -> Any:
    try:
        with _quietly():
            return make()
    except Exception as error:  # an exporter runs the network: there is no list of what can go wrong
        raise ModelUnreadable(
            f"torch cannot export this network{_for_input(input_shape)}: {_gist(error)}. "
            "Export it with torch.onnx.export where it was trained, and upload the ONNX file."
        ) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter's remarks out of our own output, which is lines of JSON."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr), torch.no_grad():
        warnings.simplefilter("ignore")
        yield


def _for_input(shape: tuple[int | None, ...]) -> str:
    return f" for inputs of {list(shape)}" if shape else ""


def _gist(error: BaseException) -> str:
    """Return the first lines of the innermost error; the outer ones print whole programs."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    return " ".join(text.split())[:300] or type(error).__name__


def _output_names(program: torch.export.ExportedProgram) -> tuple[str, ...]:
    """Name the outputs by their keys where the network returns a dictionary, as segmentation does."""
    spec = program.call_spec.out_spec
    count = len(program.graph_signature.user_outputs)
    keys = spec.context if spec is not None and spec.type is not None and issubclass(spec.type, dict) else None
    if isinstance(keys, list) and len(keys) == count:
        return tuple(str(key) for key in keys)
    return ("output",) if count == 1 else tuple(f"output_{number}" for number in range(count))


def _name_axes(model: ir.Model) -> None:
    """Call open axes of the inputs by their role, in place; the exporter calls them s77."""
    names: dict[str, str] = {}
    for value in model.graph.inputs:
        for axis, size in enumerate(value.shape or ()):
            image_axis = axis == 0 or (value.shape is not None and len(value.shape) == 4)
            if isinstance(size, ir.SymbolicDim) and size.value and image_axis and axis in _AXIS_NAMES:
                names.setdefault(str(size.value), _AXIS_NAMES[axis])
    if len(set(names.values())) < len(names):
        return
    for value in _all_values(model):
        if value.shape is not None:
            value.shape = ir.Shape([_renamed(size, names) for size in value.shape])


def _all_values(model: ir.Model) -> Iterator[ir.Value]:
    yield from model.graph.inputs
    for node in model.graph:
        yield from node.outputs


def _renamed(size: int | ir.SymbolicDim, names: dict[str, str]) -> int | str | None:
    if isinstance(size, int):
        return size
    return None if size.value is None else re.sub(r"\w+", lambda word: names.get(word[0], word[0]), str(size.value))


def _serialised(model: ir.Model) -> bytes:
    try:
        data: bytes = ir.to_proto(model).SerializeToString()
    except (ValueError, EncodeError) as error:  # beyond 2 GiB, one or the other by protobuf's version
        raise ModelUnreadable(f"The network is too large for an ONNX file: {error}.") from error
    return data
