"""Where in a store everything lies.

FORMAT                         the version of this layout
ID                             tells this store from all others
stages/3f/3f9a.../NAME         artifacts; each carries its checksum in its name
stages/3f/3f9a.../commit.json  written last: the stage is done if and only if it is there; it
holds the checksum of its other entries
work/3f9a....checkpoint        the state of an unfinished fit
work/3f9a....progress          how many epochs it has behind it, and their numbers with times
logs/3f9a....log               what a stage's attempts have told people, kept when it is done
retries/3f9a....json           attempts at a stage that came to nothing and were repeated
failures/3f9a....json          why a stage was given up
damaged/3f9a....-XXXX/         a result that did not match its checksum, or was to be made anew
sweeps/NAME.json               the record of the plan that a sweep's name stands for
grown/NAME/                    what came to the plan later (records.py)
leases/NAME/                   who ran the sweep (leases.py)
orders/NAME/                   what was ordered of it, of all or of one of them (orders.py)
searches/3f9a..../             what a search has asked and was told (memories.py)
claims/3f9a....json            which sweep trains what several need (claims.py)
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


def stage_of(name: str) -> str:
    """The id of the stage to which a file or folder belongs, be it a result or a note."""
    parts = name.split("/")
    return parts[2 if parts[0] == "stages" else 1].removeprefix(".")[:32]
