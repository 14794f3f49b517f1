"""What can go wrong in the engine, as a tree; each leaf has a stable code. Knows no torch and no HTTP.

EngineError
├── ModelError            the uploaded network
│   ├── ModelUnreadable       not a valid file of any format that is taken
│   ├── ModelUnsafe           refused before it is opened: external data, size, nesting
│   ├── OperatorUnsupported   an operator or domain that the engine does not run
│   └── NothingToCut          nothing that the method could take away
├── CalibrationError      the images
│   ├── CalibrationUnreadable not an image set: broken zip, no images, pickled array
│   │   └── CalibrationWrongType  an array of numbers that are neither pixels nor floating point
│   └── CalibrationMismatch   images that do not fit the network's input
├── RecipeError           what was asked
│   ├── RecipeInvalid         unknown key, wrong type, out of range
│   └── TargetInfeasible      asked for more than can be cut
├── DeviceUnavailable     the execution provider that was named is not on this machine
└── PostconditionFailed   a step of ours broke its promise: our fault, not the user's
"""

from __future__ import annotations


class EngineError(Exception):
    """Say what was found, where, and what to do about it.

    `message` is one or two sentences: what was found and what to do. `where` names the node, file or key, when known.
    """

    code = "engine-error"
    title = "The engine could not finish"
    retryable = False

    def __init__(self, message: str, *, where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where

    def as_dict(self) -> dict[str, object]:
        """Return the JSON form that the worker stores as a job's `error`."""
        return {
            "code": self.code,
            "title": self.title,
            "message": self.message,
            "where": self.where,
            "retryable": self.retryable,
        }


class ModelError(EngineError):
    code = "model-rejected"
    title = "The model cannot be used"


class ModelUnreadable(ModelError):
    code = "model-unreadable"
    title = "The file is not a readable model"


class ModelUnsafe(ModelError):
    code = "model-unsafe"
    title = "The file was refused before it was opened"


class OperatorUnsupported(ModelError):
    code = "operator-unsupported"
    title = "The model uses an operator that is not supported"


class NothingToCut(ModelError):
    code = "nothing-to-cut"
    title = "The model has no part that can be removed"


class CalibrationError(EngineError):
    code = "calibration-rejected"
    title = "The calibration images cannot be used"


class CalibrationUnreadable(CalibrationError):
    code = "calibration-unreadable"
    title = "The calibration set cannot be read"


class CalibrationWrongType(CalibrationUnreadable):
    code = "calibration-wrong-type"
    title = "The array is of a type that is not read"


class CalibrationMismatch(CalibrationError):
    code = "calibration-mismatch"
    title = "The images do not fit the model's input"


class RecipeError(EngineError):
    code = "recipe-rejected"
    title = "The recipe cannot be followed"


class RecipeInvalid(RecipeError):
    code = "recipe-invalid"
    title = "The recipe is not valid"


class TargetInfeasible(RecipeError):
    code = "target-infeasible"
    title = "The target cannot be reached"


class DeviceUnavailable(EngineError):
    code = "device-unavailable"
    title = "The device is not on this machine"


class PostconditionFailed(EngineError):
    code = "postcondition-failed"
    title = "A step of the engine broke its promise"
