"""The first verdict: what is in the file, what can be cut, what stands in the way, without loading torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import ModelUnreadable
from engine.formats.onnx import save
from engine.graph.model import Model
from engine.inspect import inspect_model
from tests.networks import NETWORKS, Draft, dense, residual, residual_with_batch_norm


def saved(model: Model, folder: Path) -> Path:
    save(model, folder / "network.onnx")
    return folder / "network.onnx"


def test_a_network_is_described(tmp_path: Path) -> None:
    found = inspect_model(saved(residual(), tmp_path))

    (image,) = found.inputs
    assert (image.name, image.dtype, image.shape) == ("image", "float32", ("batch", 3, 16, 16))
    assert [info.name for info in found.outputs] == ["gemm_19"]
    assert found.opset == 18
    assert found.operators["Conv"] == 7
    assert found.parameters == 3 * 8 * 9 + 8 + 6 * (8 * 8 * 9 + 8) + 8 * 5 + 5
    assert found.macs == 256 * (3 * 8 * 9 + 6 * 8 * 8 * 9) + 8 * 5
    assert (found.batch_norm_layers, found.batch_norm_folded) == (0, True)
    assert len(found.units) == 3
    assert len({unit.signature for unit in found.units}) == 1
    assert found.blocking == ()


def test_batch_norm_is_counted(tmp_path: Path) -> None:
    found = inspect_model(saved(residual_with_batch_norm(), tmp_path))

    assert (found.batch_norm_layers, found.batch_norm_folded) == (5, False)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_unit_is_listed(name: str, tmp_path: Path) -> None:
    build, units = NETWORKS[name]

    found = inspect_model(saved(build(), tmp_path))

    assert len(found.units) == units
    assert [blocker.code for blocker in found.blocking] == ([] if units else ["nothing-to-cut"])


def test_what_blocks_is_named(tmp_path: Path) -> None:
    """An operator that the executor does not run, and no unit besides."""
    draft = Draft()
    normed = draft.node("MeanVarianceNormalization", draft.conv("image", 3, 8))

    found = inspect_model(saved(draft.model(draft.classify(normed)), tmp_path))

    assert [blocker.code for blocker in found.blocking] == ["operator-unsupported", "nothing-to-cut"]
    assert found.blocking[0].where == "node_1_MeanVarianceNormalization"


def test_a_file_that_cannot_be_read_raises(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(b"")

    with pytest.raises(ModelUnreadable):
        inspect_model(tmp_path / "network.onnx")


def test_torch_is_not_loaded(tmp_path: Path) -> None:
    path = saved(dense(), tmp_path)
    script = (
        "import sys; from pathlib import Path; from engine.inspect import inspect_model;"
        "inspect_model(Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 0
