"""What only shows the same numbers in another shape says the same once its sizes are written as numbers."""

from __future__ import annotations

import numpy as np
import pytest

from engine.execution.runtime import open_session, run
from engine.graph.normalise import normalise
from tests.networks import Draft, Shape, images


def resized(draft: Draft, policy: str) -> str:
    """To twice the height and thrice the width, and as many images as there are."""
    batch = draft.node("Slice", draft.node("Shape", "image"), *(draft.constant([n], np.int64) for n in (0, 1)))
    sizes = draft.node("Concat", batch, draft.constant([3, 32, 48], np.int64), axis=0)
    nothing = draft.constant([], np.float32)
    return draft.node("Resize", "image", nothing, nothing, sizes, mode="nearest", keep_aspect_ratio_policy=policy)


@pytest.mark.parametrize(("policy", "axes"), [("stretch", (2, 3)), ("not_larger", None), ("not_smaller", None)])
def test_a_resize_names_its_axes_where_each_has_a_scale_of_its_own(policy: str, axes: tuple[int, ...] | None) -> None:
    """Batch and channels keep all as it is, or let all grow, where one scale is looked for that fits every axis."""
    draft = Draft(opset=18)
    shape: Shape = ("batch", "c", "h", "w")
    model = draft.model(resized(draft, policy), output_shape=shape)
    inputs = images(model)
    (wanted,) = run(open_session(model), inputs).values()

    plain = normalise(model)

    (resize,) = (node for node in plain.graph if node.op_type == "Resize")
    assert resize.attributes.get_ints("axes", None) == axes
    (found,) = run(open_session(plain), inputs).values()
    assert found.shape == wanted.shape
    assert np.array_equal(found, wanted)
