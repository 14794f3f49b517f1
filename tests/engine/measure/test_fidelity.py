"""Likeness is nothing lost for the same network, and loses what a known change takes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from engine.data.images import ImageSet
from engine.errors import CalibrationMismatch, ModelError, PostconditionFailed
from engine.graph.model import Model
from engine.measure.batches import outputs_in_batches
from engine.measure.fidelity import compare_fidelity, correct
from engine.recipe import Deploy
from engine.report import Fidelity, OutputFidelity
from tests.engine.measure.conftest import MakeImages, Parse

IDENTITY = "agraph (float[n, 5] x) => (float[n, 5] y) { y = Identity(x) }"
DOUBLE = "agraph (float[n, 5] image) => (float[n, 5] logits) { logits = Add(image, image) }"


def fidelity(original: Model, delivered: Model, images: ImageSet) -> Fidelity:
    return compare_fidelity(original, delivered, images, Deploy())


def test_a_network_is_like_itself(parse: Parse, images: MakeImages) -> None:
    found = fidelity(parse(IDENTITY), parse(IDENTITY), images(100, 5))

    assert found.images == 100
    assert found.agreement is not None
    assert found.agreement.value == 1
    assert found.agreement.low < 1
    assert found.kl_divergence == 0
    assert found.outputs[0].relative_error == 0
    assert found.outputs[0].cosine == pytest.approx(1)
    assert found.accuracy is None


def test_twice_the_scores_agree_but_are_more_certain(parse: Parse, images: MakeImages) -> None:
    given = images(100, 5)

    found = fidelity(parse(IDENTITY), parse(DOUBLE), given)

    p, q = special.softmax(given.inputs, axis=1), special.softmax(2 * given.inputs, axis=1)
    assert found.agreement is not None
    assert found.agreement.value == 1
    assert found.kl_divergence == pytest.approx(stats.entropy(p, q, axis=1).mean(), rel=1e-5)
    assert found.outputs[0].output == "y"  # paired by position, under the original's name
    assert found.outputs[0].relative_error == pytest.approx(1)
    assert found.outputs[0].cosine == pytest.approx(1)


def test_probabilities_are_not_softmaxed_again(parse: Parse, images: MakeImages) -> None:
    softmax = "agraph (float[n, 5] x) => (float[n, 5] y) {{ {steps} }}"
    plain = parse(softmax.format(steps="y = Softmax(x)"))
    sharper = parse(softmax.format(steps="a = Add(x, x) y = Softmax(a)"))
    given = images(100, 5)

    assert fidelity(plain, sharper, given).kl_divergence == pytest.approx(
        fidelity(parse(IDENTITY), parse(DOUBLE), given).kl_divergence, rel=1e-5
    )


def test_opposite_outputs(parse: Parse, images: MakeImages) -> None:
    negative = parse("agraph (float[n, 5] x) => (float[n, 5] y) { y = Neg(x) }")

    found = fidelity(parse(IDENTITY), negative, images(100, 5))

    assert found.agreement is not None
    assert found.agreement.value == 0
    assert found.outputs[0].relative_error == pytest.approx(2)
    assert found.outputs[0].cosine == pytest.approx(-1)


def test_outputs_that_are_no_class_scores(parse: Parse, images: MakeImages) -> None:
    """A map, a single score, an integer class and a number that has no batch: errors are told, agreement is not."""
    model = parse("""agraph (float[n, 2, 3, 3] x)
        => (float[n, 2, 3, 3] map, float[n, 1] one, int64[n] top, float total) {
        map = Relu(x)
        flat = Flatten(x)
        last = Constant<value = int64[1] {1}>()
        one = ReduceMax<keepdims = 1>(flat, last)
        top = ArgMax<axis = 1, keepdims = 0>(flat)
        total = ReduceSum<keepdims = 0>(x)
    }""")

    found = fidelity(model, model, images(40, 2, 3, 3))

    assert found.agreement is None
    assert found.kl_divergence is None
    assert [output.output for output in found.outputs] == ["map", "one", "top", "total"]
    assert all(output.relative_error == 0 and output.cosine == pytest.approx(1) for output in found.outputs)


def test_every_output_has_intervals_over_the_images_that_narrow_with_their_number(
    parse: Parse, images: MakeImages
) -> None:
    """Maps with noise of another size in each image: values lie inside, and of 400 images intervals are narrow."""
    maps = "agraph (float[n, 2, 3, 3] x) => (float[n, 2, 3, 3] y) {{ {steps} }}"
    original, other = parse(maps.format(steps="y = Relu(x)")), parse(maps.format(steps="y = Softplus(x)"))

    few, many = (fidelity(original, other, images(count, 2, 3, 3)).outputs[0] for count in (10, 400))

    for found in (few, many):
        assert found.relative_error is not None
        assert found.cosine is not None
        assert found.relative_error_95 is not None
        assert found.cosine_95 is not None
        assert 0 <= found.relative_error_95.low < found.relative_error < found.relative_error_95.high
        assert -1 <= found.cosine_95.low < found.cosine < found.cosine_95.high <= 1
    assert width(many) < width(few) / 4


def width(found: OutputFidelity) -> float:
    assert found.relative_error_95 is not None
    return found.relative_error_95.high - found.relative_error_95.low


def test_a_single_image_or_a_number_for_all_of_them_has_no_interval(parse: Parse, images: MakeImages) -> None:
    total = parse("agraph (float[n, 5] x) => (float total) { total = ReduceSum<keepdims = 0>(x) }")

    for found in (fidelity(parse(IDENTITY), parse(DOUBLE), images(1, 5)), fidelity(total, total, images(9, 5))):
        assert found.outputs[0].relative_error is not None
        assert found.outputs[0].relative_error_95 is None
        assert found.outputs[0].cosine_95 is None


def test_whole_numbers_are_told_by_how_many_are_equal(parse: Parse, images: MakeImages) -> None:
    """A mask of a segmentation: the class of each place; numbers of classes have no distance."""
    mask = """agraph (float[n, 3, 4, 4] x) => (int64[n, 4, 4] mask)
        <float[1, 3, 1, 1] bias = {BIAS}> { y = Add(x, bias) mask = ArgMax<axis = 1, keepdims = 0>(y) }"""
    one, other = (parse(mask.replace("BIAS", bias)) for bias in ("0.0, 0.0, 0.0", "0.0, 0.0, 0.5"))
    given = images(60, 3, 4, 4)

    found = fidelity(one, other, given).outputs[0]

    moved = given.inputs + np.array([0, 0, 0.5], np.float32).reshape(3, 1, 1)
    assert found.match == pytest.approx((given.inputs.argmax(axis=1) == moved.argmax(axis=1)).mean())
    assert found.match_95 is not None
    assert found.match_95.low < found.match < found.match_95.high
    assert fidelity(one, one, given).outputs[0].match == 1
    assert fidelity(parse(IDENTITY), parse(IDENTITY), images(9, 5)).outputs[0].match is None


DETECTOR = """agraph (float[1, 40] x) => (float[found, 1] boxes, int64[found] places) <float limit = {LIMIT}> {
    above = Greater(x, limit)
    all = NonZero(above)
    two = Constant<value = int64[2] {1, 0}>()
    turned = Transpose<perm = [1, 0]>(all)
    start = Constant<value = int64[1] {1}>()
    stop = Constant<value = int64[1] {2}>()
    column = Slice(turned, start, stop, start)
    flat = Squeeze(column, start)
    places = Identity(flat)
    boxes = Cast<to = 1>(column)
}"""


def test_as_many_detections_are_compared_and_others_are_counted(parse: Parse, images: MakeImages) -> None:
    """What is found depends on the image, and by another network on other numbers: the job goes on and is told so."""
    one, other = (parse(DETECTOR.replace("LIMIT", limit)) for limit in ("0.0", "0.02"))
    given = images(30, 40)
    alike = [(row > 0).sum() == (row > np.float32(0.02)).sum() for row in given.inputs]

    found = fidelity(one, other, given)

    assert 0 < sum(alike) < len(alike)
    assert found.agreement is None
    for output in found.outputs:
        assert output.incomparable_images == len(alike) - sum(alike)
        assert (output.relative_error, output.match) == (0, 1 if output.output == "places" else None)
    (nothing, _) = fidelity(one, parse(DETECTOR.replace("LIMIT", "9.0")), given).outputs
    assert (nothing.relative_error, nothing.cosine, nothing.incomparable_images) == (None, None, 30)


def test_networks_that_never_find_anything_are_alike(parse: Parse, images: MakeImages) -> None:
    blind = parse(DETECTOR.replace("LIMIT", "9.0"))

    found = fidelity(blind, blind, images(3, 40)).outputs[0]

    assert (found.relative_error, found.cosine, found.incomparable_images) == (0, 1, 0)


def test_rows_that_are_no_images_are_no_class_scores(parse: Parse, images: MakeImages) -> None:
    """Boxes of all images in one list: (detections, 4)."""
    boxes = parse("""agraph (float[n, 8] x) => (float[m, 4] boxes)
        <int64[2] form = {-1, 4}> { boxes = Reshape(x, form) }""")

    found = fidelity(boxes, boxes, images(6, 8))

    assert found.agreement is None
    assert found.outputs[0].agreement is None


def test_embeddings_are_no_class_scores_and_beside_probabilities_nothing_else_is(
    parse: Parse, images: MakeImages
) -> None:
    unit = parse("agraph (float[n, 5] x) => (float[n, 5] y) { y = LpNormalization(x) }")
    heads = parse("""agraph (float[n, 5] x) => (float[n, 5] boxes, float[n, 5] classes) {
        boxes = Neg(x)
        classes = Softmax(x)
    }""")

    assert fidelity(unit, unit, images(9, 5)).agreement is None
    found = fidelity(heads, heads, images(9, 5))
    assert [output.agreement is not None for output in found.outputs] == [False, True]
    assert found.agreement == found.outputs[1].agreement


def test_each_head_of_class_scores_has_its_own_agreement(parse: Parse, images: MakeImages) -> None:
    heads = "agraph (float[n, 5] x) => (float[n, 5] a, float[n, 5] b) {{ a = Identity(x) b = {op}(x) }}"
    one, other = (parse(heads.format(op=op)) for op in ("Identity", "Neg"))

    found = fidelity(one, other, images(50, 5))

    agreements = [output.agreement for output in found.outputs]
    assert [one and one.value for one in agreements] == [1, 0]
    assert found.agreement == agreements[0]


def test_a_fixed_batch_and_an_open_one_are_compared(parse: Parse, images: MakeImages) -> None:
    fixed = "agraph (float[{n}, 5] x) => (float[{n}, 5] y) {{ y = Identity(x) }}"
    three, four = (parse(fixed.format(n=n)) for n in (3, 4))

    for pair in ((three, parse(IDENTITY)), (parse(IDENTITY), three)):
        found = fidelity(*pair, images(7, 5))
        assert (found.images, found.outputs[0].relative_error) == (7, 0)
    with pytest.raises(ModelError, match="fixed batch of 3, the other of 4"):
        fidelity(three, four, images(7, 5))


def test_accuracy_is_told_where_labels_fit(parse: Parse, images: MakeImages) -> None:
    given = images(60, 5)
    top = given.inputs.argmax(axis=1)
    labels = np.where(np.arange(60) < 45, top, (top + 1) % 5)
    labelled = images(60, 5, labels=labels.tolist())

    found = fidelity(parse(IDENTITY), parse("agraph (float[n, 5] x) => (float[n, 5] y) { y = Neg(x) }"), labelled)

    assert found.accuracy is not None
    assert found.accuracy.original.value == 0.75
    assert found.accuracy.delivered.value < 0.5
    hits = correct(parse(IDENTITY), labelled)
    assert hits is not None
    assert hits.tolist() == [True] * 45 + [False] * 15


@pytest.mark.parametrize(
    ("labels", "class_names"), [([5] * 6, ()), ([0, 1] * 3, ("cat", "dog")), ([0, 7] * 3, ("0", "7"))]
)
def test_labels_that_cannot_be_the_networks_classes_are_left_out(
    labels: list[int], class_names: tuple[str, ...], parse: Parse, images: MakeImages
) -> None:
    given = images(6, 5, labels=labels)
    named = ImageSet(given.inputs, given.labels, given.names, class_names)

    assert correct(parse(IDENTITY), named) is None
    assert fidelity(parse(IDENTITY), parse(IDENTITY), named).accuracy is None


@pytest.mark.parametrize("labels", [([0, 4] * 3, ("0", "4")), ([0, 4] * 3, ("a", "b", "c", "d", "e"))])
def test_labels_of_a_sample_of_the_classes_fit(
    labels: tuple[list[int], tuple[str, ...]], parse: Parse, images: MakeImages
) -> None:
    given = images(6, 5, labels=labels[0])

    assert correct(parse(IDENTITY), ImageSet(given.inputs, given.labels, given.names, labels[1])) is not None


@pytest.mark.parametrize("count", [1, 4, 10, 33])
def test_a_fixed_batch_gives_the_same_outputs(count: int, parse: Parse, images: MakeImages) -> None:
    """The last batch is filled up, and the filling is not seen."""
    given = images(count, 5)
    fixed = parse("agraph (float[4, 5] x) => (float[4, 5] y) { y = Identity(x) }")

    batches = list(outputs_in_batches(fixed, given, Deploy()))

    np.testing.assert_array_equal(np.concatenate([batch["y"] for batch in batches]), given.inputs)


def test_an_input_of_another_type_is_refused(parse: Parse, images: MakeImages) -> None:
    half = parse("agraph (float16[n, 5] x) => (float[n, 5] y) { y = Cast<to = 1>(x) }")

    with pytest.raises(ModelError, match="'x' of float16"):
        next(outputs_in_batches(half, images(9, 5), Deploy()))


def test_zeros_are_like_zeros(parse: Parse, images: MakeImages) -> None:
    zero = parse("agraph (float[n, 5] x) => (float[n, 5] y) { y = Sub(x, x) }")

    found = fidelity(zero, zero, images(9, 5)).outputs[0]

    assert (found.relative_error, found.cosine) == (0, 1)


def test_what_is_not_finite_is_our_fault(parse: Parse, images: MakeImages) -> None:
    logarithm = parse("agraph (float[n, 5] x) => (float[n, 5] y) { y = Log(x) }")

    with pytest.raises(PostconditionFailed, match="not finite"):
        fidelity(parse(IDENTITY), logarithm, images(9, 5))

    assert fidelity(logarithm, logarithm, images(9, 5)).outputs[0].relative_error == 0


def test_networks_that_do_not_pair_are_refused(parse: Parse, images: MakeImages) -> None:
    two = parse("agraph (float[n, 5] x) => (float[n, 5] y, float[n, 5] z) { y = Relu(x) z = Neg(x) }")
    narrow = parse("""agraph (float[n, 5] x) => (float[n, 1] y) {
        axes = Constant<value = int64[1] {1}>()
        y = ReduceMax(x, axes)
    }""")

    with pytest.raises(ModelError, match="the other y, z"):
        fidelity(parse(IDENTITY), two, images(9, 5))
    with pytest.raises(ModelError, match=r"shape \(9, 5\) in one network"):
        fidelity(parse(IDENTITY), narrow, images(9, 5))


def test_a_network_that_opens_but_does_not_run_is_refused(parse: Parse, images: MakeImages) -> None:
    model = parse("agraph (float[n, 2] x) => (float[m, 2] y) <int64[2] one = {1, 2}> { y = Reshape(x, one) }")

    with pytest.raises(ModelError, match="cannot run the network on 'x' of 9 x 2"):
        fidelity(model, model, images(9, 2))


def test_images_must_be_there_and_feed_one_input(parse: Parse, images: MakeImages) -> None:
    both = parse("agraph (float[n, 5] x, float[n, 5] z) => (float[n, 5] y) { y = Add(x, z) }")

    with pytest.raises(CalibrationMismatch, match="no image"):
        fidelity(parse(IDENTITY), parse(IDENTITY), images(0, 5))
    with pytest.raises(ModelError, match="2 inputs: 'x' of float32, 'z' of float32"):
        correct(both, images(2, 5, labels=[0, 1]))
