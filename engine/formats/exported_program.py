"""Exported programs, .pt2, as torch.export.save writes them; old and new layouts hold pickles, which are never read.

torch does not get to see the upload: a new archive is written from what was understood of it, and torch reads that.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import torch

from engine.errors import ModelUnreadable, ModelUnsafe, OperatorUnsupported
from engine.formats.archives import Archive
from engine.formats.networks.conversion import convert_program
from engine.formats.networks.program_graph import checked_program, checked_sizes
from engine.graph.model import Model
from engine.recipe import Architecture

MOST_GRAPH_BYTES = 64 << 20

_GRAPH = "models/model.json"
_WEIGHTS, _CONSTANTS = "data/weights/", "data/constants/"
_WEIGHTS_TABLE, _CONSTANTS_TABLE = f"{_WEIGHTS}model_weights_config.json", f"{_CONSTANTS}model_constants_config.json"
_STATED = {
    "archive_format": b"pt2",
    "archive_version": b"0",
    "byteorder": b"little",
    ".data/version": b"3\n",
    "data/sample_inputs/model.pt": b"",  # a pickle in the upload; it has to be there, and may be empty
}


def load(path: Path, architecture: Architecture | None = None) -> Model:
    """Read an exported program and turn it into ONNX; it is its own architecture.

    Raises ModelUnreadable, ModelUnsafe or OperatorUnsupported.
    """
    try:
        program = torch.export.load(io.BytesIO(_rewritten(path)))
    except (ModelUnreadable, ModelUnsafe, OperatorUnsupported):
        raise
    except Exception as error:  # its reader is not made for damaged files
        raise ModelUnreadable(
            f"torch {torch.__version__} cannot read the exported program: {str(error)[:300]}. "
            "Save it with this version, or export it with torch.onnx.export.",
            where=path.name,
        ) from error
    return convert_program(program)


def _root(archive: Archive) -> str:
    """Return the folder that all members are in. Raises ModelUnreadable for what is no program of today's layout."""
    root = next(
        (name.removesuffix("archive_format") for name in archive.names if name.endswith("archive_format")), None
    )
    if root is None or root + _GRAPH not in archive.names:
        raise ModelUnreadable(
            "The archive holds no exported program in the layout that torch 2.9 and later write (it may be compiled "
            "code, or older). Save it again with torch.export.save, or export it with torch.onnx.export."
        )
    return root


def _rewritten(path: Path) -> bytes:
    """Return the archive written anew: its graph as checked, its weights as plain numbers, and nothing else."""
    with Archive(path) as archive:
        archive.require_stored()
        return _copied(archive, _root(archive))


def _copied(archive: Archive, root: str) -> bytes:
    buffer = io.BytesIO()
    if archive.size_bytes(root + _GRAPH) > MOST_GRAPH_BYTES:
        raise ModelUnsafe(f"The program's graph has more than {MOST_GRAPH_BYTES} bytes.")
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as written:
        for name, content in _STATED.items():
            written.writestr(f"program/{name}", content)
        written.writestr(f"program/{_GRAPH}", checked_program(archive.read(root + _GRAPH)))
        for table, folder in ((_WEIGHTS_TABLE, _WEIGHTS), (_CONSTANTS_TABLE, _CONSTANTS)):
            entries = _tensors(archive, root, table, folder)
            written.writestr(f"program/{table}", json.dumps({"config": entries}))
            for name in sorted({entry["path_name"] for entry in entries.values()}):
                written.writestr(f"program/{folder}{name}", archive.read(f"{root}{folder}{name}"))
    return buffer.getvalue()


def _tensors(archive: Archive, root: str, table: str, folder: str) -> dict[str, dict[str, Any]]:
    """Return the table of stored tensors, each one held against the bytes that it names."""
    if root + table not in archive.names:
        raise ModelUnreadable(f"The program has no {table}. Save it again with torch.export.save.", where=table)
    try:
        config = json.loads(archive.read(root + table))["config"]
        return {str(name): _tensor(archive, root + folder, str(name), entry) for name, entry in config.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelUnreadable(f"The program's {table} is damaged: {error!r}. Save it again.", where=table) from error


def _tensor(archive: Archive, folder: str, name: str, entry: dict[str, Any]) -> dict[str, Any]:
    file, meta = entry["path_name"], entry["tensor_meta"]
    if entry["use_pickle"] or meta is None or not str(file).startswith(("weight_", "tensor_")):
        raise ModelUnsafe(
            f"'{name}' is stored as a pickle, and reading that could run code. Keep plain tensors in the network, "
            "or export it with torch.onnx.export.",
            where=name,
        )
    if folder + file not in archive.names:
        raise ModelUnreadable(f"The bytes of '{name}' are missing from the file. Save it again.", where=name)
    sizes, strides = checked_sizes(meta["sizes"], name), checked_sizes(meta["strides"], name)
    if math.prod(sizes) > archive.size_bytes(folder + file):
        raise ModelUnsafe(f"'{name}' announces the sizes {sizes}, far more than its bytes hold.", where=name)
    (offset,) = checked_sizes([meta["storage_offset"]], name)
    return {
        "path_name": file,
        "is_param": bool(entry["is_param"]),
        "use_pickle": False,
        "tensor_meta": {
            "dtype": int(meta["dtype"]),
            "sizes": [{"as_int": size} for size in sizes],
            "requires_grad": False,
            "device": {"type": "cpu", "index": None},
            "strides": [{"as_int": stride} for stride in strides],
            "storage_offset": {"as_int": offset},
            "layout": int(meta["layout"]),
        },
    }
