"""Time to accuracy: how long until J is within a given share of the best J that anyone found.

First every solver climbs its ladder once, all of them rung by rung in turn, until it is at the bottom, took longer than
the limit, or took `HOPELESS` times as long as another peer needed for the tightest target. Then fallline, with tol at the
target and its own stopping by proof, and the quickest rung with which each peer reached the target are run again in turn;
peers that took more than `BEHIND` times as long as the best of them keep their one run.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import objectives
from peers import TOLERANCES, Peer, Solution, peers_of
from problem import Problem
from rows import Row
from timing import TooLong, deadline, timed

BEHIND = 3.0
HOPELESS = 5.0
TIGHTEST = 1e-12  # tol of the run of fallline that says where the bottom about is, before the others climb
SMALL = 2_000  # rows to warm a peer up on
ENOUGH_NUMBERS = 5_000_000  # numbers in X to warm fallline up on: it compiles for large data only
WARM = 15.0  # seconds: then it is warm, whether it has come to an end or not
LONGEST = 4.0  # times the limit: then a run is broken off
BOTTOM = 1e-15  # relative: J of two rungs in a row that close to each other and to the best is as low as it gets
OURS = "fallline"
ROUND_OFF = 1e-13  # relative to J*: what J itself is known to


@dataclass
class Point:
    """One run: the setting, the seconds and the J it reached (computed by the harness)."""

    setting: float
    seconds: float
    J: float


@dataclass
class Claim:
    """What fallline said of a run with tol at the target, and what turned out."""

    target: float
    J: float
    verdict: str
    certainty: str
    gap: float | None
    passes: float
    method: str
    seconds: list[float] = field(default_factory=list)

    def remarks(self, best: float) -> list[str]:
        """What is to be said about this run, given J*."""
        said = []
        missed = (self.J - best) / abs(best)
        if missed > self.target:
            said.append(f"NOT REACHED: {missed:.2g} after '{self.verdict}, {self.certainty}'")
        if self.gap is not None and self.J - best > self.gap + ROUND_OFF * abs(best):
            said.append(f"CLAIM BROKEN: gap {self.gap:.3g}, in truth at least {self.J - best:.3g}")
        return said


@dataclass
class Measured:
    """All that was measured on a problem."""

    problem: str
    input: str
    best: float
    rows: list[Row]
    points: dict[str, list[Point]]
    claims: list[Claim]
    medians: dict[float, dict[str, dict[str, Any]]]
    left_out: dict[str, str]

    def record(self) -> dict[str, Any]:
        """The same for results.json."""
        return {
            "input": self.input, "best_J": self.best, "left_out": self.left_out,
            "points": {name: [asdict(point) for point in points] for name, points in self.points.items()},
            "claims": [asdict(claim) for claim in self.claims],
            "medians": {f"{target:g}": found for target, found in self.medians.items()},
        }  # fmt: skip


def measure(p: Problem, repeats: int, limit: float) -> Measured:
    """Climb, compare, repeat. `limit` seconds: a solver whose run took longer climbs no further."""
    say(f"{p.name}: {p.input}, l1 {p.l1:.3g}, l2 {p.l2:.3g}")
    columns = p.by_columns() if any(peer.by_columns for peer in peers_of(p)) else p
    runs, left_out = _warm(p, peers_of(p))
    targets = sorted(p.aims, reverse=True)
    points = _climb(p, columns, runs, limit, targets[-1])
    lowest = min((point.J for found in points.values() for point in found), default=np.inf)
    guess = min(lowest, p.optimum if p.optimum is not None else np.inf)
    claims = [_claim(p, target, limit) for target in targets]
    best = min(guess, *(claim.J for claim in claims))
    medians = {}
    for claim in claims:
        medians[claim.target] = _again(p, columns, runs, points, claim, best, repeats, limit)
    rows = [_row(p, claim, best, medians[claim.target], limit) for claim in claims]
    return Measured(p.name, p.input, best, rows, points, claims, medians, left_out)


def say(text: str) -> None:
    """Progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)


def fit(p: Problem, tol: float, limit: float) -> Any:
    """The run of fallline that is measured: raw columns, so that the penalty is that of the peers."""
    import fallline

    loss = fallline.Huber(delta=p.delta) if p.loss == "huber" else p.loss
    return fallline.fit(
        p.X, p.y, loss=loss, l1=p.l1, l2=p.l2, standardize=False, fit_intercept=p.intercept, offset=p.offset,
        tol=tol, max_passes=1_000_000, max_seconds=limit,
    )  # fmt: skip


def _ours() -> Peer:
    def solve(p: Problem, rung: float) -> Solution:
        result = fit(p, rung, np.inf)
        return result.coef, result.intercept

    return Peer(OURS, solve, TOLERANCES[:12])


def _warm(p: Problem, peers: list[Peer]) -> tuple[list[Peer], dict[str, str]]:
    """Run everyone once on a few rows of the same types: compiling is not counted. Who fails here is left out."""
    ready, left_out = [], {}
    a_row = max(1, (p.X.size if p.dense else p.X.nnz) // p.m)
    for peer in [_ours(), *peers]:
        few = p.rows(max(SMALL, ENOUGH_NUMBERS // a_row) if peer.name == OURS else SMALL)
        try:
            with deadline(WARM):
                timed(
                    lambda peer=peer, few=few: peer.solve(few.by_columns() if peer.by_columns else few, peer.ladder[2])
                )
            ready.append(peer)
        except TooLong:  # compiled it is
            ready.append(peer)
        except Exception as error:  # whatever a library raises: said, recorded, and the others go on
            if peer.name == OURS:
                raise
            left_out[peer.name] = f"{type(error).__name__}: {str(error)[:200]}"
            say(f"  {peer.name} is left out: {left_out[peer.name]}")
    return ready, left_out


def _climb(p: Problem, columns: Problem, runs: list[Peer], limit: float, target: float) -> dict[str, list[Point]]:
    """Every solver up its ladder once, rung by rung in turn."""
    points: dict[str, list[Point]] = {peer.name: [] for peer in runs}
    anchor = _run(p, p, _ours(), TIGHTEST, limit)
    best = np.inf if anchor is None else anchor.J
    climbing, rung = list(runs), 0
    while climbing:
        for peer in list(climbing):
            point = _run(p, columns if peer.by_columns else p, peer, peer.ladder[rung], limit)
            if point is not None:
                points[peer.name].append(point)
                best = min(best, point.J)
            last = rung + 1 == len(peer.ladder)
            if point is None or last or point.seconds > limit or _at_bottom(points[peer.name], best):
                climbing.remove(peer)
        enough = best + target * abs(best)
        done = [q.seconds for name, found in points.items() if name != OURS for q in found if q.J <= enough]
        longest = HOPELESS * min(done, default=np.inf)
        climbing = [peer for peer in climbing if peer.name == OURS or points[peer.name][-1].seconds <= longest]
        rung += 1
    if anchor is not None:
        points[OURS].append(anchor)
    return points


def _run(p: Problem, given: Problem, peer: Peer, rung: float, limit: float) -> Point | None:
    """One run; None where it was broken off or failed."""
    try:
        with deadline(LONGEST * limit):
            seconds, (w, b) = timed(lambda: peer.solve(given, rung))
    except TooLong:
        say(f"  {peer.name:28s} {rung:8.3g}  broken off after {LONGEST * limit:g} s")
        return None
    except Exception as error:  # as above: a run that fails is no run
        say(f"  {peer.name:28s} {rung:8.3g}  {type(error).__name__}: {str(error)[:100]}")
        return None
    J = objectives.value(p, w, b)
    say(f"  {peer.name:28s} {rung:8.3g}  {seconds:8.3f} s  J = {J:.15g}")
    return Point(rung, seconds, J if np.isfinite(J) else float("inf"))


def _at_bottom(points: list[Point], best: float) -> bool:
    """Whether tighter settings have stopped changing anything, at the lowest J known."""
    if len(points) < 3:
        return False
    last = [point.J for point in points[-3:]]
    return max(last) - min(last) <= BOTTOM * abs(best) and last[-1] - best <= 10.0 * ROUND_OFF * abs(best)


def _claim(p: Problem, target: float, limit: float) -> Claim:
    seconds, result = timed(lambda: fit(p, target, LONGEST * limit))
    J = objectives.value(p, result.coef, result.intercept)
    say(f"  {OURS:28s} {target:8.3g}  {seconds:8.3f} s  J = {J:.15g}  {result.verdict}, {result.certainty}")
    return Claim(
        target, J, str(result.verdict), str(result.certainty), result.gap, result.passes, result.method, [seconds]
    )


def _again(
    p: Problem, columns: Problem, runs: list[Peer], points: dict[str, list[Point]], claim: Claim, best: float,
    repeats: int, limit: float,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Medians of interleaved runs: fallline, and each peer at its quickest setting that reached the target."""
    enough = best + claim.target * abs(best)
    chosen: dict[str, Point] = {}
    for peer in runs:
        reached = [point for point in points[peer.name] if point.J <= enough]
        if peer.name != OURS and reached:
            chosen[peer.name] = min(reached, key=lambda point: point.seconds)
    quickest = min((point.seconds for point in chosen.values()), default=0.0)
    once = repeats == 1 or claim.seconds[0] > limit
    seconds: dict[str, list[float]] = {OURS: claim.seconds if once else []}
    cases: dict[str, Callable[[], Any]] = {}
    if not once:
        cases[OURS] = lambda: fit(p, claim.target, LONGEST * limit)
    for peer in runs:
        if peer.name in chosen:
            given, point = columns if peer.by_columns else p, chosen[peer.name]
            near = repeats > 1 and point.seconds <= BEHIND * quickest
            seconds[peer.name] = [] if near else [point.seconds]
            if near:
                cases[peer.name] = lambda peer=peer, given=given, point=point: peer.solve(given, point.setting)
    for _ in range(repeats if repeats > 1 else 0):
        for name, work in cases.items():
            seconds[name].append(timed(work)[0])
    claim.seconds = seconds[OURS]
    settings = {OURS: claim.target, **{name: point.setting for name, point in chosen.items()}}
    found = {
        name: {"median": statistics.median(values), "runs": values, "setting": settings[name]}
        for name, values in seconds.items()
    }
    for name, one in sorted(found.items(), key=lambda item: item[1]["median"]):
        say(f"  at {claim.target:g}: {name:28s} {one['median']:8.3f} s  setting {one['setting']:.3g}")
    return found


def _row(p: Problem, claim: Claim, best: float, found: dict[str, dict[str, Any]], limit: float) -> Row:
    remarks = claim.remarks(best)
    for remark in remarks:
        say(f"  fallline at {claim.target:g}: {remark}")
    others = {name: one["median"] for name, one in found.items() if name != OURS}
    peer = min(others, key=lambda name: others[name], default="none got there")
    return Row(
        f"{p.name} {claim.target:g}", p.aims[claim.target], found[OURS]["median"], peer, others.get(peer),
        reached=not remarks, at_least=limit if not others else None, note="; ".join(remarks),
    )  # fmt: skip
