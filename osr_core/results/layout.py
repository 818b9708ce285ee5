"""Where in a store the results of stages lie, and the states of fits that are not done.

FORMAT                         the version of the layout of a whole store
stages/3f/3f9a.../NAME         artifacts; each carries its checksum in its name
stages/3f/3f9a.../commit.json  written last: the stage is done if and only if it is there; it
holds the checksum of its other entries
work/3f9a....checkpoint        the state of an unfinished fit
"""

FORMAT = "osr-sweeps store 2"


def folder_of(stage_id: str) -> str:
    """Where a stage's result lies."""
    return f"stages/{stage_id[:2]}/{stage_id}"


def marker_of(stage_id: str) -> str:
    """The marker of a stage's result."""
    return f"{folder_of(stage_id)}/commit.json"


def artifact_of(stage_id: str, name: str, checksum: str) -> str:
    """An artifact of a stage."""
    stem, dot, suffix = name.partition(".")
    return f"{folder_of(stage_id)}/{stem}-{checksum}{dot}{suffix}"


def checkpoint_of(stage_id: str) -> str:
    """The state of an unfinished stage."""
    return f"work/{stage_id}.checkpoint"
