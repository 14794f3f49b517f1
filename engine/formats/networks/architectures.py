"""The networks that bare weights can belong to: torchvision's own registry, and timm's where timm is installed.

Nothing is downloaded and no parameter is filled: a network is built as a skeleton, its weights come from the upload.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import torch
import torchvision.models
from torch import nn
from torch.overrides import TorchFunctionMode

from engine.errors import RecipeInvalid
from engine.recipe import Architecture

Shape = tuple[int, ...]
Options = Mapping[str, Any]

OPTIONS = frozenset(
    (
        *("num_classes", "in_chans", "image_size", "img_size", "width_mult", "global_pool", "patch_size"),
        *("aux_loss", "aux_logits", "transform_input", "init_weights", "zero_init_residual", "memory_efficient"),
        *("dropout", "attention_dropout", "stochastic_depth_prob", "drop_rate", "drop_path_rate", "drop_block_rate"),
    )
)
"""What may be said to a builder: numbers and switches; none of them names a file, an address or a class."""

USUAL_SIDE = 224
_CANDIDATES = 8
_LIKENESS_MIN = 0.5


class Registry(Protocol):
    """A library of networks: what it has, how one is built, and which input it was trained on."""

    def names(self) -> list[str]: ...

    def build(self, name: str, options: Options) -> nn.Module: ...

    def input_shape(self, name: str) -> Shape: ...

    def parameters(self, name: str) -> int | None:
        """Return how many parameters it has, as far as that is told without building it."""


class Torchvision:
    """Image classification and segmentation; the quantised, video and flow networks have other inputs or no export."""

    def names(self) -> list[str]:
        modules = (torchvision.models, torchvision.models.segmentation)
        return sorted(name for module in modules for name in torchvision.models.list_models(module=module))

    def build(self, name: str, options: Options) -> nn.Module:
        builder: Callable[..., nn.Module] = torchvision.models.get_model_builder(name)
        # Some builders fetch the weights of their backbone unless they are told not to.
        fixed = dict.fromkeys(("weights", "weights_backbone"))
        known = inspect.signature(builder).parameters
        return builder(**{key: None for key in fixed if key in known}, **options)

    def input_shape(self, name: str) -> Shape:
        crop = getattr(self._weights(name).transforms(), "crop_size", [USUAL_SIDE])
        return (3, crop[0], crop[0])

    def parameters(self, name: str) -> int | None:
        found = self._weights(name).meta.get("num_params")
        return found if isinstance(found, int) else None

    def _weights(self, name: str) -> Any:
        """Return the registry's entry about the first published weights; only its facts are read."""
        return next(iter(torchvision.models.get_model_weights(name)))


class Timm:
    """PyTorch Image Models, where it is installed."""

    def names(self) -> list[str]:
        return [str(name) for name in self._timm().list_models()]

    def build(self, name: str, options: Options) -> nn.Module:
        network: nn.Module = self._timm().create_model(name, pretrained=False, **options)
        return network

    def input_shape(self, name: str) -> Shape:
        found = self._timm().get_pretrained_cfg(name)
        return (3, USUAL_SIDE, USUAL_SIDE) if found is None else tuple(found.input_size)

    def parameters(self, name: str) -> int | None:
        return None

    def _timm(self) -> Any:
        return importlib.import_module("timm")


def registries() -> dict[str, Registry]:
    found: dict[str, Registry] = {"torchvision": Torchvision()}
    if importlib.util.find_spec("timm") is not None:
        found["timm"] = Timm()
    return found


def skeleton(architecture: Architecture, classes: int | None = None) -> nn.Module:
    """Build the network without memory for its weights, ready for inference. Raises RecipeInvalid.

    `classes` is what the weights say where the recipe says nothing; they have that many, so no bound is needed.
    """
    registry, name = _find(architecture.name)
    unknown = sorted(set(architecture.options) - OPTIONS)
    if unknown:
        hint = _hint(unknown[0], OPTIONS)
        raise RecipeInvalid(
            f"architecture.options: '{unknown[0]}' is no option that is passed on.{hint}", where=unknown[0]
        )
    inferred = {} if classes is None else {"num_classes": classes}
    return _skeleton(registry, name, {**architecture.options, **inferred})


def input_shape(architecture: Architecture) -> tuple[int | None, ...]:
    """Return channels, height and width: as asked, or else as the registry says that the network was trained."""
    if architecture.input_shape is not None:
        return architecture.input_shape
    registry, name = _find(architecture.name)
    channels, height, width = registry.input_shape(name)
    side = architecture.options.get("image_size", architecture.options.get("img_size"))
    if isinstance(side, int):
        height = width = side
    asked = architecture.options.get("in_chans")
    return (asked if isinstance(asked, int) else channels, height, width)


def nearest(shapes: Mapping[str, Shape]) -> list[str]:
    """Name up to three of torchvision's networks whose tensors have most names and shapes in common with these."""
    registry = Torchvision()
    size = sum(math.prod(shape) for name, shape in shapes.items() if "running_" not in name)
    counted = [(name, registry.parameters(name)) for name in registry.names()]
    near = sorted((abs(math.log(count / max(size, 1))), name) for name, count in counted if count)[:_CANDIDATES]
    liked = sorted(((_likeness(registry, name, shapes), name) for _, name in near), reverse=True)
    return [f"torchvision/{name}" for likeness, name in liked[:3] if likeness >= _LIKENESS_MIN]


def _find(full_name: str) -> tuple[Registry, str]:
    library, _, name = full_name.partition("/")
    known = registries()
    if library not in known:
        raise RecipeInvalid(
            f"architecture.name: '{library}' is no library of this server; it has {', '.join(known)}.", where=full_name
        )
    if name.partition(".")[0] not in known[library].names():  # timm says after a dot how a network was trained
        hint = _hint(name, known[library].names())
        raise RecipeInvalid(f"architecture.name: {library} has no '{name}' for images.{hint}", where=full_name)
    return known[library], name


def _hint(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, sorted(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(close)}?" if close else f" Known are {', '.join(sorted(known)[:20])}."


def _skeleton(registry: Registry, name: str, options: Options) -> nn.Module:
    try:
        with warnings.catch_warnings(), _Weightless():
            warnings.simplefilter("ignore")  # about how weights are drawn, and none are
            return registry.build(name, options).eval()
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError, AssertionError, KeyError, IndexError) as error:
        raise RecipeInvalid(
            f"architecture: '{name}' cannot be built with {dict(options)}: {error}. Change or drop the options.",
            where=name,
        ) from error


class _Weightless(TorchFunctionMode):
    """Give no memory to what a layer makes for its weights.

    Only torch.empty: a network may calculate with small tensors while it is built, and those need their numbers.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.empty:
            return func(*args, **{**(kwargs or {}), "device": "meta"})
        return func(*args, **(kwargs or {}))


def _likeness(registry: Registry, name: str, shapes: Mapping[str, Shape]) -> float:
    """Return the share of tensors that are the same in both, 0 to 1; a head for other classes costs little."""
    own = {key: tuple(tensor.shape) for key, tensor in _skeleton(registry, name, {}).state_dict().items()}
    same = sum(own.get(key) == shape for key, shape in shapes.items())
    return same / len(own.keys() | shapes.keys())
