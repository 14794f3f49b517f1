"""The only file that makes ONNX Runtime sessions: options and providers in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from engine.errors import DeviceUnavailable, ModelUnreadable
from engine.execution.weights_apart import weights_apart
from engine.graph.model import Model

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_ERRORS_ONLY = 3

onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
onnxruntime.disable_telemetry_events()


def open_session(
    model: Model, *, provider: str = "cpu", threads: int = 1, spinning: bool = True
) -> onnxruntime.InferenceSession:
    """Open a session with all graph optimisations on.

    `spinning` lets idle threads watch for work, as the runtime does by itself: right for what is timed, while sessions
    that run beside others take the cores from each other by it.

    Raises DeviceUnavailable where the provider is not on this machine, ModelUnreadable where the graph is refused.
    """
    _require(provider, onnxruntime.get_available_providers())
    if provider == "cuda":
        onnxruntime.preload_dlls()  # finds the CUDA libraries that come with torch's wheel
    try:
        graph, weights = weights_apart(model)
        options = _options(threads, spinning)
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
        session = onnxruntime.InferenceSession(graph, options, providers=[PROVIDERS[provider]])
    except Exception as error:  # the runtime's errors share no public base class
        raise ModelUnreadable(f"ONNX Runtime refuses the network: {_first_line(error)}") from error
    _require(provider, session.get_providers())  # a provider that fails to start falls back without an error
    return session


def run(session: onnxruntime.InferenceSession, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Run once and return the outputs by name."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def has_cuda() -> bool:
    """Tell whether this build of the runtime can use an NVIDIA GPU; whether there is one, the driver says."""
    return PROVIDERS["cuda"] in onnxruntime.get_available_providers()


def _options(threads: int, spinning: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    return options


def _require(provider: str, available: Sequence[str]) -> None:
    if PROVIDERS[provider] not in available:
        message = f"ONNX Runtime has no {PROVIDERS[provider]} here; it has {', '.join(available)}."
        raise DeviceUnavailable(f'{message} Ask for deploy.provider "cpu", or install onnxruntime-gpu and its driver.')


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:500]
