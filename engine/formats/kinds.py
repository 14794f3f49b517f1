"""What a file is, told by its contents and never by its name. Opens no format: it looks at the first bytes and, of a
zip archive, at the names inside."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ModelUnreadable
from engine.formats import archives

HEAD_BYTES = 512
LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickled number with which torch.save began a file before it wrote zip archives."""

_EXPORT = "Export the network with torch.onnx.export and upload that file."
_SAVE_STATE = (
    "Save its weights with torch.save(model.state_dict(), 'weights.pth'), or export it with torch.onnx.export."
)


@dataclass(frozen=True)
class Sample:
    """What recognising a file takes: its size, its first bytes, and the names inside if it is a zip archive."""

    size_bytes: int
    head: bytes
    members: tuple[str, ...] = ()

    def has_member(self, ending: str) -> bool:
        return any(name == ending or name.endswith("/" + ending) for name in self.members)


def sample(path: Path) -> Sample:
    """Look at the beginning of a file. Raises ModelUnreadable where there is none, ModelUnsafe at a vast archive."""
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        members = _names_inside(path) if head.startswith(b"PK") else ()
    except OSError as error:
        raise ModelUnreadable(f"The file cannot be read: {error.strerror}.", where=path.name) from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError, RecursionError) as error:
        raise ModelUnreadable(
            f"The file begins as a zip archive but cannot be read as one ({error}): it is truncated, or packed in an "
            "unusual way. Upload the whole file.",
            where=path.name,
        ) from error
    if not head:
        raise ModelUnreadable("The file is empty. Upload it again.", where=path.name)
    return Sample(size_bytes, head, members)


def _names_inside(path: Path) -> tuple[str, ...]:
    with archives.opened(path) as archive:
        return tuple(archive.namelist())


def is_onnx_zip(found: Sample) -> bool:
    return any(name.lower().endswith(".onnx") for name in found.members)


def is_exported_program(found: Sample) -> bool:
    return found.has_member("archive_format") or found.has_member("serialized_exported_program.json")


def is_torch_state(found: Sample) -> bool:
    in_zip = found.has_member("data.pkl") and not found.has_member("constants.pkl")
    return in_zip or found.head.startswith(LEGACY_TORCH)


def is_safetensors(found: Sample) -> bool:
    header_bytes = int.from_bytes(found.head[:8], "little")
    return found.head[8:9] == b"{" and header_bytes + 8 <= found.size_bytes


def is_onnx(found: Sample) -> bool:
    """ONNX files have no mark of their own: whatever is nothing else may be one, and its loader says if it is not."""
    return what_else(found) is None


def what_else(found: Sample) -> str | None:
    """Name the kind of a file that is not taken, and what to do instead; None where it is no kind that we know."""
    return next((f"{kind}. {advice}" for fits, kind, advice in _OTHERS if fits(found)), None)


def _begins(*marks: bytes) -> Callable[[Sample], bool]:
    return lambda found: found.head.startswith(marks)


def _holds(*names: str) -> Callable[[Sample], bool]:
    return lambda found: any(found.has_member(name) for name in names)


def _is_text(found: Sample) -> bool:
    return all(byte >= 32 or byte in b"\t\n\r\f" for byte in found.head[:256])


_OTHERS: tuple[tuple[Callable[[Sample], bool], str, str], ...] = (
    (_holds("constants.pkl"), "a TorchScript archive, which holds code", _EXPORT),
    (_holds("saved_model.pb"), "a TensorFlow SavedModel", "Convert it with tf2onnx and upload the .onnx file."),
    (
        _holds("model.weights.h5", "config.json"),
        "a Keras archive",
        "Export the network with model.export(path, format='onnx').",
    ),
    (
        lambda found: any(name.endswith(".npy") for name in found.members),
        "a NumPy archive, perhaps the images of a calibration set",
        _EXPORT,
    ),
    (_begins(b"PK"), "a zip archive without a network in it", "Upload the model itself, or a zip with one .onnx file."),
    (_begins(b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), "a Python pickle, which can hold code", _SAVE_STATE),
    (_begins(b"\x89HDF"), "an HDF5 file, perhaps Keras weights", _EXPORT),
    (_begins(b"\x1f\x8b"), "a gzip archive", "Unpack it and upload what is inside."),
    (_begins(b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ"), "a packed archive", "Unpack it and upload what is inside."),
    (_begins(b"GGUF"), "a GGUF file of a language model", "Vision networks are taken; " + _EXPORT.lower()),
    (lambda found: found.head[4:8] == b"TFL3", "a TensorFlow Lite file", "Convert it with tf2onnx."),
    (_begins(b"ftrt", b"ptrt"), "a TensorRT engine, made for one GPU", "Upload the ONNX file that it was built from."),
    (_begins(b"\x93NUMPY"), "a NumPy array", _EXPORT),
    (_begins(b"\x89PNG", b"\xff\xd8\xff", b"GIF8"), "a picture", "Upload the network; pictures go in a dataset."),
    (
        _begins(b"version https://git-lfs"),
        "a Git LFS pointer in place of the file itself",
        "Run `git lfs pull` and upload the file.",
    ),
    (_begins(b"<"), "a text file, perhaps a web page saved in place of a download", "Download the file again."),
    (_begins(b"{", b"["), "a JSON file", _EXPORT),
    (_is_text, "a text file", _EXPORT),
)
