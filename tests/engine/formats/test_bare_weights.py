"""Weights without a graph: each tensor has its place in the named network, and no file is read that could run code."""

from __future__ import annotations

import argparse
import io
import pickle
import sys
import zipfile
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save
from torch import Tensor

from engine.errors import EngineError, ModelUnreadable, ModelUnsafe, RecipeInvalid
from engine.formats import load
from engine.formats.networks import bare_weights, conversion
from engine.formats.networks.architectures import Torchvision, input_shape, skeleton
from engine.formats.networks.bare_weights import fill
from engine.recipe import Architecture
from tests.engine.formats.zips import members_of, rezipped

State = dict[str, Tensor]
NAME = "torchvision/squeezenet1_1"


def state_of(classes: int = 7) -> State:
    torch.manual_seed(0)
    return dict(torchvision.models.squeezenet1_1(num_classes=classes, weights=None).state_dict())


@pytest.fixture(scope="module")
def state() -> State:
    return state_of()


def written(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def test_weights_are_put_where_they_belong(state: State) -> None:
    """The number of classes follows from the head; half precision is widened."""
    network = fill(Architecture(name=NAME), {name: tensor.half() for name, tensor in state.items()})

    found = network.state_dict()
    assert found.keys() == state.keys()
    assert all(tensor.dtype == torch.float32 for tensor in found.values())
    assert all(torch.equal(found[name], tensor.half().float()) for name, tensor in state.items())
    assert not network.training


@pytest.mark.parametrize("name", Torchvision().names()[::16])
def test_a_skeleton_has_the_shapes_of_the_network(name: str) -> None:
    """Built without memory for its weights, yet with every number that it calculates while it is built."""
    found = skeleton(Architecture(name=f"torchvision/{name}")).state_dict()

    assert sum(tensor.numel() for tensor in found.values()) > 500_000
    assert all(tensor.is_meta for tensor in found.values() if tensor.dim() == 4)


def test_the_input_is_the_one_that_it_was_trained_on_unless_the_recipe_says_another() -> None:
    assert input_shape(Architecture(name="torchvision/inception_v3")) == (3, 299, 299)
    assert input_shape(Architecture(name="torchvision/vit_b_16", options={"image_size": 64})) == (3, 64, 64)
    assert input_shape(Architecture(name=NAME, input_shape=(3, 64, None))) == (3, 64, None)


def test_the_likely_network_is_named_where_none_is(tmp_path: Path, state: State) -> None:
    with pytest.raises(RecipeInvalid, match="look like torchvision/squeezenet1_1"):
        load(written(tmp_path / "w", state))


def changed(state: State, **changes: Tensor | None) -> State:
    both = {**state, **{name.replace("__", "."): tensor for name, tensor in changes.items()}}
    return {name: tensor for name, tensor in both.items() if tensor is not None}


UNFIT: dict[str, tuple[Callable[[State], State], str]] = {
    "a missing tensor": (lambda s: changed(s, features__0__bias=None), r"1 missing \(features\.0\.bias\)"),
    "a tensor too many": (lambda s: changed(s, tail=torch.ones(1)), r"1 unexpected \(tail\)"),
    "a tensor of another shape": (
        lambda s: changed(s, features__0__bias=torch.ones(3)),
        r"features\.0\.bias is \(3,\) in place of \(64,\)",
    ),
    "a tensor of absurd shape": (
        lambda s: changed(s, features__0__bias=torch.ones(1).expand(1 << 40)),
        "1099511627776",
    ),
    "whole numbers": (
        lambda s: changed(s, features__0__bias=torch.ones(64, dtype=torch.int64)),
        r"1 of another kind \(features\.0\.bias is torch\.int64 in place of torch\.float32\)",
    ),
    "another network": (lambda s: {"layer.weight": torch.ones(3, 3)}, "52 missing.*1 unexpected"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_does_not_fit_is_named(state: State, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, words = UNFIT[name]
    monkeypatch.setattr(bare_weights, "nearest", lambda shapes: ["torchvision/alexnet"])

    with pytest.raises(RecipeInvalid, match=words + ".*They look like torchvision/alexnet"):
        fill(Architecture(name=NAME, options={"num_classes": 7}), change(state))


def test_more_classes_than_the_recipe_may_say_follow_from_the_head(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without memory for so many, which tensors of a file that is read have each for itself."""
    monkeypatch.setattr(bare_weights, "_plain", lambda tensor: tensor)
    classes = 3 << 20
    head = {
        "classifier.1.weight": torch.zeros(1).expand(classes, 512, 1, 1),
        "classifier.1.bias": torch.zeros(1).expand(classes),
    }

    network = fill(Architecture(name=NAME), {**state, **head})

    assert network.state_dict()["classifier.1.bias"].shape == (classes,)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("torchvision/resnet51", {}, "Did you mean resnet50"),
        ("torchvison/resnet50", {}, "no library of this server; it has torchvision"),
        ("torchvision/resnet50", {"num_clases": 10}, "Did you mean num_classes"),
        ("torchvision/resnet50", {"weights": "IMAGENET1K_V1"}, "'weights' is no option that is passed on"),
        ("torchvision/resnet50", {"num_classes": "ten"}, "cannot be built"),
        ("torchvision/resnet50", {"image_size": 64}, "cannot be built"),
        ("torchvision/quantized_resnet50", {}, "for images"),
    ],
)
def test_an_architecture_that_does_not_exist_is_refused(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeInvalid, match=words):
        skeleton(Architecture(name=name, options=options))


def test_timm_is_asked_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never for weights of its own, and by the name that a network has with its training or without."""
    asked: list[dict[str, Any]] = []
    timm = ModuleType("timm")
    timm.__spec__ = ModuleSpec("timm", None)
    vars(timm).update(
        list_models=lambda: ["tiny"],
        create_model=lambda name, **options: asked.append({"name": name, **options}) or torch.nn.Conv2d(3, 4, 1),
        get_pretrained_cfg=lambda name: SimpleNamespace(input_size=(3, 96, 96)),
    )
    monkeypatch.setitem(sys.modules, "timm", timm)
    architecture = Architecture(name="timm/tiny.in1k", options={"num_classes": 4})

    network = skeleton(architecture)

    assert asked == [{"name": "tiny.in1k", "pretrained": False, "num_classes": 4}]
    assert all(parameter.is_meta for parameter in network.parameters())
    assert input_shape(architecture) == (3, 96, 96)


NO_STATE: dict[str, tuple[object, type[EngineError], str]] = {
    "a list": ([1, 2], ModelUnreadable, "a list, not a dictionary"),
    "no tensor": ({"epoch": 3}, ModelUnreadable, "the keys epoch"),
    "a number among tensors": ({"w": torch.ones(1), "epoch": 3}, ModelUnreadable, "'epoch' is a int, not a tensor"),
    "a numbered tensor": ({"w": torch.ones(1), 3: torch.ones(1)}, ModelUnreadable, "key 3 is no name"),
    "a sparse tensor": ({"w": torch.ones(2).to_sparse()}, ModelUnreadable, "'w' is not a plain tensor"),
    "one number a million times": (
        {"w": torch.ones(1).expand(1 << 20)},
        ModelUnsafe,
        "'w' announces the sizes .1048576., far more than its bytes",
    ),
    "complex numbers": ({"w": torch.ones(2, dtype=torch.complex64)}, ModelUnreadable, "not a plain tensor"),
    "a whole network": (torch.nn.Linear(2, 2), ModelUnsafe, r"an object of torch\.nn\.modules\.linear\.Linear"),
    "settings of a script": ({"args": argparse.Namespace(lr=1)}, ModelUnsafe, r"argparse\.Namespace"),
    "code": ({"w": io.StringIO}, ModelUnsafe, "would run code"),
}


@pytest.mark.parametrize("name", NO_STATE)
def test_a_file_of_anything_else_is_refused(tmp_path: Path, name: str) -> None:
    content, error, words = NO_STATE[name]

    with pytest.raises(error, match=words):
        load(written(tmp_path / "w", content), Architecture(name=NAME))


def test_the_same_bytes_for_many_tensors_are_counted_each_time(
    tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And half precision as what it becomes."""
    monkeypatch.setattr(conversion, "MOST_BYTES", 4 * 10 * 64)
    weights = torch.ones(64, dtype=torch.float16)

    with pytest.raises(ModelUnsafe, match="have 2816 bytes together; at most 2560"):
        load(written(tmp_path / "w", {f"w{number}": weights for number in range(11)}), Architecture(name=NAME))


class Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_runs_code_is_not_run(tmp_path: Path, legacy: bool) -> None:
    content = {"weight": torch.ones(1), "touch": Touch(tmp_path / "touched")}
    torch.save(content, tmp_path / "w", _use_new_zipfile_serialization=not legacy)

    with pytest.raises(ModelUnsafe, match="would run code"):
        load(tmp_path / "w", Architecture(name=NAME))

    assert not (tmp_path / "touched").exists()


def test_a_compressed_weight_file_is_refused(tmp_path: Path, state: State) -> None:
    """torch stores; a compressed member may be a thousand times larger than the file."""
    members = members_of(written(tmp_path / "w", state))

    with pytest.raises(ModelUnsafe, match="compressed"):
        load(rezipped(tmp_path / "packed", members, zipfile.ZIP_DEFLATED), Architecture(name=NAME))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_truncated_weight_file_is_refused(tmp_path: Path, state: State, kind: str, share: float) -> None:
    if kind == "safetensors":
        data = save(state)
    else:
        torch.save(state, tmp_path / "whole", _use_new_zipfile_serialization=kind == "zip")
        data = (tmp_path / "whole").read_bytes()
    (tmp_path / "w").write_bytes(data[: int(len(data) * share)])

    with pytest.raises(ModelUnreadable):
        load(tmp_path / "w", Architecture(name=NAME))


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(pickle.dumps({"weight": [1.0]}))

    with pytest.raises(ModelUnreadable, match=r"Python pickle.*state_dict"):
        load(tmp_path / "w", Architecture(name=NAME))
