"""The order in which stages are handed out."""

from hypothesis import given
from hypothesis import strategies as st

from osr_core.kinds import FIT, SCORE
from osr_core.stage import Stage
from sweeps.planning.frontier import Frontier


def stage(name: str, *inputs: Stage, epochs: int | None = None) -> Stage:
    """A stage that nothing runs."""
    config = {"name": name} | ({"training": {"epochs": epochs}} if epochs else {})
    roles = {str(role): upstream for role, upstream in enumerate(inputs)}
    return Stage(kind=FIT if epochs else SCORE, config=config, inputs=roles)


@st.composite
def graphs(draw: st.DrawFn) -> list[Stage]:
    """Up to twelve stages, each reading any of those before it."""
    stages: list[Stage] = []
    for number in range(draw(st.integers(1, 12))):
        inputs = [s for s in stages if draw(st.booleans())]
        stages.append(stage(str(number), *inputs, epochs=draw(st.sampled_from([None, 3, 20]))))
    return stages


@given(graphs(), st.randoms())
def test_every_interleaving_releases_each_stage_once_and_after_its_inputs(stages, random):
    """Workers end in any order; a stage that ran twice or too early would corrupt a sweep."""
    frontier, running, done = Frontier(stages), [], []
    while not frontier.exhausted:
        while (ready := frontier.next()) is not None:
            assert all(upstream.id in done for upstream in ready.inputs.values())
            running.append(ready.id)
        ended = running.pop(random.randrange(len(running)))
        frontier.finish(ended)
        frontier.finish(ended)  # Tune may say so twice after a restore
        done.append(ended)
    assert sorted(done) == sorted(s.id for s in stages)


@given(graphs(), st.randoms())
def test_a_failure_skips_exactly_the_stages_downstream_of_it(stages, random):
    """One bad trial must not take the others with it, and must not leave the sweep waiting."""
    bad = random.choice(stages)
    downstream = {s.id for s in stages if bad.id in {up.id for up in s.walk()}} - {bad.id}
    frontier, skipped, done = Frontier(stages), [], set()
    while not frontier.exhausted:
        ready = frontier.next()
        assert ready is not None
        if ready.id == bad.id:
            skipped = frontier.fail(ready.id)
        else:
            frontier.finish(ready.id)
            done.add(ready.id)
    assert sorted(skipped) == sorted(downstream)
    assert done == {s.id for s in stages} - downstream - {bad.id}


def test_the_longest_remaining_path_goes_first():
    """PMAL's members are read by two more fits; starting them late would leave cores idle."""
    short = stage("short", epochs=10)
    first = stage("first", epochs=5)
    last = stage("last", first, epochs=30)
    order = Frontier([short, first, last])
    assert [order.next(), order.next(), order.next()] == [first, short, None]


def test_inputs_that_are_done_already_are_not_waited_for():
    """A second launch gets only what is missing."""
    upstream = stage("upstream", epochs=1)
    assert Frontier([stage("user", upstream)]).next() is not None


@given(graphs(), st.randoms())
def test_what_is_withdrawn_is_never_handed_out_and_what_is_revived_is_once(stages, random):
    """A user cancels at any moment, and thinks better of it at any later one."""
    frontier, done = Frontier(stages), []
    withdrawn = {s.id for s in stages if random.random() < 0.4}
    handed_out = [frontier.next() for _ in range(random.randrange(len(stages)))]
    running = [ready.id for ready in handed_out if ready is not None]
    gone = set(frontier.withdraw(withdrawn - set(running)))
    assert gone.isdisjoint(running)
    while not frontier.exhausted:
        while (ready := frontier.next()) is not None:
            assert ready.id not in gone
            running.append(ready.id)
        ended = running.pop()
        frontier.finish(ended)
        done.append(ended)
    assert sorted([*done, *gone]) == sorted(s.id for s in stages)
    back = frontier.revive(withdrawn)
    assert sorted(back) == sorted(gone)
    while not frontier.exhausted:
        ready = frontier.next()
        assert ready is not None
        assert all(upstream.id in done for upstream in ready.inputs.values())
        frontier.finish(ready.id)
        done.append(ready.id)
    assert sorted(done) == sorted(s.id for s in stages)


def test_what_needs_two_stages_comes_back_with_the_second():
    """Until then it would wait for an input that nobody makes."""
    first, second = stage("first"), stage("second")
    both = stage("both", first, second)
    frontier = Frontier([first, second, both])
    assert len(frontier.withdraw([first.id, second.id])) == 3
    assert frontier.revive([first.id, both.id]) == [first.id]
    assert frontier.revive([second.id]) == [second.id, both.id]


def test_what_is_added_when_its_input_was_given_up_comes_back_with_it():
    """As those that were there before: a later retry takes the input back, and what needs it."""
    first = stage("first")
    early, late = stage("early", first), stage("late", first)
    frontier = Frontier([first, early])
    assert frontier.next() == first
    assert frontier.fail(first.id) == [early.id]
    assert frontier.add([late]) == [late.id]
    assert sorted(frontier.revive([first.id])) == sorted([first.id, early.id, late.id])
    assert frontier.next() == first
    frontier.finish(first.id)
    handed_out = [frontier.next(), frontier.next()]
    assert sorted(each.id for each in handed_out if each) == sorted([early.id, late.id])
