"""SSS: what a gate was trained to be without goes first, blocks and channels alike.

Huang and Wang, "Data-Driven Sparse Structure Selection for Deep Neural Networks", ECCV 2018. arXiv:1707.01213
The paper trains weights and gates together, from nothing, on a full training set. Here only the gates are trained, on a
network that is trained already, by its labels or by its own answers: few images would spoil its weights. Each group's
harm is measured; a block's measured harm counts as much as its gate is open.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional

from engine.data.images import ImageSet
from engine.graph.features import find_features
from engine.labels.lessons import refusal, scores_of, unnormalised
from engine.methods import practise
from engine.pricing.gates import Answer, Say, find_gates, learn_gates
from engine.pricing.method import Method, Rank
from engine.pricing.study import Study
from engine.progress import Tell
from engine.recipe import Sss
from engine.recovery.schedule import portion
from engine.recovery.student import loss

Array = npt.NDArray[np.float64]

BATCH = 64
SECONDS_SHARE = 0.15
"""The part of the budget that training the gates may take."""


def order(gates: Array) -> list[int]:
    """Return all channels in the order in which they go: the least open gate first."""
    return [int(channel) for channel in np.argsort(gates, kind="stable")]


def _harm(study: Study, tell: Tell) -> dict[str, float]:
    tell(0.0, "training gates")
    gates = _gates(study)
    measured = practise.harm(study, tell)
    openness = {name: min(float(gates[name][0]), 1.0) if name in gates else 1.0 for name in measured}
    return {name: harm * openness[name] for name, harm in measured.items()}


def _ranking(study: Study) -> Rank:
    gates = _gates(study)
    return lambda of_group: order(gates.get(of_group.group.name, np.ones(of_group.group.size)))


def _notes(study: Study) -> tuple[str, ...]:
    if "gates" not in study.worked_out:
        return ()  # an earlier attempt trained them
    gates, blocks = _gates(study), {unit.name for unit in study.units}
    channels = np.concatenate([np.zeros(0), *(values for name, values in gates.items() if name not in blocks)])
    shut = sum(float(values[0]) == 0 for name, values in gates.items() if name in blocks)
    by = "labels" if _learns_from_labels(study) else "the uncut network's answers"
    return (
        f"Trained by {by}, {int((channels == 0).sum())} of {len(channels)} channels' gates and {shut} of "
        f"{len(blocks & gates.keys())} blocks' are shut.",
    )


def _gates(study: Study) -> dict[str, Array]:
    """Train the gates once for all that is asked about them."""
    if "gates" not in study.worked_out:
        study.worked_out["gates"] = _learn(study)
    gates: dict[str, Array] = study.worked_out["gates"]
    return gates


def _learn(study: Study) -> dict[str, Array]:
    subject = study.subject
    assert subject is not None
    options = subject.recipe.method
    assert isinstance(options, Sss)
    images, answer, fetch = _lesson(study)
    return learn_gates(
        study.model,
        find_gates(study.model, study.units),
        images.inputs,
        answer,
        fetch=fetch,
        device=subject.device,
        steps=options.steps,
        batch=min(BATCH, portion(study.model, BATCH)),
        gamma=options.gamma,
        seed=study.seed,
        seconds=SECONDS_SHARE * subject.recipe.budget_seconds,
    )


def _learns_from_labels(study: Study) -> bool:
    return study.subject is not None and refusal(study.subject, study.model) is None


def _lesson(study: Study) -> tuple[ImageSet, Answer, list[str]]:
    """Return the images, the loss, and the values that it looks at: by labels where there are any."""
    labelled = None if study.subject is None else study.subject.labelled
    if _learns_from_labels(study) and labelled is not None and labelled.labels is not None:
        output = scores_of(study.model)
        assert output is not None
        scores, labels = unnormalised(output), labelled.labels

        def by_labels(rows: Tensor, say: Say, gates: Tensor) -> Tensor:
            said = say(gates)[scores]
            right = said.new_tensor(labels[rows.numpy()], dtype=rows.dtype)
            return functional.cross_entropy(said.float(), right)

        return labelled, by_labels, [scores]
    features = find_features(study.model)

    def by_answers(rows: Tensor, say: Say, gates: Tensor) -> Tensor:
        return loss(features, say(gates), say(None))

    return study.repair, by_answers, list(dict.fromkeys([*features.values, *features.logits]))


METHOD = Method(harm=_harm, ranking=_ranking, notes=_notes)
