"""What came of it: measured numbers with their intervals, what was cut and why. Torch-free: anyone can read it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from engine.recipe import ControlName, LatencyTable, Pattern, Recipe, Strict


class Outcome(StrEnum):
    TARGET_MET = "target_met"
    TARGET_MISSED_BEST_EFFORT = "target_missed_best_effort"
    NO_GAIN = "no_gain"


class Interval(Strict):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


class Bounds(Strict):
    """The 95 % interval of a value that is told beside it."""

    low: float
    high: float


class Latency(Strict):
    """Milliseconds of one run at the recipe's batch and threads, over `samples` timed runs."""

    latency_ms_p50: float
    latency_ms_p95: float
    samples: int


class LatencyComparison(Strict):
    """Both networks timed in turn, A B A B. `ratio` is delivered over original, with its bootstrap interval.

    With the outcome `no_gain` it is what was measured of the cut network, which therefore was not delivered.

    `clock` says by which clock: the wall's, or that of the one thread that runs, which other programs cannot slow down.
    """

    original: Latency
    delivered: Latency
    ratio: Interval
    clock: Literal["wall", "thread"] = "wall"


class Cost(Strict):
    """Size of one network. `uncounted` names the operators whose multiply-accumulates were not counted."""

    parameters: int
    macs: int
    size_bytes: int
    uncounted: tuple[str, ...] = ()


class Accuracy(Strict):
    """Top-1 on labelled images that neither choice nor repair has seen. Intervals are Wilson's, 0 to 1."""

    original: Interval
    delivered: Interval
    images: int


class OutputFidelity(Strict):
    """One output of the network, delivered against original, on held-out images.

    `relative_error` is that of all images together, `cosine` the mean over them; both are None where no two answers had
    the same shape. `match`, of whole numbers such as labels and masks, is the share of equal ones. `agreement`, of
    class scores, is how often the same class is on top. Intervals are drawn over the images, and None where there is
    one image alone, or where an output does not keep its images apart. `incomparable_images` had answers of one shape
    by the one network and of another by the other: fewer detections, say.
    """

    output: str
    relative_error: float | None
    cosine: float | None
    relative_error_95: Bounds | None = None
    cosine_95: Bounds | None = None
    match: float | None = None
    match_95: Bounds | None = None
    agreement: Interval | None = None
    incomparable_images: int = 0


class Fidelity(Strict):
    """How far the cut network still says what the original said, on images that nothing else has seen.

    `agreement` and `kl_divergence` are of the first output that is class scores, None where none is.
    """

    images: int
    agreement: Interval | None
    kl_divergence: float | None
    outputs: tuple[OutputFidelity, ...]
    accuracy: Accuracy | None = None


class CheckFigure(Strict):
    """One figure of the check that made images have to pass, with its bounds; None: not bounded on that side."""

    name: str
    value: float
    low: float | None
    high: float | None
    passed: bool


class DataUse(Strict):
    """Which images did what.

    `rung` of the data ladder: 0 real images; beside or instead of them 1 procedural ones, 2 ones inverted from the
    network's statistics, 3 ones inverted from augmentation priors. `synthesis` is the way in which they were made, and
    `check` says whether they may stand in for real ones; both are empty where none are used. An image that is seen
    repeatedly counts once; `made_images` are those among repair and selection that nobody sent.
    """

    rung: int
    source: Literal["calibration", "mixed", "procedural", "inverted"]
    repair_images: int
    selection_images: int
    test_images: int
    made_images: int = 0
    synthesis: str | None = None
    check: tuple[CheckFigure, ...] = ()
    notes: tuple[str, ...] = ()


class UnitDecision(Strict):
    """One removable unit: what it costs, what its loss would cost, and what became of it.

    `recoverability` is the relative error left in the features after repair, lower is better; `latency_share` is its
    part of the original's latency; `score` is their quotient, None where the share is not surely above zero.
    """

    name: str
    nodes: tuple[str, ...]
    recoverability: float | None
    latency_share: Interval | None
    score: float | None
    decision: Literal["cut", "kept"]
    reason: str


class GroupDecision(Strict):
    """One group of channels: how many stay of its `channels`, and what the loss of the others costs and saves.

    Figures are those of the width that was chosen, or of the first step down where all stay; None where none was
    weighed.
    """

    name: str
    channels: int
    kept: int
    recoverability: float | None
    latency_share: Interval | None
    reason: str

    @property
    def is_narrowed(self) -> bool:
        """Whether any of its channels go."""
        return self.kept < self.channels


class Stage(Strict):
    name: str
    seconds: float


StoppedBy = Literal["early_stop", "budget", "schedule", "folds"]


class Recovery(Strict):
    """How the repair went: held-out feature error before any repair, after the closed form and at the best step.

    `steps` were taken of `steps_planned`, unless something stopped them; folds are parts of few images, each held out
    from a training of its own, which told where to stop.
    """

    error_plain: float
    error_closed_form: float
    error_final: float
    steps: int
    steps_planned: int | None = None
    best_step: int
    stopped_by: StoppedBy


class CandidateReport(Strict):
    """One network of a front, measured like the delivered one; `file` is its name among the job's artifacts.

    `is_model` marks the one that is delivered as the model, too. `units` are those that were cut, `narrowed` the groups
    that lost channels, with the widths that are left of them.
    """

    file: str
    is_model: bool
    units: tuple[str, ...]
    narrowed: tuple[str, ...] = ()
    latency: LatencyComparison
    predicted_latency_ratio: float | None
    cost: Cost
    fidelity: Fidelity | None
    recovery: Recovery
    sha256: str


class DroppedCandidate(Strict):
    """One that was made and is not on the front; `error` is its held-out feature error."""

    units: tuple[str, ...]
    narrowed: tuple[str, ...] = ()
    latency_ratio: Interval
    error: float
    reason: str


class OutputFile(Strict):
    """The delivered network once more in fewer bits, checked, timed and compared as the network itself is.

    `latency` and `fidelity` are against the original, `ratio_to_fp32` is the time over that of `model.onnx`, in
    turn. `how` says in what numbers it calculates, `notes` what to know before it is used. `file` is its name among the
    job's artifacts.
    """

    kind: Literal["fp16", "int8"]
    file: str
    how: str
    latency: LatencyComparison
    ratio_to_fp32: Interval
    fidelity: Fidelity | None
    size_bytes: int
    sha256: str
    notes: tuple[str, ...] = ()


class MissingOutput(Strict):
    """A file that was asked for and could not be made."""

    kind: Literal["fp16", "int8"]
    reason: str


class Zeros(Strict):
    """What zeros among the weights are good for: a file of the same size that compresses better, and nothing else.

    Bytes are those of both files under zlib; `ratio_to_dense` is the time with the zeros over that of the same network
    without them. `zeros` are those among `weights`, which biases and depthwise layers are not counted among.
    """

    pattern: Pattern
    zeros: int
    weights: int
    original_compressed_bytes: int
    delivered_compressed_bytes: int
    ratio_to_dense: Interval
    meaning: str


class ControlReport(Strict):
    """The architecture that was found, trained from random weights: what the weights that it inherited are worth.

    `accuracy` is the control's on the test images, `inherited_accuracy` that of the network with its own weights, and
    `difference` the second less the first, counted over the same images. All are None where nothing could be trained;
    `meaning` says why, else what the figures mean. `images` were learnt from, in `epochs` rounds of `epochs_planned`.
    """

    name: ControlName
    accuracy: Interval | None = None
    inherited_accuracy: Interval | None = None
    difference: Interval | None = None
    images: int = 0
    test_images: int = 0
    epochs: float = 0.0
    epochs_planned: int | None = None
    seconds: float = 0.0
    stopped_by: StoppedBy | None = None
    meaning: str


class Environment(Strict):
    """The machine and software that the figures were measured on."""

    processor: str
    cores: int
    accelerator: str | None
    provider: str
    threads: int
    batch: int
    runtime: str
    platform: str


class Report(Strict):
    """The whole account of one job. `unruled` are nodes whose operator no rule knows: no channel beside them can go.

    Of a front, `candidates` are all that were delivered, the slowest first, and the rest of the report is about the one
    that was delivered as the model. `outputs` are further files of that one, where the recipe asks for them.
    """

    format_version: Literal[1] = 1
    outcome: Outcome
    summary: str
    recipe: Recipe
    latency: LatencyComparison
    predicted_latency_ratio: float | None
    latency_table: LatencyTable | None = None
    original: Cost
    delivered: Cost
    fidelity: Fidelity | None
    data: DataUse
    units: tuple[UnitDecision, ...]
    groups: tuple[GroupDecision, ...] = ()
    unruled: tuple[str, ...] = ()
    recovery: Recovery | None
    candidates: tuple[CandidateReport, ...] = ()
    dropped: tuple[DroppedCandidate, ...] = ()
    outputs: tuple[OutputFile, ...] = ()
    missing_outputs: tuple[MissingOutput, ...] = ()
    controls: tuple[ControlReport, ...] = ()
    zeros: Zeros | None = None
    stages: tuple[Stage, ...]
    environment: Environment
    warnings: tuple[str, ...] = ()
    sha256: str
