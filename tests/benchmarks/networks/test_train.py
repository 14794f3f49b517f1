"""Training is repeatable and learns; the exported file says what the module says, without batch norm."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image

from benchmarks.networks.export import export
from benchmarks.networks.pictures import Pictures, normalise, read_pictures, vary
from benchmarks.networks.train import Training, accuracy, train
from benchmarks.networks.vgg import Vgg
from engine.execution.runtime import open_session, run
from engine.formats import load

STAGES = ((4, 1), (8, 2))
HOW = Training(epochs=8, batch=16, rate=0.2, small_side=24)


def _pictures(count: int = 64) -> Pictures:
    """Draw pictures of two classes: bright above, bright below."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 100, (count, 3, 32, 32), generator=generator)
    labels = torch.arange(count) % 2
    pixels[labels == 0, :, :16] += 100
    pixels[labels == 1, :, 16:] += 100
    return Pictures(pixels.to(torch.uint8), labels)


def _trained() -> Vgg:
    torch.manual_seed(0)
    network = Vgg(STAGES, classes=2)
    train(network, _pictures(), HOW, seed=3)
    return network


def test_training_learns_and_is_the_same_twice() -> None:
    first, second = _trained(), _trained()

    assert accuracy(first, _pictures(), 64) > 0.9
    for name, value in first.state_dict().items():
        torch.testing.assert_close(value, second.state_dict()[name], rtol=0, atol=0)


def test_the_exported_file_is_folded_and_says_the_same(tmp_path: Path) -> None:
    network = _trained().eval()
    images = normalise(_pictures(5).pixels)

    export(network, 32, tmp_path / "network.onnx")
    said = run(open_session(load(tmp_path / "network.onnx")), {"image": images.numpy()})["logits"]

    assert "BatchNormalization" not in {node.op_type for node in onnx.load(tmp_path / "network.onnx").graph.node}
    np.testing.assert_allclose(said, network(images).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["network.onnx"]


def test_views_are_shifted_and_flipped_and_nothing_else() -> None:
    images = torch.randn(64, 1, 5, 6, generator=torch.Generator().manual_seed(0))

    views = vary(images, 1, torch.Generator().manual_seed(1))

    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    places = [(top, left) for top in range(3) for left in range(3)]
    for view, image, source in zip(views, padded, images, strict=True):
        flipped = torch.nn.functional.pad(source.flip(2), (1, 1, 1, 1))
        possible = [each[:, top : top + 5, left : left + 6] for each in (image, flipped) for top, left in places]
        assert any(torch.equal(view, each) for each in possible)
    assert not torch.equal(views, images)


def test_pictures_are_labelled_by_the_order_of_their_folders(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for place, name in enumerate(("dog/1.jpg", "cat/2.jpg", "cat/1.jpg")):
            stream = io.BytesIO()
            Image.new("RGB", (32, 32), (80 * place, 0, 0)).save(stream, "JPEG")
            archive.writestr(name, stream.getvalue())

    pictures = read_pictures(tmp_path / "set.zip")

    assert pictures.labels.tolist() == [0, 0, 1]
    assert [round(int(each.max()) / 80) for each in pictures.pixels[:, 0]] == [2, 1, 0]
