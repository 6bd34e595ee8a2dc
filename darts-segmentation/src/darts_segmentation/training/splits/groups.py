"""Patches that must stay together, groups chosen and dealt out by a seed, and what lies too near to others."""

import geopandas as gpd
import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from darts_utils.rasters.arrays import Array

GROUND_CRS = "EPSG:3413"
"""CRS in which distances between patches are measured."""


def sample_groups(samples: Array) -> Array:
    """Return the number of the sample of each patch, by the order of the names.

    Args:
        samples: (n) text.

    Returns:
        (n) int64 from 0, without gaps.
    """
    return np.unique(samples, return_inverse=True)[1].astype(np.int64)


def region_groups(regions: Array, samples: Array) -> Array:
    """Return the number of the region of each patch; regions that share a sample are one.

    Args:
        regions: (n) text.
        samples: (n) text.

    Returns:
        (n) int64 from 0, without gaps.
    """
    region, sample = sample_groups(regions), sample_groups(samples)
    n_regions = int(region.max(initial=-1)) + 1
    size = n_regions + int(sample.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(region), dtype=bool), (region, n_regions + sample)), shape=(size, size))
    component = connected_components(graph, directed=False)[1]
    return np.unique(component[region], return_inverse=True)[1].astype(np.int64)


def choose_groups(groups: Array, share: float, seed: int) -> Array:
    """Return which patches to set aside: whole groups, in seeded order, as long as they come nearer to a share.

    Args:
        groups: (n) int64 from 0, without gaps, at least two different ones.
        share: Share of the patches to aim at.
        seed: Which ones.

    Returns:
        (n) bool; at least one group is chosen, and one is not.
    """
    sizes = np.bincount(groups)
    order = np.random.default_rng(seed).permutation(len(sizes))
    wanted, taken = share * len(groups), 0
    chosen = np.zeros(len(sizes), dtype=bool)
    for group in order:
        if abs(taken + sizes[group] - wanted) < abs(taken - wanted) and chosen.sum() < len(sizes) - 1:
            chosen[group] = True
            taken += sizes[group]
    if not chosen.any():
        chosen[order[np.argmin(sizes[order])]] = True
    return chosen[groups]


def stratified_folds(groups: Array, positive: Array, n_folds: int, seed: int) -> Array:
    """Return the fold of each patch; folds have whole groups, and like shares of patches with and without slumps.

    The largest groups go first, each to the fold that has least of what the group has. scikit-learn's
    `StratifiedGroupKFold` does about the same but may leave a fold empty (groups of 1, 5, 59 and 1 patches in four
    folds), and refuses sets with fewer patches of a class than folds.

    Args:
        groups: (n) int64 from 0, without gaps.
        positive: (n) bool, whether there is a slump in a patch.
        n_folds: Number of folds, at most that of groups.
        seed: The order in which equal groups are dealt.

    Returns:
        (n) int64 from 0 to `n_folds` - 1; each has at least one group.
    """
    n_groups = int(groups.max()) + 1
    counts = np.zeros((n_groups, 2))
    np.add.at(counts, (groups, positive.astype(int)), 1)
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    order = np.random.default_rng(seed).permutation(n_groups)
    order = order[np.argsort(-shares[order].sum(axis=1), kind="stable")]
    held, of_group = np.zeros((n_folds, 2)), np.zeros(n_groups, dtype=np.int64)
    for group in order:
        # what a fold has of the same kind first, then its size: an empty fold always comes first
        fold = np.lexsort((held.sum(axis=1), held @ shares[group]))[0]
        of_group[group] = fold
        held[fold] += shares[group]
    return of_group[groups]


def near(outlines: gpd.GeoSeries, others: gpd.GeoSeries, distance_m: float) -> Array:
    """Return which outlines lie within a distance of one of others, edge to edge, in EPSG:3413.

    Args:
        outlines: (n) polygons in any CRS.
        others: (m) polygons in any CRS.
        distance_m: 0: those that touch or overlap.

    Returns:
        (n) bool.
    """
    mine, theirs = (np.asarray(some.to_crs(GROUND_CRS).array) for some in (outlines, others))
    found = np.zeros(len(mine), dtype=bool)
    found[shapely.STRtree(theirs).query(mine, predicate="dwithin", distance=distance_m)[0]] = True
    return found


def subsample(strata: Array, number: int, seed: int) -> Array:
    """Return which of some things to keep so that strata keep their shares.

    Args:
        strata: (n) int64 from 0, without gaps.
        number: How many to keep, at least as many as there are strata.
        seed: Which ones; the same seed keeps the same ones of a stratum first, whatever the number.

    Returns:
        (n) bool, `number` of them true, or all if there are no more.
    """
    if number >= len(strata):
        return np.ones(len(strata), dtype=bool)
    sizes = np.bincount(strata)
    exact = sizes * number / len(strata)
    quota = np.maximum(np.floor(exact).astype(int), 1)
    while quota.sum() != number:  # the largest remainder gets one more, the smallest loses one
        step = 1 if quota.sum() < number else -1
        is_open = quota < sizes if step == 1 else quota > 1
        quota[np.argmax(np.where(is_open, step * (exact - quota), -np.inf))] += step
    order = np.random.default_rng(seed).permutation(len(strata))
    rank = np.empty(len(strata), dtype=int)
    by_stratum = order[np.argsort(strata[order], kind="stable")]
    rank[by_stratum] = np.arange(len(strata)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.asarray(rank < quota[strata])
