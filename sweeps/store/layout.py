"""Where in a store everything lies, besides results and checkpoints (osr_core/results/layout.py).

ID                             tells this store from all others
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
data/                          data sets for machines that lack them (shared_data.py)
claims/3f9a....json            which sweep trains what several need (claims.py)
"""


def stage_of(name: str) -> str:
    """The id of the stage to which a file or folder belongs, be it a result or a note."""
    parts = name.split("/")
    return parts[2 if parts[0] == "stages" else 1].removeprefix(".")[:32]
