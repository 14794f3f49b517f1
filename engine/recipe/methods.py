"""How to choose what goes: one of METHODS with its options, told by its name, each with its paper."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator
from pydantic_core import PydanticCustomError

from engine.recipe.strict import Finite, Number, Strict, Whole


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
    Discriminator(_method_kind, "method_form", 'A method is an object such as {"name": "auto"}.'),
]
