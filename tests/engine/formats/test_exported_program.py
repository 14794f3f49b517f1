"""Exported programs: what torch's own reader would run, evaluate or unpickle never gets to it."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.errors import ModelError, ModelUnreadable, ModelUnsafe, OperatorUnsupported
from engine.formats import exported_program, load
from engine.formats.networks.program_graph import checked_program
from tests.engine.formats.zips import members_of, rezipped

Program = dict[str, Any]
Change = Callable[[Program], None]
GRAPH, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"
CODE = "__import__('os').system('true')"


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, image: Tensor) -> Tensor:
        return torch.relu(self.layer(image.reshape(2 * image.shape[0], 4)))


class Touch:
    """A pickle that leaves a file where it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "p.pt2"
    program = torch.export.export(Scaled(), (torch.zeros(3, 8),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program, path)
    return path


@pytest.fixture
def members(saved: Path) -> dict[str, bytes]:
    """Return the members of a program's archive without the folder that they all are in."""
    return {name.removeprefix("p/"): content for name, content in members_of(saved).items()}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., torch.export.ExportedProgram]:
    """Return a function that writes an archive and has it read, but not converted."""
    monkeypatch.setattr(exported_program, "convert_program", lambda program: program)

    def read(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> torch.export.ExportedProgram:
        packed = {f"p/{name}": content for name, content in members.items()}
        return load(rezipped(tmp_path / "upload", packed, compression))  # type: ignore[return-value]

    return read


def edited(members: dict[str, bytes], name: str, change: Change) -> dict[str, bytes]:
    document = json.loads(members[name])
    change(document)
    return {**members, name: json.dumps(document).encode()}


def test_a_program_computes_what_it_did(saved: Path, members: dict[str, bytes], read: Callable[..., Any]) -> None:
    image = torch.arange(16.0).reshape(2, 8)

    found = read(members)

    assert torch.equal(found.module()(image), torch.export.load(saved).module()(image))


def test_a_program_of_a_gpu_is_read_without_one(members: dict[str, bytes], read: Callable[..., Any]) -> None:
    on_gpu = members[GRAPH].replace(b'"type": "cpu", "index": null', b'"type": "cuda", "index": 0')

    found = read({**members, GRAPH: on_gpu})

    assert b"cuda" in on_gpu
    assert found.module()(torch.ones(2, 8)).device.type == "cpu"


@pytest.mark.parametrize("name", ["data/sample_inputs/model.pt", "data/extra/notes.txt", "data/aotinductor/model/m.so"])
def test_what_is_not_understood_is_left_behind(
    members: dict[str, bytes], read: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    read({**members, name: pickle.dumps(Touch(tmp_path / "touched"))})

    assert not (tmp_path / "touched").exists()


def test_source_lines_and_guards_are_left_behind(members: dict[str, bytes]) -> None:
    document = json.loads(members[GRAPH])
    document["guards_code"] = [CODE]

    found = json.loads(checked_program(json.dumps(document).encode()))

    assert b"stack_trace" in members[GRAPH]
    assert found["guards_code"] == []
    assert all(node["metadata"] == {} for node in found["graph_module"]["graph"]["nodes"])


def a_node(program: Program) -> Program:
    return program["graph_module"]["graph"]["nodes"][-1]  # type: ignore[no-any-return]


def target(name: str) -> Change:
    return lambda program: a_node(program).update(target=name)


def size(text: str) -> Change:
    """Put text where the size of an open axis is told."""

    def change(program: Program) -> None:
        values = program["graph_module"]["graph"]["tensor_values"]["image"]["sizes"]
        values[0] = {"as_expr": {"expr_str": text, "hint": None}}

    return change


def argument(kind: str, value: object) -> Change:
    return lambda program: a_node(program)["inputs"].append({"name": "extra", "arg": {kind: value}, "kind": 1})


def rename(text: str) -> Change:
    return lambda program: a_node(program).update(name=text)


def structure(spec: object) -> Change:
    text = json.dumps([1, spec])
    return lambda p: p["graph_module"]["module_call_graph"][0]["signature"].update(in_spec=text)


def leaf(type_name: str | None, context: object = None) -> dict[str, object]:
    return {"type": type_name, "context": context, "children_spec": []}


HOSTILE: dict[str, tuple[Change, type[ModelError], str]] = {
    "a size that calls": (size(CODE), ModelUnsafe, "not a size"),
    "a size that looks inside": (size("Symbol('s77').__class__"), ModelUnsafe, "not a size"),
    "a size from a list": (size("[s77 for s77 in (1,)][0]"), ModelUnsafe, "not a size"),
    "a size to a power": (size("9**9**9**9"), ModelUnsafe, "not a size"),
    "a size past all bounds": (size("Integer(99999999999999999999999)"), ModelUnsafe, "not a size"),
    "a size with text": (size("Symbol('os.system')"), ModelUnsafe, "not a size"),
    "a size without end": (size("(" * 3000), ModelUnsafe, "not a size"),
    "a size with a lambda": (size("(lambda: 1)()"), ModelUnsafe, "not a size"),
    "a function of Python": (target("torch.os.system"), OperatorUnsupported, "'relu' calls torch.os.system"),
    "a builtin": (target("_operator.methodcaller"), OperatorUnsupported, "methodcaller"),
    "an operator that maps files": (target("torch.ops.aten.from_file.default"), OperatorUnsupported, "from_file"),
    "an operator of one's own": (target("torch.ops.mine.act.default"), OperatorUnsupported, "torch.ops.mine.act"),
    "a kernel": (target("#triton"), OperatorUnsupported, "#triton"),
    "control flow": (argument("as_graph", {"name": "g", "graph": {}}), OperatorUnsupported, "'relu'.*graph"),
    "a custom object": (argument("as_custom_obj", {"name": "o"}), OperatorUnsupported, "custom_obj"),
    "an operator as an argument": (argument("as_operator", "torch.os.system"), OperatorUnsupported, "operator"),
    "code for a name": (rename("x); import os; (y"), ModelUnsafe, "not a name"),
    "a keyword for a name": (rename("lambda"), ModelUnsafe, "not a name"),
    "a line for a name": (rename("x\nimport os"), ModelUnsafe, "not a name"),
    "text that is none": (argument("as_string", "a\nimport os"), ModelUnsafe, "not a text"),
    "a class as an argument": (structure(leaf("mine.Thing")), OperatorUnsupported, "mine.Thing"),
    "a module to import": (structure(leaf("collections.defaultdict", "{}")), OperatorUnsupported, "defaultdict"),
    "an enumeration": (structure(leaf("builtins.dict", [{"__enum__": True}])), OperatorUnsupported, "dict"),
    "no structure": (structure("[]"), ModelUnsafe, "structure"),
    "code for a range": (lambda p: p["range_constraints"].update({"a b": {}}), ModelUnsafe, "not a name"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_graph_is_refused(members: dict[str, bytes], read: Callable[..., Any], name: str) -> None:
    change, error, words = HOSTILE[name]

    with pytest.raises(error, match=words):
        read(edited(members, GRAPH, change))


def test_a_graph_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(ModelUnsafe, match="nested"):
        checked_program(b"[" * 100_000 + b"]" * 100_000)


def entry(**changes: object) -> Change:
    return lambda config: config["config"]["layer.weight"].update(changes)


def meta(**changes: object) -> Change:
    return lambda config: config["config"]["layer.weight"]["tensor_meta"].update(changes)


STORED: dict[str, tuple[Change, type[ModelError], str]] = {
    "a pickled weight": (entry(use_pickle=True), ModelUnsafe, "'layer.weight' is stored as a pickle"),
    "a custom object": (entry(path_name="custom_obj_0"), ModelUnsafe, "pickle"),
    "a file elsewhere": (entry(path_name="../../../etc/passwd"), ModelUnsafe, "pickle"),
    "bytes that are missing": (entry(path_name="weight_99"), ModelUnreadable, "missing"),
    "more than there is": (meta(sizes=[{"as_int": 1 << 40}]), ModelUnsafe, "announces"),
    "more than there is, repeated": (
        meta(sizes=[{"as_int": 1 << 40}], strides=[{"as_int": 0}]),
        ModelUnsafe,
        "announces",
    ),
    "a negative size": (meta(sizes=[{"as_int": -4}, {"as_int": 4}]), ModelUnreadable, "no numbers"),
    "a size to work out": (meta(sizes=[{"as_expr": {"expr_str": CODE}}]), ModelUnreadable, "no numbers"),
    "past its end": (meta(storage_offset={"as_int": 1 << 40}), ModelUnreadable, "cannot read"),
    "no type": (meta(dtype=None), ModelUnreadable, "damaged"),
    "no table": (lambda config: config.clear(), ModelUnreadable, "damaged"),
}


@pytest.mark.parametrize("name", STORED)
def test_a_hostile_table_of_weights_is_refused(members: dict[str, bytes], read: Callable[..., Any], name: str) -> None:
    change, error, words = STORED[name]

    with pytest.raises(error, match=words):
        read(edited(members, WEIGHTS, change))


def test_a_compressed_program_is_refused(members: dict[str, bytes], read: Callable[..., Any]) -> None:
    with pytest.raises(ModelUnsafe, match="compressed"):
        read(members, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    "names", [{"archive_format"}, {"serialized_exported_program.json"}, {"archive_format", "data/aotinductor/m.so"}]
)
def test_an_older_layout_and_compiled_code_are_refused(read: Callable[..., Any], names: set[str]) -> None:
    with pytest.raises(ModelUnreadable, match=r"torch\.export\.save"):
        read(dict.fromkeys(names, b""))


def test_a_program_of_another_version_is_refused(members: dict[str, bytes], read: Callable[..., Any]) -> None:
    def from_the_future(program: Program) -> None:
        program["schema_version"] = {"major": 999, "minor": 0}

    with pytest.raises(ModelUnreadable, match="cannot read the exported program"):
        read(edited(members, GRAPH, from_the_future))
