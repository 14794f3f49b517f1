"""What a file cannot be, told by its first bytes before they are stored. Opens nothing: the engine looks inside."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

from app.errors import Problem

Kind: TypeAlias = Literal["model", "dataset"]


class Mark(NamedTuple):
    """How a file begins that is no network."""

    begins: tuple[bytes, ...]
    what: str
    advice: str


_EXPORT: Final = "Export the network with torch.onnx.export and send that file."
_UNPACK: Final = "Unpack it and send what is inside."

NO_NETWORKS: Final = (
    Mark((b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM6"), "a picture", "Pictures go in a dataset."),
    Mark((b"%PDF-",), "a PDF document", _EXPORT),
    Mark((b"\x7fELF", b"#!"), "a program", _EXPORT),
    Mark((b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf", b"Rar!\x1a"), "a packed archive", _UNPACK),
    Mark((b"\x89HDF\r\n",), "an HDF5 file, perhaps Keras weights", _EXPORT),
    Mark((b"GGUF",), "a language model in GGUF", "Networks for images are taken. " + _EXPORT),
    Mark((b"\x93NUMPY",), "a NumPy array", "Arrays of images go in a dataset."),
    Mark((b"ftrt", b"ptrt"), "a TensorRT engine", "Send the ONNX file that it was built from."),
    Mark((b"version https://git-lfs",), "a pointer of Git LFS", "Run `git lfs pull` and send the file itself."),
    Mark((b"<!DOCTYPE", b"<!doctype", b"<html", b"<?xml"), "a web page", "Download the network itself."),
)
DATASETS: Final = (b"PK\x03\x04", b"\x93NUMPY")


def check_head(head: bytes, kind: str | None) -> None:
    """Refuse a file that is not of the kind that was declared, as far as its first bytes tell. Nothing: nothing.

    The head of a short part may be shorter than a mark; it is looked at again when the file is whole.
    """
    if kind == "model":
        _check_model(head)
    elif kind == "dataset" and head and not any(_agree(head, mark) for mark in DATASETS):
        found = f"The file begins with {head[:6]!r}: it is neither a .zip of pictures, nor an .npz, nor an .npy."
        raise _refused(found, "Pack the pictures with zip.", "dataset")


def _check_model(head: bytes) -> None:
    if head[8:9] == b"{":  # safetensors begin with eight bytes of a length, which may be anything
        return
    for mark in NO_NETWORKS:
        if head.startswith(mark.begins):
            raise _refused(f"The file is {mark.what}, not a network.", mark.advice, "model")


def _agree(head: bytes, mark: bytes) -> bool:
    length = min(len(head), len(mark))
    return head[:length] == mark[:length]


def _refused(found: str, advice: str, kind: str) -> Problem:
    return Problem("unsupported-format", f"{found} {advice}", kind=kind)
