"""Which whole numbers a processor gets, by what it is and says it can do."""

from __future__ import annotations

import pytest

from engine.outputs.integers import Integers, integers_for, integers_here
from engine.recipe import Deploy

AVX2 = {"sse4_2", "avx", "avx2", "fma"}


@pytest.mark.parametrize("flag", ["avx512_vnni", "avx_vnni", "amx_int8"])
def test_a_processor_with_dot_products_has_weights_of_8_bits(flag: str) -> None:
    assert integers_for("cpu", "x86_64", AVX2 | {flag}) == Integers(signed=False, reduced=False)


@pytest.mark.parametrize("flags", [set(), AVX2, AVX2 | {"avx512f", "avx512bw"}])
def test_without_them_or_without_knowing_weights_have_7(flags: set[str]) -> None:
    assert integers_for("cpu", "x86_64", flags) == Integers(signed=False, reduced=True)
    assert "weights of 7 bits" in str(integers_for("cpu", "AMD64", flags))


@pytest.mark.parametrize(("provider", "machine"), [("cpu", "aarch64"), ("cpu", "arm64"), ("cuda", "x86_64")])
def test_gpus_and_arm_have_signed_activations(provider: str, machine: str) -> None:
    assert integers_for(provider, machine, AVX2) == Integers(signed=True, reduced=False)


def test_this_machine_has_an_answer() -> None:
    assert not integers_here(Deploy(provider="cuda")).reduced
    assert "a scale for each channel" in str(integers_here(Deploy()))
