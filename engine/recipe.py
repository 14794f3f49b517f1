"""What is asked: target, method, preprocessing, deployment. Torch-free, so that the web process can read it.

Every key has a default; a key that is not known is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError


class Strict(BaseModel):
    """A frozen model that refuses unknown keys and says which known one was probably meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest_known_key(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                if key not in cls.model_fields:
                    raise _unknown_key(str(key), list(cls.model_fields))
        return value


def _unknown_key(key: str, known: list[str]) -> PydanticCustomError:
    key = key.encode(errors="replace").decode()  # half a surrogate pair is legal in JSON and in no text
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean '{nearest[0]}'?" if nearest else f"known keys: {', '.join(known)}."
    return PydanticCustomError("unknown_key", "Unknown key '{key}': {hint}", {"key": key, "hint": hint})


def _plain_number(value: Any) -> Any:
    """Refuse what is no number in JSON, and would be taken for one: true, and text in quotes."""
    if isinstance(value, bool | str):
        raise PydanticCustomError("number_type", "Input should be a number, not {found}.", {"found": repr(value)[:40]})
    return value


Whole = Annotated[int, BeforeValidator(_plain_number)]
Number = Annotated[float, BeforeValidator(_plain_number)]
Finite = Annotated[Number, AllowInfNan(False)]  # JSON has no infinity, and no database gives one back
Ratio = Annotated[Number, Field(gt=0, lt=1)]
Agreement = Annotated[Number | None, Field(default=None, ge=0, le=1)]


class LatencyRatio(Strict):
    """Measured p50 of the result over that of the original: 0.7 turns 10 ms into 7 ms."""

    latency_ratio: Ratio = 0.7
    min_agreement: Agreement = None


class LatencyMs(Strict):
    """Measured p50 of the result in milliseconds, at the recipe's batch and threads."""

    latency_ms: Finite = Field(gt=0)
    min_agreement: Agreement = None


class MacsRatio(Strict):
    """Multiply-accumulates of the result over those of the original; says nothing about the clock."""

    macs_ratio: Ratio
    min_agreement: Agreement = None


class ParametersRatio(Strict):
    """Parameters of the result over those of the original; says nothing about the clock."""

    parameters_ratio: Ratio
    min_agreement: Agreement = None


class Units(Strict):
    """Number of units to remove, whatever that brings."""

    units: Whole = Field(ge=1, le=10_000)
    min_agreement: Agreement = None


class Pareto(Strict):
    """A front from one job: so many networks, each faster than the one before it at the price of more error.

    All of them are delivered. `model.onnx` is the fastest whose agreement holds the floor, or without a floor the knee.
    """

    pareto: Whole = Field(ge=2, le=16)
    min_agreement: Agreement = None


TARGETS: dict[str, type[Strict]] = {
    "latency_ratio": LatencyRatio,
    "latency_ms": LatencyMs,
    "macs_ratio": MacsRatio,
    "parameters_ratio": ParametersRatio,
    "units": Units,
    "pareto": Pareto,
}


def _exactly_one_target(value: Any) -> Any:
    """Refuse a target with an unknown key, with none of TARGETS or with several."""
    if isinstance(value, tuple(TARGETS.values())):
        return value
    if not isinstance(value, dict):
        raise PydanticCustomError("target", "A target is an object such as {like}.", {"like": '{"latency_ratio": 0.7}'})
    unknown = [str(key) for key in value if key not in TARGETS and key != "min_agreement"]
    if unknown:
        raise _unknown_key(unknown[0], [*TARGETS, "min_agreement"])
    found = [key for key in value if key in TARGETS]
    if len(found) != 1:
        message = "A target has exactly one of {known}; found {found}."
        raise PydanticCustomError("target", message, {"known": ", ".join(TARGETS), "found": ", ".join(found) or "none"})
    return value


def _target_kind(value: Any) -> str | None:
    """Tell which target is meant by its one key."""
    if isinstance(value, dict):
        return next((key for key in value if key in TARGETS), None)
    return next((kind for kind, target in TARGETS.items() if isinstance(value, target)), None)


Target = Annotated[
    Annotated[LatencyRatio, Tag("latency_ratio")]
    | Annotated[LatencyMs, Tag("latency_ms")]
    | Annotated[MacsRatio, Tag("macs_ratio")]
    | Annotated[ParametersRatio, Tag("parameters_ratio")]
    | Annotated[Units, Tag("units")]
    | Annotated[Pareto, Tag("pareto")],
    Discriminator(_target_kind),
    BeforeValidator(_exactly_one_target),
]


class MethodOptions(Strict):
    """What all methods are asked with. `cuts` tells what a method lets go: "units", "channels" or both.

    `needs_norms` of one that ranks channels by the scales of batch norms, which many exporters fold away; `uses_labels`
    of one that learns from labels where there are any; `rotates_heads` of one that finds the numbers inside attention
    heads that matter least by giving them another basis.
    """

    cuts: ClassVar[frozenset[str]]
    needs_norms: ClassVar[bool] = False
    uses_labels: ClassVar[bool] = False
    rotates_heads: ClassVar[bool] = False
    keep: tuple[str, ...] = Field(default=(), description="Names of units and groups that must stay.")

    @field_validator("name", mode="before", check_fields=False)
    @classmethod
    def _name_the_nearest_known_method(cls, value: Any) -> Any:
        if isinstance(value, str) and value in METHODS:
            return value
        nearest = difflib.get_close_matches(str(value), METHODS, n=1, cutoff=0.5)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"known methods: {', '.join(METHODS)}."
        name = str(value).encode(errors="replace").decode()[:100]
        raise PydanticCustomError("unknown_method", "Unknown method '{name}': {hint}", {"name": name, "hint": hint})


class Auto(MethodOptions):
    """Let whole units and channels compete: whatever saves the asked time with the least harm after repair goes.

    A unit that harms 0.02 and saves 4 % stands against 48 of a group's 192 channels that harm 0.01 and save 3 %.
    """

    cuts: ClassVar[frozenset[str]] = frozenset({"units", "channels"})
    rotates_heads: ClassVar[bool] = True
    name: Literal["auto"] = "auto"


class Practise(MethodOptions):
    """Drop whole residual branches, chosen by how well the network recovers without them.

    A network without any loses single layers, or short runs of them, that keep the shape of what they read.

    A unit with recoverability 0.02 (2 % error left in the features) and 4 % of the latency scores 0.5; one with 0.02
    and 1 % scores 2.0 and goes later.
    Wang and Wu, "Practical Network Acceleration with Tiny Sets", CVPR 2023. arXiv:2202.07861
    """

    cuts: ClassVar[frozenset[str]] = frozenset({"units"})
    name: Literal["practise"] = "practise"


class ChannelRegression(MethodOptions):
    """Drop the channels that the others of their group can stand in for.

    Of 64 channels each is tried against a regression from the rest, and the one that is missed least goes, until 48
    are left; then the layers that read them are refitted.
    He et al., "Channel Pruning for Accelerating Very Deep Neural Networks", ICCV 2017. arXiv:1707.06168
    """

    cuts: ClassVar[frozenset[str]] = frozenset({"channels"})
    rotates_heads: ClassVar[bool] = True
    name: Literal["channel_regression"] = "channel_regression"


class Thinet(MethodOptions):
    """Drop the channels whose sum adds least to what the next layer writes.

    A channel that adds 0.3 to an output where another adds -0.3 goes with it for nothing.
    Luo et al., "ThiNet: A Filter Level Pruning Method for Deep Neural Network Compression", ICCV 2017. arXiv:1707.06342
    """

    cuts: ClassVar[frozenset[str]] = frozenset({"channels"})
    name: Literal["thinet"] = "thinet"


class L1(MethodOptions):
    """Drop the filters with the least weight. It looks at no image, and is what every other method has to beat.

    A filter whose absolute weights sum up to 0.8 goes before one of 1.2.
    Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017. arXiv:1608.08710
    """

    cuts: ClassVar[frozenset[str]] = frozenset({"channels"})
    name: Literal["l1"] = "l1"


class Slimming(MethodOptions):
    """Drop the channels that their batch norm scales least.

    Of scales 0.9, 0.001 and 0.4 the second channel goes first, and the others follow its way only where the time
    asked for needs them. Made for networks that were trained so that the scales of idle channels became zero.
    Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", ICCV 2017. arXiv:1708.06519
    """

    cuts: ClassVar[frozenset[str]] = frozenset({"channels"})
    needs_norms: ClassVar[bool] = True
    uses_labels: ClassVar[bool] = True
    name: Literal["slimming"] = "slimming"
    sparsity_steps: Whole = Field(
        default=0, ge=0, le=1_000_000, description="Steps of training the upload for sparsity first; needs labels."
    )
    sparsity: Number = Field(
        default=1e-2, gt=0, le=1, description="How hard such training pulls each scale, in loss for each unit of it."
    )


class Sss(MethodOptions):
    """Train a factor for each channel and each block towards zero, and drop those that nothing holds open.

    With gamma 0.005 a channel whose factor saves the loss 0.002 for each unit of itself ends at zero and goes first;
    one that saves 0.02 stays near one. The weights stay as they are; without labels the network's own answers teach.
    Huang and Wang, "Data-Driven Sparse Structure Selection for Deep Neural Networks", ECCV 2018. arXiv:1707.01213
    """

    cuts: ClassVar[frozenset[str]] = frozenset({"units", "channels"})
    uses_labels: ClassVar[bool] = True
    name: Literal["sss"] = "sss"
    gamma: Annotated[Finite, Field(gt=0)] | None = Field(
        default=None, description="Price of an open gate in loss; null: half of an even share of what all save."
    )
    steps: Whole = Field(
        default=200, ge=1, le=100_000, description="Of the gates' training, as far as the time allows."
    )


Pattern = Literal["one_by_one", "2:4"]


class Magnitude(MethodOptions):
    """Set the smallest weights to zero, and refit the others. The file compresses better; nothing becomes faster.

    With sparsity 0.5, of the weights 0.1, -0.6, 0.3 and -0.02 of one layer the first and the last become zero; with
    the pattern 2:4 so do two of every four, whatever the layer.
    Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015. arXiv:1506.02626
    """

    cuts: ClassVar[frozenset[str]] = frozenset({"weights"})
    name: Literal["magnitude"] = "magnitude"
    sparsity: Number = Field(default=0.5, gt=0, lt=1, description="Part of the weights that go, one by one.")
    pattern: Pattern = Field(
        default="one_by_one", description="2:4 leaves two of every four: for GPUs that have a kernel for it."
    )


METHODS: dict[str, type[MethodOptions]] = {
    "auto": Auto,
    "practise": Practise,
    "channel_regression": ChannelRegression,
    "thinet": Thinet,
    "l1": L1,
    "slimming": Slimming,
    "sss": Sss,
    "magnitude": Magnitude,
}


def _method_kind(value: Any) -> str | None:
    """Tell which method is meant by its name, the default where there is none, or none of METHODS."""
    if isinstance(value, dict):
        name = value.get("name")
        return name if isinstance(name, str) and name in METHODS else "auto"
    return next((kind for kind, method in METHODS.items() if isinstance(value, method)), None)


Method = Annotated[
    Annotated[Auto, Tag("auto")]
    | Annotated[Practise, Tag("practise")]
    | Annotated[ChannelRegression, Tag("channel_regression")]
    | Annotated[Thinet, Tag("thinet")]
    | Annotated[L1, Tag("l1")]
    | Annotated[Slimming, Tag("slimming")]
    | Annotated[Sss, Tag("sss")]
    | Annotated[Magnitude, Tag("magnitude")],
    Field(description="One of METHODS, told apart by `name`."),
    Discriminator(_method_kind),
]


class Preprocess(Strict):
    """How an 8-bit image becomes the network's input: resize, crop, scale, normalise, lay out.

    Pixel 255 with scale 1/255, mean 0.485 and std 0.229 becomes 2.249. Arrays of floating point are taken as ready
    inputs and pass through untouched.
    """

    resize: Whole | None = Field(default=None, ge=1, le=8192, description="Shorter side in pixels; null: as it is.")
    crop: Whole | None = Field(
        default=None, ge=1, le=8192, description="Side of the centre crop in pixels; null: as it is."
    )
    scale: Finite = Field(default=1 / 255, gt=0)
    mean: tuple[Finite, ...] | None = Field(
        default=None,
        description="One value a channel, or one for all; null: ImageNet's for three channels, 0 otherwise.",
    )
    std: tuple[Annotated[Finite, Field(gt=0)], ...] | None = Field(
        default=None,
        description="One value a channel, or one for all; null: ImageNet's for three channels, 1 otherwise.",
    )
    channel_order: Literal["RGB", "BGR", "GRAY"] | None = Field(
        default=None, description="null: GRAY for a network with one input channel, RGB otherwise."
    )
    layout: Literal["NCHW", "NHWC"] = "NCHW"


class Deploy(Strict):
    """Where the result will run: latency is measured there and nowhere else."""

    provider: Literal["cpu", "cuda"] = "cpu"
    threads: Whole = Field(default=1, ge=1, le=256)
    batch: Whole = Field(default=1, ge=1, le=4096)


MOST_OPTION = 1 << 20
"""Of whole numbers; the largest are numbers of classes, of which networks for faces have some hundred thousand."""

MOST_INPUT_NUMBERS = 1 << 26
"""Of one image: three channels of 4,700 by 4,700 pixels."""

OPEN_SIDE = 224
"""In pixels: what the network is tried with in place of an open side."""


def _bounded(value: bool | int | float | str) -> bool | int | float | str:
    """Refuse a whole number out of bounds, which a bound of its own would turn into a fraction."""
    if isinstance(value, int) and not 0 <= value <= MOST_OPTION:
        message = "A whole number among the options is 0 to {most}; found {found}."
        raise PydanticCustomError("option", message, {"most": MOST_OPTION, "found": str(value)[:40]})
    return value


OptionValue = Annotated[bool | int | Finite | Annotated[str, Field(max_length=64)], AfterValidator(_bounded)]


def _within_reach(shape: tuple[int, int | None, int | None]) -> tuple[int, int | None, int | None]:
    numbers = math.prod(OPEN_SIDE if size is None else size for size in shape)
    if numbers > MOST_INPUT_NUMBERS:
        message = "An image of that shape has {numbers} numbers; at most {most} are tried. Give a smaller one."
        raise PydanticCustomError("input_shape", message, {"numbers": numbers, "most": MOST_INPUT_NUMBERS})
    return shape


_Size = Annotated[Whole, Field(ge=1, le=16_384)]
InputShape = Annotated[tuple[_Size, _Size | None, _Size | None], AfterValidator(_within_reach)]


class Architecture(Strict):
    """Which network a file of bare weights belongs to; a file that holds its own graph needs none.

    "torchvision/resnet18" with {"num_classes": 10} and [3, null, null] takes pictures of any height and width.
    """

    name: str = Field(
        pattern=r"^[a-z]+/[A-Za-z0-9_.]{1,100}$", description="torchvision/NAME, or timm/NAME where timm is installed."
    )
    options: dict[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,63}$")], OptionValue] = Field(
        default={}, max_length=32, description="Given to the network's builder, such as num_classes."
    )
    input_shape: InputShape | None = Field(
        default=None,
        description="Channels, height, width; null in place of height or width: any. Absent: as it was trained.",
    )


_Names = Annotated[tuple[Annotated[str, Field(max_length=1000)], ...], Field(max_length=10_000)]


class UnitTimes(Strict):
    """Cuts of one kind, and the part of the original's latency that the loss of each saves, with its 95 % interval."""

    units: _Names
    share: Finite
    low: Finite
    high: Finite


class PlanTime(Strict):
    """What was lost together, and the part of the original's latency that this was measured to save."""

    units: _Names
    saving: Finite


class LatencyTable(Strict):
    """The times that a plan was chosen by. Given back with a recipe, the same seed chooses the same plan.

    `prices` counts the sets of cuts whose harm was asked; `width_multiple` is what widths are multiples of, None where
    nobody asked; `plain_ratio` is what the plain form takes of the upload's time before any cut; `environment` is where
    it was measured, as in the report.
    """

    original_ms: Finite = Field(gt=0)
    units: tuple[UnitTimes, ...] = Field(max_length=10_000)
    plans: tuple[PlanTime, ...] = Field(default=(), max_length=1_000)
    prices: Whole = Field(default=0, ge=0, le=10_000)
    width_multiple: Whole | None = Field(default=None, ge=1, le=1024)
    plain_ratio: Number = Field(default=1.0, gt=0, le=1)
    environment: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=1000)] | int | None] = (
        Field(default={}, max_length=32)
    )


Synthesis = Literal["auto", "procedural", "inversion", "priors"]

OutputKind = Literal["fp32", "fp16", "int8"]
OUTPUT_KINDS: tuple[OutputKind, ...] = ("fp32", "fp16", "int8")


def _each_once(kinds: tuple[OutputKind, ...]) -> tuple[OutputKind, ...]:
    """Return the kinds in one order, with fp32 among them: the network itself is always delivered."""
    return tuple(kind for kind in OUTPUT_KINDS if kind == "fp32" or kind in kinds)


ControlName = Literal["scratch_e", "scratch_b"]


class Recipe(Strict):
    """One request: cut this network to that target, with these means."""

    target: Target = LatencyRatio()
    method: Method = Auto()
    preprocess: Preprocess = Preprocess()
    deploy: Deploy = Deploy()
    architecture: Architecture | None = Field(default=None, description="Needed for a file of bare weights only.")
    synthesis: Synthesis = Field(
        default="auto", description="How images are made where too few are sent; auto: by network and device."
    )
    outputs: Annotated[tuple[OutputKind, ...], Field(min_length=1, max_length=16), AfterValidator(_each_once)] = Field(
        default=("fp32",),
        description="Files to make of the delivered network: fp32 always, fp16 and int8 where they are named.",
    )
    controls: Annotated[tuple[ControlName, ...], Field(max_length=2)] = Field(
        default=(),
        description="Train the architecture that is found from random weights, too, to say what its weights are worth: "
        "scratch_e for control_epochs, scratch_b for as many as cost what those cost the original, at most twice as "
        "many. Needs labels, and takes half of the budget.",
    )
    control_epochs: Whole = Field(
        default=160, ge=1, le=1_000, description="Rounds of the labelled images that scratch_e trains for."
    )
    budget_seconds: Number = Field(default=600, ge=10, le=86_400, description="Wall-clock time for the whole job.")
    seed: Whole = Field(default=0, ge=0, lt=2**32)
    latency_table: LatencyTable | None = Field(
        default=None, description="A report's `latency_table`: nothing is timed anew to choose, so the same is chosen."
    )


_TAGS: dict[str | int, Collection[str]] = {"target": TARGETS, "method": METHODS}


def in_document(path: Sequence[str | int]) -> list[str]:
    """Return a path of pydantic's as it stands in a recipe: behind `target` and `method` it puts the branch's tag."""
    last = len(path) - 1
    return [
        str(step)
        for index, step in enumerate(path)
        if not (0 < index < last and step in _TAGS.get(path[index - 1], ()))
    ]
