"""Networks of torch that become no ONNX file are refused with a reason, however large they or their images are."""

from __future__ import annotations

from types import SimpleNamespace

import onnx_ir as ir
import pytest
import torch
from google.protobuf.message import EncodeError  # type: ignore[import-untyped]  # protobuf ships no types
from torch import nn

from engine.errors import ModelUnreadable, ModelUnsafe
from engine.formats.networks import conversion
from engine.formats.networks.conversion import convert_network, convert_program
from tests.networks import residual


def test_an_image_for_which_there_is_no_memory_is_refused() -> None:
    with pytest.raises(ModelUnreadable, match="cannot export this network for inputs of"):
        convert_network(nn.Identity(), (1 << 20, 1 << 20, 1 << 20))


def test_a_program_is_weighed_before_it_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "MOST_BYTES", 100)
    program = SimpleNamespace(state_dict={"w": torch.ones(20)}, constants={"c": torch.ones(6), "hook": object()})

    with pytest.raises(ModelUnsafe, match="have 104 bytes together; at most 100"):
        convert_program(program)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [EncodeError, ValueError])
def test_a_network_that_no_file_takes_is_refused(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large() -> bytes:
        raise error("Failed to serialize proto")

    monkeypatch.setattr(ir, "to_proto", lambda model: SimpleNamespace(SerializeToString=too_large))
    exported = SimpleNamespace(model=residual().ir)
    monkeypatch.setattr(torch.onnx, "export", lambda *_arguments, **_options: exported)

    with pytest.raises(ModelUnreadable, match="too large for an ONNX file"):
        convert_program(SimpleNamespace(state_dict={}, constants={}))  # type: ignore[arg-type]
