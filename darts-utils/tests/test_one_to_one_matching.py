"""Pairs are kept so that nothing is in two of them and their weights are worth the most."""

import time
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_utils.errors import DataError
from darts_utils.objects.matching import match_one_to_one


def best_total(pairs):
    """Return the largest sum of weights of any legal choice, by trying all of them."""
    lefts, rights = sorted({left for left, _, _ in pairs}), sorted({right for _, right, _ in pairs})
    heaviest = {}
    for left, right, weight in pairs:
        heaviest[left, right] = max(weight, heaviest.get((left, right), weight))
    best = 0.0
    for n in range(1, min(len(lefts), len(rights)) + 1):
        for some in combinations(lefts, n):
            for others in permutations(rights, n):
                chosen = [heaviest.get(pair) for pair in zip(some, others, strict=True)]
                if None not in chosen:
                    best = max(best, sum(chosen))
    return best


def columns(pairs):
    left, right, weight = zip(*pairs, strict=True) if pairs else ((), (), ())
    return np.array(left, dtype=np.int64), np.array(right, dtype=np.int64), np.array(weight, dtype=float)


PAIRS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.one_of(st.floats(-1, 5, width=16), st.sampled_from([0, 1, 2]))),
    max_size=14,
)


@given(pairs=PAIRS, largest_table=st.sampled_from([0, 10**6]))
@settings(max_examples=250, deadline=None)
def test_no_legal_choice_is_worth_more(pairs, largest_table):
    left, right, weight = columns(pairs)
    kept = match_one_to_one(left, right, weight, largest_table=largest_table)
    assert len(set(left[kept])) == len(set(right[kept])) == len(kept)
    assert (weight[kept] > 0).all()
    assert (np.diff(kept) > 0).all()
    assert weight[kept].sum() == pytest.approx(best_total(pairs), abs=1e-9)


@given(pairs=PAIRS, seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_pairs_changes_nothing(pairs, seed):
    shuffled = [pairs[i] for i in np.random.default_rng(seed).permutation(len(pairs))]
    chosen = []
    for some in (pairs, shuffled):
        left, right, weight = columns(some)
        kept = match_one_to_one(left, right, weight)
        chosen.append(sorted(zip(left[kept], right[kept], weight[kept], strict=True)))
    assert chosen[0] == chosen[1]


def test_weight_counts_and_not_the_number_of_pairs():
    # a-x 1, a-y 3, b-y 1: the pair of weight 3 alone is worth more than both others
    assert list(match_one_to_one(np.array([0, 0, 1]), np.array([7, 8, 8]), np.array([1, 3, 1]))) == [1]
    assert list(match_one_to_one(np.array([0, 0, 1]), np.array([7, 8, 8]), np.array([2, 3, 2]))) == [0, 2]


def test_a_large_component_is_solved_sparsely_to_the_same_worth():
    rng = np.random.default_rng(5)
    left, right, weight = rng.integers(0, 300, 3000), rng.integers(0, 350, 3000), rng.uniform(0, 1, 3000)
    totals = [weight[match_one_to_one(left, right, weight, largest_table=largest)].sum() for largest in (1000, 10**6)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-12)


def test_a_million_pairs_in_small_components_take_seconds():
    rng = np.random.default_rng(1)
    place = np.repeat(np.arange(250_000), 4)
    # each place: one pair, a star, or two by two with a choice
    left = 2 * place + rng.integers(0, 2, len(place)) * (place % 10 == 0)
    right = 2 * place + rng.integers(0, 2, len(place))
    weight = rng.uniform(0.1, 1, len(place))
    start = time.perf_counter()
    kept = match_one_to_one(left, right, weight)
    assert time.perf_counter() - start < 10
    assert 250_000 <= len(kept) <= 275_000


def test_nothing_to_match_is_no_pair():
    assert match_one_to_one(np.zeros(0, int), np.zeros(0, int), np.zeros(0)).dtype == np.int64
    assert len(match_one_to_one(np.array([1]), np.array([1]), np.array([0.0]))) == 0


def test_what_cannot_be_matched_is_refused():
    one, two = np.array([1]), np.array([1, 2])
    with pytest.raises(DataError, match=r"^pairs need three lists of one length, but these are \(\(1,\), \(2,\), \(1"):
        match_one_to_one(one, two, one)
    with pytest.raises(DataError, match=r"^a weight of a pair is not a finite number, so no sum of weights is the la"):
        match_one_to_one(one, one, np.array([np.nan]))
