"""Boards with all that is drawn for them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from analysis.exports.schema import FinishedTrial, Plan
from analysis.figures.source import ImageLoader
from analysis.report.cost import seconds_behind
from analysis.report.curves import oscr_curve, roc_curve
from analysis.report.examples import Examples, examples
from analysis.report.grids import HeatMap, heat_maps
from analysis.report.leaderboard import Board, boards
from analysis.report.pictures import BoardPictures, Curves, board_pictures
from analysis.report.portraits import Portrait, portrait
from analysis.report.scored import scored_trials
from analysis.report.surroundings import Surroundings


@dataclass(frozen=True)
class ShownBoard:
    """A board with all that is drawn for it."""

    board: Board
    pictures: BoardPictures
    heat_maps: tuple[HeatMap, ...]
    portraits: Mapping[str, tuple[Portrait, str]]  # by row, with the trial that it shows
    examples: Examples | None
    training_s: Mapping[str, float | None]  # by row, also of fits that other rows share


def shown_boards(
    folder: Path,
    plan: Plan,
    finished: Mapping[str, FinishedTrial],
    around: Surroundings,
    walls: Mapping[str, float],
) -> tuple[ShownBoard, ...]:
    """One pass over the scores gives the curves of all trials and the portraits of some."""
    made = boards(plan, finished)
    pictured: dict[str, str] = {}  # the first finished trial of each row that pictures show
    for board in made:
        for place in board.places:
            there = [trial_id for trial_id in place.trials if trial_id in finished]
            if place.first and there:
                pictured[there[0]] = place.row
    curves, portraits = {}, {}
    for trial_id, scores in scored_trials(folder, finished):
        curves[trial_id] = Curves(roc_curve(scores), oscr_curve(scores))
        if trial_id in pictured:
            portraits[trial_id] = portrait(scores, f"Scores of {pictured[trial_id]}")
    stages = around.stages_of(plan.sweep)
    return tuple(
        ShownBoard(
            board,
            board_pictures(board, finished, curves),
            heat_maps(board, plan.trials),
            _portraits_of(board, finished, portraits),
            _examples(folder, board, finished, curves, around.images),
            {each.row: seconds_behind(each.trials, stages, walls) for each in board.places},
        )
        for board in made
    )


def _portraits_of(
    board: Board, finished: Mapping[str, FinishedTrial], portraits: Mapping[str, Portrait]
) -> dict[str, tuple[Portrait, str]]:
    return {
        place.row: (portraits[i], _which(finished[i]))
        for place in board.places
        for i in place.trials
        if i in portraits
    }


def _examples(
    folder: Path,
    board: Board,
    finished: Mapping[str, FinishedTrial],
    scored: Collection[str],
    images: ImageLoader | None,
) -> Examples | None:
    """Of the leader's first trial, or of the first row's where none leads; None without scores."""
    best = board.best or next((place for place in board.places if place.first), None)
    there = [i for i in best.trials if i in scored] if best else []
    if not best or not there:
        return None
    trial = finished[there[0]]
    return examples(folder, trial, f"{best.row}, {_which(trial)}", images)


def _which(trial: FinishedTrial) -> str:
    return f"split {trial['split']} seed {trial['seed']}, trial {trial['trial_id'][:8]}"
