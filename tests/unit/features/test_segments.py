import numpy as np
import pytest

from aegis.features.segments import segment_maximum, segment_product, segment_sum, window_segment


def panel(sessions=60, symbols=3):
    return np.random.default_rng(4).normal(1.0, 0.1, size=(sessions, symbols))


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 21, 42])
@pytest.mark.parametrize("lag", [0, 5])
def test_a_window_joins_exactly_its_own_sessions(length, lag):
    values = panel()
    windows = [values[len(values) - lag - 4 + row - length + 1 : len(values) - lag - 4 + row + 1] for row in range(4)]

    arguments = {"rows": 4, "lag": lag}

    np.testing.assert_allclose(segment_sum(values, length, **arguments), [w.sum(axis=0) for w in windows], rtol=1e-13)
    np.testing.assert_allclose(
        segment_product(values, length, **arguments), [w.prod(axis=0) for w in windows], rtol=1e-13
    )
    np.testing.assert_array_equal(segment_maximum(values, length, **arguments), [w.max(axis=0) for w in windows])


def test_segments_are_joined_in_order_with_their_lengths():
    # Letters of the sessions: a join that is not commutative shows the order, and the lengths add up.
    sessions = np.array([[ord(letter)] for letter in "abcdefghijk"], dtype=object)
    letters = np.vectorize(chr, otypes=[object])(sessions)

    def join(older, newer, older_length, newer_length):
        assert {len(text) for text in older[0].ravel()} == {older_length}
        assert {len(text) for text in newer[0].ravel()} == {newer_length}
        return (older[0] + newer[0],)

    (found,) = window_segment((letters,), join, 7, rows=3, lag=1)

    assert found.ravel().tolist() == ["bcdefgh", "cdefghi", "defghij"]


def test_a_window_has_the_same_bits_wherever_the_range_starts_and_ends():
    values = panel(sessions=400)

    everything = segment_sum(values, 252, rows=100)
    one = segment_sum(values[:350], 252, rows=1)
    shorter = segment_sum(values[400 - 252 - 9 :], 252, rows=10)

    assert everything[49].tobytes() == one[0].tobytes()
    assert everything[-10:].tobytes() == shorter.tobytes()


def test_a_panel_that_does_not_reach_back_far_enough_is_refused():
    with pytest.raises(ValueError, match="need 2 more rows than 60"):
        segment_sum(panel(), 50, rows=10, lag=3)
