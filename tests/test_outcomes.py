"""What is handed on of a collection: the policies for images without a result."""

from __future__ import annotations

import pytest
from cartoonize_pack.utils.errors import InputError, TaskFailedError
from cartoonize_pack.utils.images import Picture
from cartoonize_pack.utils.outcomes import OnFailure, Outcome, describe, settle
from sample_outcomes import done, filled, lost, of, sizes, values

# Everything has a result


@pytest.mark.parametrize("on_failure", list(OnFailure))
@pytest.mark.parametrize("originals", [None, [], [filled(value=200)] * 3], ids=["none", "too few", "all"])
def test_results_are_handed_on_in_order_when_nothing_failed(
    on_failure: OnFailure, originals: list[Picture] | None
) -> None:
    """The policy and the originals do not matter then."""
    outcomes = [done(0), done(1), done(2)]
    settled = settle(of(*outcomes), on_failure, originals)
    assert [a is b.picture for a, b in zip(settled, outcomes, strict=True)] == [True] * 3


# Error


def test_error_names_every_failed_picture_and_its_reason() -> None:
    """Counted from 1 as people count, with the task to look up, and without those that are fine."""
    outcomes = [done(0), lost(1, "no face found"), done(2), lost(3, "too dark", task_id="t2")]
    with pytest.raises(TaskFailedError) as caught:
        settle(of(*outcomes), OnFailure.ERROR, None)
    text = str(caught.value)
    assert "2 of 4 images" in text
    assert "image 2 (task t1): failed: no face found" in text
    assert "image 4 (task t2): failed: too dark" in text
    assert "image 1 " not in text
    assert "image 3 " not in text
    assert "on_failure" in text
    assert "costs nothing" in text


def test_error_does_not_use_originals() -> None:
    """They are connected for another policy."""
    with pytest.raises(TaskFailedError):
        settle(of(done(0), lost(1)), OnFailure.ERROR, [filled(), filled()])


@pytest.mark.parametrize(("on_failure", "originals"), [(OnFailure.ERROR, None), (OnFailure.ORIGINAL, None)])
def test_the_error_holds_no_signature_of_a_link(on_failure: OnFailure, originals: list[Picture] | None) -> None:
    """Reasons are foreign text."""
    with pytest.raises((TaskFailedError, InputError)) as caught:
        settle(of(lost(0, "cannot load https://p.example/a.png?sig=hunter2")), on_failure, originals)
    assert "hunter2" not in str(caught.value)
    assert "https://p.example/a.png" in str(caught.value)


@pytest.mark.parametrize(("may_retry", "named"), [((True, True), True), ((False, True), True), ((False, False), False)])
def test_a_second_attempt_is_offered_only_where_it_makes_sense(may_retry: tuple[bool, bool], named: bool) -> None:
    """What is finished and merely not fetched must not be paid for again."""
    with pytest.raises(TaskFailedError) as caught:
        settle(of(*(lost(index, may_retry=may) for index, may in enumerate(may_retry))), OnFailure.ERROR, None)
    for words in ("submit only them once more", "console", "set on_failure to 'skip' and connect the report"):
        assert (words in str(caught.value)) is named


def test_the_description_is_what_the_error_says() -> None:
    """A node that blocks its outputs instead of failing says the same: every reason, and the next step."""
    collection = of(lost(0, "no face found"), lost(1, "too dark"))
    with pytest.raises(TaskFailedError) as caught:
        settle(collection, OnFailure.ERROR, None)
    assert describe(collection) == str(caught.value)
    for words in ("2 of 2", "image 1 (task t1): failed: no face found", "too dark", "'retry-failed'"):
        assert words in describe(collection)


@pytest.mark.parametrize(("rest", "named"), [([], False), ([done(1)], True)], ids=["nothing came", "one came"])
def test_the_results_that_came_are_named_only_where_some_did(rest: list[Outcome], named: bool) -> None:
    """The next step must be one that helps."""
    assert ("The results that came are stored" in describe(of(lost(0, may_retry=False), *rest))) is named
    assert ("costs nothing" in describe(of(lost(0), *rest))) is named


def test_an_error_tells_that_results_of_unknown_owner_are_there_to_be_had() -> None:
    """No image has a result, but something came, and was paid for."""
    with pytest.raises(TaskFailedError) as caught:
        settle(of(lost(0), lost(1), unassigned=[done(0)]), OnFailure.ERROR, None)
    assert "2 of 2 images" in str(caught.value)
    assert "'skip'" in str(caught.value)


# Skip


def test_skip_hands_on_the_rest_in_order() -> None:
    """What failed leaves an empty place, so that nobody's result moves to somebody else."""
    assert values(settle(of(lost(0), done(1), lost(2), done(3)), OnFailure.SKIP, None)) == [None, 1, None, 3]


@pytest.mark.parametrize("originals", [None, [filled()] * 2], ids=["none", "connected"])
def test_skip_with_nothing_left_hands_on_empty_places(originals: list[Picture] | None) -> None:
    """No error: the report, with which only the failed ones are submitted again, must come through."""
    assert settle(of(lost(0, "no face found"), lost(1, "too dark")), OnFailure.SKIP, originals) == [None, None]


def test_skip_hands_on_results_of_unknown_owner_behind_all_places() -> None:
    """They shift nobody; an unassigned one without a picture is nothing to hand on."""
    collection = of(lost(0), lost(1), done(2), unassigned=[done(7), lost(1), done(8)])
    assert values(settle(collection, OnFailure.SKIP, None)) == [None, None, 2, 7, 8]


def test_skip_with_only_results_of_unknown_owner_left_is_no_error() -> None:
    """They came and were paid for."""
    assert values(settle(of(lost(0), unassigned=[done(7)]), OnFailure.SKIP, None)) == [None, 7]


# Original


def test_original_puts_the_input_in_place_of_what_failed() -> None:
    """Each at its own place; results stay results."""
    originals = [filled(value=100 + i) for i in range(4)]
    assert values(settle(of(done(0), lost(1), done(2), lost(3)), OnFailure.ORIGINAL, originals)) == [0, 101, 2, 103]


def test_an_original_of_another_size_is_cropped_to_the_size_of_the_results() -> None:
    """The batch stays a batch; the result itself is not touched."""
    result = filled(6, 4, 1)
    settled = settle(of(lost(0), done(1, result)), OnFailure.ORIGINAL, [filled(30, 10, 90), filled(30, 10, 91)])
    assert sizes(settled) == [(6, 4), (6, 4)]
    assert values(settled) == [90, 1]
    assert settled[1] is result


def test_originals_take_the_size_of_the_first_result_where_results_differ() -> None:
    """The one that the batch will have."""
    outcomes = [lost(0), done(1, filled(8, 2)), done(2, filled(3, 3))]
    settled = settle(of(*outcomes), OnFailure.ORIGINAL, [filled(20, 20)] * 3)
    assert sizes(settled) == [(8, 2), (8, 2), (3, 3)]


def test_originals_keep_their_own_sizes_where_there_is_no_result_at_all() -> None:
    """There is nothing to match."""
    originals = [filled(9, 2, 7), filled(2, 9, 8)]
    settled = settle(of(lost(0), lost(1)), OnFailure.ORIGINAL, originals)
    assert [a is b for a, b in zip(settled, originals, strict=True)] == [True, True]


def test_original_keeps_one_picture_an_image_in_front_of_results_of_unknown_owner() -> None:
    """Nobody knows whose it is, so it takes nobody's place; it is kept, and in the report."""
    originals = [filled(value=100), filled(value=101)]
    collection = of(lost(0), lost(1), unassigned=[done(7)])
    assert values(settle(collection, OnFailure.ORIGINAL, originals)) == [100, 101]


@pytest.mark.parametrize(
    ("originals", "have"),
    [
        (None, "none are connected"),
        ([], "0 are connected"),
        ([filled()], "1 are connected"),
        ([filled()] * 3, "3 are connected"),
    ],
    ids=["not connected", "none", "too few", "too many"],
)
def test_originals_that_do_not_match_one_to_one_are_refused(originals: list[Picture] | None, have: str) -> None:
    """Nobody gets the face of somebody else; the failures are named all the same."""
    with pytest.raises(InputError) as caught:
        settle(of(done(0), lost(1, "too dark")), OnFailure.ORIGINAL, originals)
    for words in ("'original'", "2 images", have, "image 2", "too dark"):
        assert words in str(caught.value)
