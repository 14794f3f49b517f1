"""What uploads are called in the folder of an attempt: as the user called them, as far as that is harmless."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.files import file_name


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("resnet56.onnx", "resnet56.onnx"),
        ("Mein Netz (v2).ONNX", "Mein_Netz_v2_.onnx"),
        ("../../etc/passwd", "____etc_passwd"),
        ("--out.zip", "out.zip"),
        (".zip", "calibration.zip"),
        ("", "calibration"),
    ],
)
def test_a_name_stays_as_far_as_it_is_harmless(name: str, kept: str) -> None:
    assert file_name(name, "calibration") == kept


@given(st.text(max_size=300))
def test_no_name_leaves_its_folder_or_looks_like_an_option(name: str) -> None:
    kept = file_name(name, "model")

    assert re.fullmatch(r"[\w.-]+", kept)
    assert kept not in {".", ".."}
    assert not kept.startswith(("-", "."))
    assert len(kept.encode(errors="surrogatepass")) <= 255
    assert Path("folder", kept).parent == Path("folder")
