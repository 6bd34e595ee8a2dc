"""One-to-one matching: which of two lists of things belong together, each to one other at most."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from darts_utils.errors import DataError
from darts_utils.rasters.arrays import Array

_LARGEST_TABLE = 4_000_000
"""Cells of a table of weights (32 MB) up to which a component is solved as a table; larger ones are solved sparsely."""


def match_one_to_one(left: Array, right: Array, weight: Array, *, largest_table: int = _LARGEST_TABLE) -> Array:
    """Return which pairs to keep so that each thing is in one at most and the sum of weights is as large as can be.

    Not the most pairs but the most weight: one pair of weight 3 wins over two of weight 1 that it excludes. Things that
    are connected by pairs are solved together, all others apart, so a million pairs in small components take seconds.
    Among solutions of equal weight the choice does not depend on the order of the pairs.

    Args:
        left: (n) whole numbers, the thing of the first list of each pair, such as its row.
        right: (n) whole numbers, that of the second list.
        weight: (n) finite numbers. Pairs of weight 0 or less are never kept; of the same pair twice the heavier counts.
        largest_table: Cells up to which a component is solved as a dense table (Crouse 2016,
            doi:10.1109/TAES.2016.140952); above by the sparse Jonker-Volgenant algorithm (1987,
            doi:10.1007/BF02278710). Both are exact.

    Returns:
        (k) int64, ascending: positions of the pairs that are kept.

    Raises:
        DataError: If the lists differ in length, or a weight is not finite.
    """
    left, right, weight = np.asarray(left), np.asarray(right), np.asarray(weight, dtype=np.float64)
    if not left.shape == right.shape == weight.shape or left.ndim != 1:
        raise DataError(f"pairs need three lists of one length, but these are {left.shape, right.shape, weight.shape}.")
    if not np.isfinite(weight).all():
        raise DataError("a weight of a pair is not a finite number, so no sum of weights is the largest.")
    order = _heaviest_of_each_pair(left, right, weight)
    if not len(order):
        return order
    rows = np.unique(left[order], return_inverse=True)[1]
    columns = np.unique(right[order], return_inverse=True)[1]
    kept = _match_components(rows, columns, weight[order], largest_table)
    return np.sort(order[kept])


def _heaviest_of_each_pair(left: Array, right: Array, weight: Array) -> Array:
    """Return the positions of pairs that can be kept, by left and right, without the lighter of two equal pairs."""
    order = np.lexsort((-weight, right, left))
    order = order[weight[order] > 0]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (np.diff(left[order]) != 0) | (np.diff(right[order]) != 0)
    return order[is_first].astype(np.int64)


def _match_components(rows: Array, columns: Array, weight: Array, largest_table: int) -> Array:
    """Return the positions of the kept pairs; rows and columns are 0 to their number, without gaps, by row."""
    n_rows, n_columns = int(rows.max()) + 1, int(columns.max()) + 1
    size = n_rows + n_columns
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, columns + n_rows)), shape=(size, size))
    n_components, of_node = connected_components(graph, directed=False)
    of_pair = of_node[rows]
    heights = np.bincount(of_node[:n_rows], minlength=n_components)
    widths = np.bincount(of_node[n_rows:], minlength=n_components)
    is_star = np.minimum(heights, widths)[of_pair] == 1
    stars = _heaviest_of_each_star(np.flatnonzero(is_star), of_pair, weight)
    # one by one only the few components in which more than one pair can be kept
    tangled = np.flatnonzero(~is_star)
    tangled = tangled[np.argsort(of_pair[tangled], kind="stable")]
    tangles = np.split(tangled, np.flatnonzero(np.diff(of_pair[tangled])) + 1) if len(tangled) else []
    matched = (pairs[_match_tangle(rows[pairs], columns[pairs], weight[pairs], largest_table)] for pairs in tangles)
    return np.concatenate([stars, *matched])


def _heaviest_of_each_star(pairs: Array, of_pair: Array, weight: Array) -> Array:
    """Return the heaviest pair of each component that has one thing on one side; of equal ones the first."""
    order = pairs[np.lexsort((pairs, -weight[pairs], of_pair[pairs]))]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = np.diff(of_pair[order]) != 0
    return order[is_first]


def _match_tangle(rows: Array, columns: Array, weight: Array, largest_table: int) -> Array:
    """Return the positions of the kept pairs of one component."""
    rows, columns = (np.unique(names, return_inverse=True)[1] for names in (rows, columns))
    n_rows, n_columns = int(rows.max()) + 1, int(columns.max()) + 1
    if n_rows * n_columns > largest_table:
        partner = _sparse_partners(rows, columns, weight)
    else:
        table = np.zeros((n_rows, n_columns))
        table[rows, columns] = weight
        partner = np.full(n_rows, -1)
        matched, with_column = linear_sum_assignment(table, maximize=True)
        partner[matched] = with_column  # also cells that are no pair, and weigh nothing: no pair has them
    return np.flatnonzero(partner[rows] == columns)


def _sparse_partners(rows: Array, columns: Array, weight: Array) -> Array:
    """Return the column of each row; a row that stays alone has a column beyond them, of its own.

    The algorithm matches every row. So each row gets one more column that weighs nothing, and all weights are turned
    into costs above 0 by taking them from a number above the largest, which adds the same to every solution.
    """
    n_rows, n_columns = int(rows.max()) + 1, int(columns.max()) + 1
    highest = 2 * float(weight.max())
    own = np.arange(n_rows)
    costs = np.concatenate([highest - weight, np.full(n_rows, highest)])
    places = np.concatenate([rows, own]), np.concatenate([columns, n_columns + own])
    _, partner = min_weight_full_bipartite_matching(csr_array((costs, places), shape=(n_rows, n_columns + n_rows)))
    return np.asarray(partner)
