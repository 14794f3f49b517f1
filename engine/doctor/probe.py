"""The network as the doctor asks it: how sure is it of these images?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.data.images import ImageSet, Inputs
from engine.data.sureness import Answer, of_distances, of_scores
from engine.doctor.norms import distance, find_norms
from engine.execution.runtime import open_session, run
from engine.graph.extract import extract
from engine.graph.features import find_features
from engine.graph.model import Model
from engine.measure.batches import input_batches, without_filling

BATCH: Final = 16
GROUP: Final = 8
"""Images whose statistics are compared with a batch norm's at a time: enough for a mean, and many groups in a set."""


class Probe:
    """Runs a network on one thread: it may stand beside a job that measures.

    A network that scores classes is asked for these; of another one the batch norms are asked, if there are any.
    """

    def __init__(self, plain: Model) -> None:
        """`plain` is normalised. Raises ModelError where it cannot be run, OperatorUnsupported without an output."""
        logits = find_features(plain).logits[:1]
        self._norms = () if logits else find_norms(plain)
        wanted = logits or tuple(dict.fromkeys(norm.reads for norm in self._norms))
        self.scores_classes, self.can_tell = bool(logits), bool(wanted)
        self._input, self._output = plain.inputs[0].name, logits[0] if logits else ""
        self._part = extract(plain, wanted) if wanted else plain
        self._session = open_session(self._part, spinning=False) if wanted else None

    def ask(self, inputs: Inputs) -> Answer:
        """Return what the network says of (count, …) inputs; only for one that can tell."""
        if self.scores_classes:
            found = [outputs[self._output] for outputs in self._run(inputs, BATCH)]
            return of_scores(np.concatenate(found).astype(np.float64))
        return of_distances(np.array([distance(self._norms, outputs) for outputs in self._run(inputs, GROUP)]))

    def _run(self, inputs: Inputs, batch: int) -> Iterator[dict[str, npt.NDArray[Any]]]:
        assert self._session is not None
        images = ImageSet(inputs, None, tuple(str(row) for row in range(len(inputs))))
        for fed, used in input_batches(self._part, images, batch):
            outputs = run(self._session, {self._input: np.ascontiguousarray(fed)})
            yield {name: without_filling(value, len(fed), used) for name, value in outputs.items()}
