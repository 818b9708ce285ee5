"""The pretended cluster of the benchmark of scale, by hand."""

import pytest

from benchmarks.scale import Cluster, Job, bound, lengths, measure, ours, plan_of

FIT, LIGHT = {"CPU": 1, "GPU": 1.0}, {"CPU": 1, "GPU": 0.25}


@pytest.mark.parametrize(
    ("jobs", "seconds"),
    [
        ([Job(str(number), 10.0, FIT) for number in range(256)], 10.0),  # a GPU for each
        ([Job(str(number), 10.0, FIT) for number in range(257)], 20.0),
        ([Job(str(number), 10.0, LIGHT) for number in range(512)], 10.0),  # a core for each
        ([Job(str(number), 10.0, LIGHT) for number in range(513)], 20.0),
    ],
)
def test_jobs_begin_where_there_is_room(jobs: list[Job], seconds: float):
    """64 machines with 8 cores and 4 GPUs each."""
    assert Cluster().run(jobs) == seconds


def test_what_fits_on_the_cluster_at_once_takes_as_long_as_its_longest_path():
    """PMAL's ensemble in parallel, then mining, its own fit and the score, with no barrier."""
    plan = plan_of(55)
    lasts = lengths(plan)
    path = max(
        sum(lasts[stage.id] for stage in chain)
        for trial in plan.trials
        if trial.method == "pmal"
        for member in trial.score.inputs["model"].inputs["prototypes"].inputs.values()
        for chain in [
            (
                member,
                trial.score.inputs["model"].inputs["prototypes"],
                trial.score.inputs["model"],
                trial.score,
            )
        ]
    )
    assert bound(plan, lasts) == pytest.approx(path)
    assert ours(plan, lasts)[0] == pytest.approx(path)


def test_no_way_to_run_a_plan_beats_the_bound():
    """Else the bound, or the clock, is wrong."""
    (row,) = measure((600,))
    assert min(row["over_the_bound"], row["trial_by_trial"], row["in_waves"]) >= 1
