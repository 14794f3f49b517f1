"""One plain form for every upload: one opset, constants folded, no-ops gone, idioms as operators, shapes known.

What it computes stays the same.
"""

from __future__ import annotations

import logging
import math

import onnx_ir as ir
from onnx_ir.passes.common import IdentityEliminationPass, RemoveInitializersFromInputsPass, TopologicalSortPass

from engine.errors import ModelUnsafe
from engine.graph.bodies import bodies, every_node
from engine.graph.edits import free_name, kind, remove_dead, replace_value
from engine.graph.idioms import find, recognise
from engine.graph.model import WEIGHT_TYPES, Model
from engine.graph.plain.lift import OLDEST_OPSET, lift
from engine.graph.plain.simplify import simplify

GELU_OPSET = 20

OLDEST_IR_VERSION = 4
"""The first in which an initialiser need not be an input as well."""

MOST_ELEMENTS = 1 << 30
"""Elements of one tensor between two nodes, for a batch of one: 4 GiB of float32."""

LONGEST_VECTOR = 1 << 22
"""Elements of a tensor with one axis: nothing that an image network makes is that long, but for a bomb."""

_NOTES = "secateur.notes"

# Both libraries report what they skipped as warnings; skipping is what we ask for.
logging.getLogger("onnxscript.optimizer").setLevel(logging.ERROR)
logging.getLogger("onnx_ir.passes").setLevel(logging.ERROR)


def normalise(model: Model) -> Model:
    """Return the same network in plain form, at opset 18 or later where it can be lifted; names stay.

    Initialisers that doubled as inputs are initialisers only: a default that can be overridden cannot be folded.
    Raises ModelUnsafe where a tensor would be too large for any machine, ModelUnreadable at an opset before 11 that
    cannot be lifted.
    """
    plain = model.copy()
    RemoveInitializersFromInputsPass()(plain.ir)
    plain.ir.ir_version = max(plain.ir.ir_version, OLDEST_IR_VERSION)
    TopologicalSortPass()(plain.ir)
    _drop_identities(plain)
    if plain.opset >= OLDEST_OPSET:
        simplify(plain)  # first, as the converter is slow on the thousands of constants that exporters leave
    plain, note = lift(plain)
    if plain.opset != model.opset:
        simplify(plain)
    if _pays_to_lift(plain):
        plain = lift(plain, GELU_OPSET)[0]
    _drop_dropout(plain)
    _drop_identities(plain)
    remove_dead(plain)
    _refuse_huge(plain)
    recognise(plain)
    _unpack(plain)
    plain = Model(plain.ir)  # names the nodes that folding made
    plain.ir.meta[_NOTES] = () if note is None else (note,)
    return plain


def notes(plain: Model) -> tuple[str, ...]:
    """Return what normalising could not do for this network, as sentences; empty for most."""
    return tuple(plain.ir.meta.get(_NOTES, ()))


def _unpack(model: Model) -> None:
    """Keep weights as arrays: those of a file are copied out of its bytes each time that they are asked for."""
    for name, value in model.graph.initializers.items():
        if value.const_value is not None and value.dtype in WEIGHT_TYPES:
            value.const_value = ir.tensor(value.const_value.numpy(), name=name)


def _pays_to_lift(model: Model) -> bool:
    """Say whether a GELU by tanh is spelled out: as one operator it takes ONNX Runtime a third of the time."""
    return model.opset < GELU_OPSET and any(place.attributes["approximate"] == "tanh" for place in find(model, "Gelu"))


def _refuse_huge(model: Model) -> None:
    """Refuse a graph that makes a tensor too large for any machine out of a few bytes; open sizes count as one."""
    for node in every_node(model.graph):
        for value in node.outputs:
            sizes = [size if isinstance(size, int) else 1 for size in value.shape or ()]
            most = LONGEST_VECTOR if len(sizes) == 1 else MOST_ELEMENTS
            if math.prod(sizes) > most:
                raise ModelUnsafe(
                    f"Node '{node.name}': {node.op_type} makes a tensor of {math.prod(sizes)} elements, {sizes}. "
                    f"At most {most} are run.",
                    where=node.name,
                )


def _drop_identities(model: Model) -> None:
    """Remove Identity nodes; but a body goes on making what it gives, and does not hand on what it reads outside."""
    found = [body for node in every_node(model.graph) for body in bodies(node)]
    names = [[value.name for value in body.outputs] for body in found]
    IdentityEliminationPass()(model.ir)
    for body, told in zip(found, names, strict=True):
        own = {*body.inputs, *body.initializers.values(), *(value for node in body for value in node.outputs)}
        for place, value in enumerate(body.outputs):
            if value not in own:
                keeper = ir.node("Identity", [value])
                keeper.outputs[0].name = free_name(str(told[place]), model.names())
                keeper.outputs[0].shape, keeper.outputs[0].type = value.shape, value.type
                body.append(keeper)
                body.outputs[place] = keeper.outputs[0]


def _drop_dropout(model: Model) -> None:
    """Remove dropout that is at rest, as it is at inference: one whose mask nobody reads."""
    for node in list(model.graph):
        if kind(node) != "Dropout" or any(value.uses() or value.is_graph_output() for value in node.outputs[1:]):
            continue
        training = node.inputs[2] if len(node.inputs) > 2 else None
        at_rest = training is None or (training.const_value is not None and not training.const_value.numpy().any())
        if at_rest and node.inputs[0] is not None:
            replace_value(model, node.outputs[0], node.inputs[0])
