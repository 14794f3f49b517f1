"""The doctor's trial: `python -m benchmarks.doctor --data DIR`.

For each network and seed: healthy sets, and sets with one of eight harms done on purpose. Bounds were chosen on the
half `tune` of networks, images and seeds; the figures that count are those of the half `report`. One JSON line a set
on standard output, a table at the end, kept with commit and machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmarks.doctor.harms import HARMS, Bed, Draft, healthy
from benchmarks.doctor.patients import PATIENTS, Half, Patient
from benchmarks.doctor.table import table
from benchmarks.record import keep, machine
from engine.diagnosis import Ailment
from engine.doctor.diagnose import examine
from engine.graph.model import Model
from engine.recipe import Recipe

HEALTHY_EACH = 4
"""Healthy sets for each seed, so that false alarms are counted over about as many sets as harms."""


def main() -> None:
    options = _parser().parse_args()
    here = machine()
    rows = [json.loads(line) for file in options.rows for line in file.read_text().splitlines() if line[:1] == "{"]
    for half in options.halves:
        patients = [patient for patient in PATIENTS if patient.half == half]
        chosen = [patient for patient in patients if patient.name in (options.networks or patient.name)]
        networks = {patient.name: patient.network(options.data) for patient in chosen}
        for number in range(options.seeds):
            for patient in chosen:
                rows += _trial(networks[patient.name], patient, half, number, options)
    text = f"{table(rows)}\n\n{options.images} images a set, of large ones half as many. {here.sentence()}"
    print(text)
    keep(options.name, here, rows, text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.doctor", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of networks and pictures")
    parser.add_argument("--halves", nargs="+", choices=get_args(Half), default=list(get_args(Half)))
    parser.add_argument("--networks", nargs="+", choices=[patient.name for patient in PATIENTS])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--images", type=int, default=128, help="of a set; of large ones half as many")
    parser.add_argument("--rows", nargs="*", type=Path, default=[], help="JSON lines of earlier runs, to be added")
    parser.add_argument("--name", default="doctor", help="of the files that the results are kept in")
    return parser


def _trial(
    network: Model, patient: Patient, half: Half, number: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Have the doctor see one set of each harm and the healthy ones, all from one seed."""
    rows = []
    count = options.images // (2 if patient.sees_photographs else 1)
    seed = number + (0 if half == "tune" else 1000)
    wanted: list[Ailment | None] = [*HARMS, *([None] * HEALTHY_EACH)]
    for place, harm in enumerate(wanted):
        draft = healthy(patient, options.data, half, count, seed + 10_000 * place)
        bed = Bed(options.data, half, np.random.default_rng([seed, place, zlib.crc32(patient.name.encode())]))
        ill = draft if harm is None else HARMS[harm](draft, bed)
        if ill is not None:
            rows.append(_row(network, patient, half, seed, harm, ill))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def _row(network: Model, patient: Patient, half: Half, seed: int, harm: Ailment | None, draft: Draft) -> dict[str, Any]:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "images.npz")
        if draft.labels is None:
            np.savez(path, images=draft.sent())
        else:
            np.savez(path, images=draft.sent(), labels=draft.labels)
        found = examine(network, path, Recipe(preprocess=draft.preprocess()))
    return {
        "half": half,
        "network": patient.name,
        "seed": seed,
        "harm": harm,
        "way": draft.way,
        "as": "floats" if draft.as_floats else "pixels",
        "found": [finding.ailment for finding in found.findings],
        "figures": {check.ailment: check.figures for check in found.checks},
        "seconds": round(time.perf_counter() - began, 2),
    }


if __name__ == "__main__":
    main()
