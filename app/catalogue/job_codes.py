"""What the codes mean that a job's error alone can have, and what to do: those of a worker, and those of the engine.

Statuses and titles are where the codes are: `core.problems` and `engine.errors`.
"""

from __future__ import annotations

from typing import Final

EXPLANATIONS: Final[dict[str, str]] = {
    # What a worker says.
    "poison": "The process that ran the job died each time that it was tried, so it is not tried again. The job's log "
    "has its last words; a smaller batch or another method may get through.",
    "job-timeout": "The job had not ended a while after its budget, and was stopped. Give it a larger budget_seconds, "
    "or a smaller network.",
    "disk-limit": "The job wrote more to the worker's disk than it may. Ask for fewer networks at once (pareto) or "
    "send fewer images, or ask the operator for more (SECATEUR_JOB_DISK_BYTES).",
    "out-of-memory": "The job needed more memory than it may have, or than the GPU has left. Lower deploy.batch, or "
    "ask the operator for more (SECATEUR_JOB_MEMORY_BYTES).",
    "worker-lost": "The workers that ran the job stopped or vanished, more often than is put up with. Submit it "
    "again; if it ends so again, tell the operator.",
    "device-unavailable": "No worker serves what deploy.provider asks for, or its machine lacks it. Choose the other "
    "provider, or submit the job again when such a worker runs.",
    "deadline-passed": "No worker was free to begin the job by its deadline. Submit it again with a later deadline or "
    "a higher priority.",
    "expired": "The job waited for as many days as ended jobs are kept, and nobody began it. Submit it again.",
    # What the engine says of the network.
    "engine-error": "The engine could not finish, for the reason in the detail.",
    "model-unreadable": "The file is damaged or of no format that is taken. Export the network again, as ONNX where "
    "that is possible, and check it with onnx.checker.",
    "model-unsafe": "The file refers to files outside of it, is too large, or nests too deep, and was not opened. "
    "Save the network with its weights inside, or beside it in one zip.",
    "operator-unsupported": "The network has an operator or a domain that the engine does not run; where names the "
    "node. Export it without, from standard ONNX operators; docs/operators.md lists them.",
    "nothing-to-cut": "The network has no part that the chosen method can take away. Ask for the method auto, or send "
    "a network with residual blocks or wide layers; GET /v1/models/{id}/analysis shows what stands in the way.",
    # Of the images.
    "calibration-rejected": "The images cannot be used, for the reason in the detail.",
    "calibration-unreadable": "The set is damaged or has no images in it. Send a .zip of pictures, or an array as "
    ".npz or .npy that needs no pickle.",
    "calibration-wrong-type": "The array holds numbers that are neither pixels (uint8) nor floating point. Convert it "
    "to one of them.",
    "calibration-mismatch": "The images, prepared as the recipe says, do not have the shape of the network's input. "
    "Set preprocess to what the network was trained with; secateur doctor tells what is amiss.",
    # Of the recipe.
    "recipe-rejected": "The recipe cannot be followed on this network, for the reason in the detail.",
    "recipe-invalid": "The recipe has a key that is not known, a value out of its range, or one that does not fit the "
    "network; where names it. GET /docs shows the recipe.",
    "target-infeasible": "More was asked than can be cut, even with every part gone that can go. Ask for no more than "
    "the furthest that the detail names, or let the method cut channels, too.",
    # Of itself.
    "postcondition-failed": "The engine found that a step of its own had broken its promise, and delivered nothing "
    "rather than a wrong network. It is a fault of ours: tell the operator the job's id.",
}
