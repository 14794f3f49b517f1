"""Weights without a graph, put into the network that the recipe names: each tensor has a place, each place a tensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import ModelUnreadable, ModelUnsafe, RecipeInvalid
from engine.formats.networks.architectures import Shape, input_shape, nearest, skeleton
from engine.formats.networks.conversion import convert_network, require_room
from engine.graph.model import Model
from engine.recipe import Architecture

MOST_TENSORS = 50_000

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "weights")
_PREFIXES = ("module.", "_orig_mod.")
_COUNTER = "num_batches_tracked"
_SHOWN = 5


def load_weights(content: object, architecture: Architecture | None) -> Model:
    """Turn what a weight file held into a network. Raises ModelUnreadable, ModelUnsafe or RecipeInvalid."""
    state = _tensors(content)
    if architecture is None:
        raise RecipeInvalid(
            "The file holds weights and no graph, so the recipe has to say which network they belong to, as in "
            f'"architecture": {{"name": "torchvision/resnet50"}}.{_looks_like(state)}',
            where="architecture",
        )
    network = fill(architecture, state)
    return convert_network(network, input_shape(architecture))


def fill(architecture: Architecture, state: Mapping[str, Tensor]) -> nn.Module:
    """Build the network with these weights; the number of classes follows from the head where nobody says it."""
    network = skeleton(architecture)
    if "num_classes" not in architecture.options:
        classes = _other_classes(network, state)
        if classes is not None:
            network = skeleton(architecture, classes)
    _require_fit(architecture.name, network, state)
    own = network.state_dict()  # it knows, beside tensors, in which version each layer keeps its own
    own.update({name: _plain(tensor) for name, tensor in state.items()})
    network.load_state_dict(own, assign=True)
    return network.requires_grad_(requires_grad=False).eval()


def _tensors(content: object) -> dict[str, Tensor]:
    """Find the one dictionary of tensors; training scripts put it under a key and a prefix of their own."""
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise ModelUnreadable(
            f"The file holds {_describe(content)}, not a dictionary of tensors. "
            "Save the weights with torch.save(model.state_dict(), 'weights.pth')."
        )
    if len(content) > MOST_TENSORS:
        raise ModelUnsafe(f"The file holds more than {MOST_TENSORS} tensors.")
    for name, value in content.items():
        _check_tensor(name, value)
    require_room(content.values())
    return _without_prefix({str(name): value for name, value in content.items()})


def _check_tensor(name: object, value: object) -> None:
    if not isinstance(name, str):
        raise ModelUnreadable(f"The dictionary's key {name!r} is no name of a tensor. Save model.state_dict() itself.")
    if not isinstance(value, Tensor):
        raise ModelUnreadable(
            f"'{name}' is {_describe(value)}, not a tensor. Save model.state_dict() alone.", where=name
        )
    if value.layout is not torch.strided or value.is_quantized or value.is_complex() or value.is_meta:
        raise ModelUnreadable(f"'{name}' is not a plain tensor of numbers ({value.dtype}, {value.layout}).", where=name)
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ModelUnsafe(
            f"'{name}' announces the sizes {list(value.shape)}, far more than its bytes hold. "
            "Save it with .contiguous().",
            where=name,
        )


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return _without_prefix({name.removeprefix(prefix): tensor for name, tensor in state.items()})
    return state


def _other_classes(network: nn.Module, state: Mapping[str, Tensor]) -> int | None:
    """Return the number of classes if that alone is what differs: the first size of the head's tensors."""
    differing = [
        (shape, tuple(state[name].shape)) for name, shape in _shapes(network.state_dict()).items()
        if name in state and tuple(state[name].shape) != shape
    ]  # fmt: skip
    if not differing or any(len(own) != len(given) or own[1:] != given[1:] for own, given in differing):
        return None
    pairs = {(own[0], given[0]) for own, given in differing}
    return pairs.pop()[1] if len(pairs) == 1 else None


def _require_fit(name: str, network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Name what is missing, what is too much and what has another shape or kind. Raises RecipeInvalid."""
    places = network.state_dict()
    own, given = _shapes(places), _shapes(state)
    # Files from before 2018 lack these counters, and inference does not read them.
    missing = [key for key in own if key not in given and not key.endswith(_COUNTER)]
    too_many = [key for key in given if key not in own]
    wrong = [f"{key} is {given[key]} in place of {own[key]}" for key in own if given.get(key, own[key]) != own[key]]
    other = [
        f"{key} is {state[key].dtype} in place of {place.dtype}" for key, place in places.items()
        if key in state and _is_of_another_kind(key, state[key], place)
    ]  # fmt: skip
    named = ((missing, "missing"), (too_many, "unexpected"), (wrong, "of another shape"), (other, "of another kind"))
    faults = [f"{len(found)} {word} ({_list(found)})" for found, word in named if found]
    if faults:
        raise RecipeInvalid(
            f"architecture: the file's tensors do not fit {name}: {'; '.join(faults)}.{_looks_like(state)}", where=name
        )


def _is_of_another_kind(name: str, given: Tensor, place: Tensor) -> bool:
    """Tell whole numbers from fractions; only of counters, which who halves a whole dictionary halves too, all fit."""
    return given.is_floating_point() != place.is_floating_point() and not name.endswith(_COUNTER)


def _shapes(state: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _plain(tensor: Tensor) -> Tensor:
    """Return 32-bit numbers, whatever the file saved on space; counters stay whole."""
    return tensor.detach().to("cpu", torch.float32 if tensor.is_floating_point() else tensor.dtype).contiguous()


def _looks_like(state: Mapping[str, Tensor]) -> str:
    close = nearest(_shapes(state))
    return f" They look like {' or '.join(close)}." if close else " No network of torchvision looks like them."


def _list(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a dictionary with the keys {_list(str(key)[:40] for key in value)}" if value else "an empty dictionary"
    return f"a {type(value).__name__}"
