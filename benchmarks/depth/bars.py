"""What must be shown: each bar with what was found, and whether that meets it. What was not run, or against a
peer that did less than published, is open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from benchmarks.depth.cells import MISSED_BY, Cell, Key, duel
from benchmarks.trained.memory import Row

Found = Mapping[Key, Cell]

POINTS_LOST = {
    ("cifar10-resnet56", 500, 0.7): 0.5,
    ("cifar10-resnet56", 50, 0.7): 1.5,
    ("cifar10-resnet56", 0, 0.7): 3.0,
    ("cifar10-resnet56", 500, 0.5): 2.0,
    ("imagenet-efficientnet-lite0", 500, 0.8): 2.5,
}
"""Network, images, asked ratio -> how many points of top-1 may be lost, on the mean of all seeds."""

JOB_SECONDS = {"cifar10-resnet56": 300, "imagenet-efficientnet-lite0": 1200}
SCORE_SECONDS = {"cifar10-resnet56": 60}
"""On two cores."""

DUELS = {"practise": ((0.8, 0.7, 0.6), (50, 500)), "l1-filters": ((0.8, 0.7, 0.6), (50, 500))}
PART_OF_COMPUTE = 0.25
WON_BACK = 0.7
STRANGE_POINTS = {"foreign": 2.0, "imbalanced": 1.0}
FRONT_SIZE, FRONT_TIME = 8, 2.0
WITHIN = 0.95
STEPS_SAVED = 0.4


class Line(NamedTuple):
    """`met` is None where nothing was run that could tell."""

    what: str
    bar: str
    found: str
    met: bool | None

    def texts(self) -> list[str]:
        verdict = "open" if self.met is None else "met" if self.met else "**missed**"
        return [self.what, self.bar, self.found, verdict]


def bars(rows: Sequence[Row], found: Found) -> list[Line]:
    """Return one line a bar."""
    good = [row for row in rows if not row.get("error")]
    jobs = [row for row in good if row["kind"] == "job"]
    of_cells = [*_points_lost(found), *_times(jobs), *_duels(found), *_won_back(found), *_strange(found)]
    return [*of_cells, *_fronts(good, found), *_contract(jobs), *_steps_saved(jobs), *_again(good)]


def _points_lost(found: Found) -> Iterator[Line]:
    for (model, images, ratio), most in POINTS_LOST.items():
        cell = found.get((model, "job", images, ratio))
        what, bar = f"{model}, {images} images, {ratio:g}", f"at most {most:g} points lost"
        if cell is None or not cell.rows:
            yield Line(what, bar, "", None)
        else:
            lost = -cell.points().value
            text = (
                f"{round(lost, 2) + 0.0:.2f} lost at {cell.mean('measured_ratio'):.3f}, mean of {len(cell.rows)} seeds"
            )
            yield Line(what, bar, text, lost <= most and cell.is_reached)


def _times(jobs: Sequence[Row]) -> Iterator[Line]:
    for model, most in JOB_SECONDS.items():
        took = [row["job_seconds"] for row in jobs if row["model"] == model and row["cores"] >= 2]
        yield _at_most(f"{model}: longest job on two cores", most, took, "s")
    for model, most in SCORE_SECONDS.items():
        chosen = [row for row in jobs if row["model"] == model and row["images"] == 500 and row["cores"] >= 2]
        took = [row["stages"]["score"] for row in chosen]
        yield _at_most(f"{model}: all units scored with 500 images, longest on two cores", most, took, "s")


def _at_most(what: str, most: float, values: Sequence[float], unit: str) -> Line:
    bar = f"at most {most:g} {unit}"
    return Line(what, bar, f"{max(values):.1f} {unit}", max(values) <= most) if values else Line(what, bar, "", None)


def _duels(found: Found) -> Iterator[Line]:
    """A cell that the peer can do and that our job refused is lost."""
    for kind, (ratios, images) in DUELS.items():
        pairs = [
            (found[model, "job", count, ratio], peer)
            for (model, which, count, ratio), peer in found.items()
            if which == kind and ratio in ratios and count in images and (model, "job", count, ratio) in found
        ]
        fought = [each for each in (duel(*pair) for pair in pairs) if each is not None]
        refused = sum(bool(peer.rows) and not ours.rows for ours, peer in pairs)
        total, won = len(fought) + refused, sum(each.is_won for each in fought)
        yield _won(kind, won, total, sum(bool(each.peer.shortened) for each in fought))
        parts = [each.ours.mean("cpu_seconds") / each.peer.mean("cpu_seconds_published") for each in fought]
        if kind == "practise":
            yield _at_most(
                "part of PRACTISE's processor time at its published steps, worst cell", PART_OF_COMPUTE, parts, "of it"
            )


def _won(kind: str, won: int, total: int, shortened: int) -> Line:
    """Who is better than a peer that did less than published has not shown to be better than the published one."""
    beside = f", {shortened} of {total} cells against a shortened one" if shortened else ""
    met = None if won == total and (shortened or not total) else won == total
    return Line(f"better mean than {kind} in every cell", "all", f"{won} of {total}{beside}", met)


def _won_back(found: Found) -> Iterator[Line]:
    shares = {key[0]: cell.share_won_back() for key, cell in found.items() if key[1] == "recovered" and cell.rows}
    bar = f"at least {WON_BACK:.0%}"
    for model, share in shares.items():
        yield Line(f"{model}: won back without images, of what 50 win back", bar, f"{share:.0%}", share >= WON_BACK)
    if not shares:
        yield Line("won back without images, of what 50 win back", bar, "", None)


def _strange(found: Found) -> Iterator[Line]:
    for kind, most in STRANGE_POINTS.items():
        bar, any_run = f"at most {most:g} points lost", False
        for (model, which, images, ratio), cell in found.items():
            usual = found.get((model, "job", images, ratio))
            fought = duel(cell, usual) if which == kind and usual else None
            if fought is not None:
                any_run, lost = True, -fought.difference.value
                what, text = f"{model}: 500 {kind} images against usual ones", f"{lost:.2f}"
                text += "" if cell.is_reached else ", and the ratio was not reached"
                yield Line(what, bar, text, lost <= most and cell.is_reached)
        if not any_run:
            yield Line(f"500 {kind} images against usual ones", bar, "", None)


def _fronts(rows: Sequence[Row], found: Found) -> Iterator[Line]:
    """Hold each front's time against the mean job's of as many images, at the ratio that it stands for."""
    what, bar = "a front from one job", f"{FRONT_SIZE} networks, at most {FRONT_TIME:g} times a job"
    fronts = [row for row in rows if row["kind"] == "front"]
    for row in fronts:
        job = found.get((row["model"], "job", row["images"], row["latency_ratio"]))
        times = row["job_seconds"] / job.mean("job_seconds") if job and job.rows else float("inf")
        text = f"{len(row['front'])} networks, {times:.2f} times"
        met = len(row["front"]) >= FRONT_SIZE and times <= FRONT_TIME
        yield Line(f"{row['model']}: {what}", bar, text, met)
    if not fronts:
        yield Line(what, bar, "", None)


def _again(rows: Sequence[Row]) -> Iterator[Line]:
    """A job that its time ended is as far as the clock let it come, and its file no other's."""
    again = [row for row in rows if row["kind"] == "again"]
    files = [row for row in again if row["recovery"]["stopped_by"] != "budget"]
    for name, chosen in (("same_cuts", again), ("same_file", files)):
        same = sum(row[name] for row in chosen)
        what = f"the {name.replace('_', ' ')} from the same table and seed"
        what += " where no clock stopped the training" if chosen is files else ""
        yield Line(what, "all", f"{same} of {len(chosen)}", same == len(chosen) if chosen else None)


def _contract(jobs: Sequence[Row]) -> Iterator[Line]:
    """Judge the promise of latency by the measurement outside the job."""
    kept = [row for row in jobs if honest(row)]
    slower = [row for row in jobs if row["measured_ratio_low"] > 1]
    what, bar = "ratio within 2 % of the asked one or better, or said to be missed", f"{WITHIN:.0%} of the jobs"
    yield Line(what, bar, f"{len(kept)} of {len(jobs)}", len(kept) >= WITHIN * len(jobs) if jobs else None)
    yield Line("surely slower files delivered", "none", str(len(slower)), not slower if jobs else None)


def _steps_saved(jobs: Sequence[Row]) -> Iterator[Line]:
    """Hold the steps taken against the schedule's, where the clock did not end the training; the best step counts."""
    chosen = [row["recovery"] for row in jobs if row["recovery"]["stopped_by"] != "budget"]
    saved = 1 - sum(each["steps"] / each["steps_planned"] for each in chosen) / max(len(chosen), 1)
    text = f"{saved:.0%}, mean of {len(chosen)} of {len(jobs)} jobs" if chosen else ""
    what = "steps that the held-out stop saves where no clock stopped the training"
    yield Line(what, f"at least {STEPS_SAVED:.0%}", text, saved >= STEPS_SAVED if chosen else None)


def honest(row: Row) -> bool:
    """Say whether a job reached the asked ratio within 2 %, or says that it did not."""
    return bool(row["outcome"] != "target_met" or row["measured_ratio"] <= MISSED_BY * row["latency_ratio"])
