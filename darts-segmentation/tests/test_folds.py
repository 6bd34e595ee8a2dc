"""Splits and folds never leak: no sample, by region no region and no patch within the buffer, has two roles."""

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_segmentation.training.splits.division import SplitParameters
from darts_segmentation.training.splits.folds import every_fold, make_split
from darts_utils.errors import ConfigError, DataError

BY_REGION = ("region", "region-stratified")
SPLITS = [None, "none", "random", "region", "sample"]
FOLDS = [None, "kfold", "shuffle", "stratified", "region", "region-stratified", "none"]


def make_set(seed, n_regions=5, samples_per_region=3, spread_km=20, overlapping=0.0, order=False):
    """Return the metadata of square patches of 640 m, by sample about a place, by region about another."""
    rng = np.random.default_rng(seed)
    rows, outlines = [], []
    for region in range(n_regions):
        about = rng.uniform(-spread_km, spread_km, 2) * 1000 + (-1_900_000, -300_000)
        for sample in range(rng.integers(1, samples_per_region + 1)):
            place = about + rng.normal(0, 3000, 2)
            in_region = (region + 1) % n_regions if rng.random() < overlapping else region
            for patch in range(rng.integers(1, 6)):
                west, south = place + 500 * np.array(divmod(patch, 2))
                is_moved = patch == 0 and rng.random() < overlapping
                rows.append({
                    "region": f"R{in_region if is_moved else region}", "sample_id": f"s{region}.{sample}",
                    "empty": bool(rng.random() < 0.5),
                })  # fmt: skip
                outlines.append(shapely.box(west, south, west + 640, south + 640))
    table = gpd.GeoDataFrame(rows, geometry=outlines, crs="EPSG:3413").to_crs("EPSG:4326")
    table.insert(0, "z_idx", np.arange(len(table)))
    return table.sample(frac=1, random_state=seed) if order else table


def tables(**options):
    return st.builds(
        make_set, seed=st.integers(0, 10_000), n_regions=st.integers(4, 7), spread_km=st.sampled_from([3, 12, 200]),
        overlapping=st.sampled_from([0, 0.15]), order=st.booleans(), **options,
    )  # fmt: skip


PARAMETERS = st.builds(
    SplitParameters, data_split_method=st.sampled_from(SPLITS), fold_method=st.sampled_from(FOLDS),
    total_folds=st.integers(2, 5), random_seed=st.integers(0, 1000), buffer_m=st.sampled_from([0.0, 300.0, 1000.0]),
    subsample=st.sampled_from([None, 20]),
)  # fmt: skip


def splits(table, parameters):
    """Return the splits of all folds, none where this small set cannot be divided so."""
    try:
        return list(every_fold(table, parameters))
    except ConfigError as error:
        if not str(error).startswith(("no patch is left", "there is one", "total_folds is", "subsample is")):
            raise
        return []


def roles(split):
    return {"train": split.train, "val": split.val, "test": split.test}


@given(table=tables(), parameters=PARAMETERS)
@settings(max_examples=50, deadline=None)
def test_no_sample_has_two_roles_whatever_the_method(table, parameters):
    sample = table.set_index("z_idx").sample_id
    for split in splits(table, parameters):
        names = [set(sample[patches]) for patches in roles(split).values()]
        assert sum(map(len, names)) == len(set.union(*names))
        assert len(split.train) > 0
        assert (len(split.test) == 0) == (split.method == "none")
        assert (len(split.val) == 0) == (split.fold_method == "none")


@given(table=tables(), parameters=PARAMETERS)
@settings(max_examples=50, deadline=None)
def test_by_region_no_region_is_shared_and_nothing_lies_within_the_buffer_of_a_training_patch(table, parameters):
    rows = table.set_index("z_idx")
    ground = rows.geometry.to_crs("EPSG:3413")
    for split in splits(table, parameters):
        apart = [(split.test, split.method == "region"), (split.val, split.fold_method in BY_REGION)]
        for patches, is_by_region in apart:
            if is_by_region:
                assert not set(rows.region[patches]) & set(rows.region[split.train])
                for outline in ground[patches]:
                    assert shapely.distance(ground[split.train].array, outline).min() > parameters.buffer_m


@given(table=tables(), parameters=PARAMETERS)
@settings(max_examples=30, deadline=None)
def test_folds_are_disjoint_and_together_all_but_the_test(table, parameters):
    parameters = replace(parameters, subsample=None)
    found = splits(table, parameters)
    for split in found:
        whole = np.sort(np.concatenate([*roles(split).values(), split.left_out]))
        assert np.array_equal(whole, np.arange(len(table)))
        assert np.array_equal(split.test, found[0].test)
        assert split.total_folds == (0 if split.fold_method == "none" else len(found))
    if found and found[0].fold_method not in ("shuffle", "none"):
        in_folds = np.concatenate([split.val for split in found])
        assert np.array_equal(np.sort(in_folds), np.setdiff1d(np.arange(len(table)), found[0].test))
        rows = table.set_index("z_idx")
        if found[0].fold_method in BY_REGION:
            seen = [name for split in found for name in split.regions["val"]]
            assert sorted(seen) == sorted(set(rows.region[in_folds]))


@given(table=tables(), parameters=PARAMETERS, seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_same_seed_gives_the_same_split_in_whatever_order_the_rows_stand(table, parameters, seed):
    again = splits(table.sample(frac=1, random_state=seed), parameters)
    for one, other in zip(splits(table, parameters), again, strict=True):
        assert one.describe() == other.describe()
        for role, patches in roles(one).items():
            assert np.array_equal(patches, roles(other)[role])
            assert patches.dtype == np.int64


@given(table=tables(), parameters=PARAMETERS, number=st.integers(6, 40))
@settings(max_examples=30, deadline=None)
def test_a_subsample_keeps_the_roles_and_the_share_of_patches_with_slumps(table, parameters, number):
    whole = splits(table, replace(parameters, subsample=None))
    empty = table.set_index("z_idx")["empty"]
    for one, some in zip(whole, splits(table, replace(parameters, subsample=number)), strict=True):
        total = sum(map(len, roles(one).values()))
        assert sum(map(len, roles(some).values())) == min(number, total)
        for role, patches in roles(some).items():
            assert set(patches) <= set(roles(one)[role])
            for kind in (True, False):
                size, kept = (int((empty[p] == kind).sum()) for p in (roles(one)[role], patches))
                # one for each kind at least, so that up to five others give one away
                assert kept >= min(size, 1)
                assert abs(kept - size * min(number / total, 1)) < 6


def test_other_seeds_choose_other_regions():
    table = make_set(3, n_regions=8)
    chosen = {make_split(table, SplitParameters(random_seed=seed)).regions["test"] for seed in range(12)}
    assert len(chosen) > 3


def test_a_test_that_nobody_named_is_about_a_fifth_of_the_patches():
    table = make_set(1, n_regions=40)
    for method in ("region", "sample", "random"):
        for seed in range(5):
            split = make_split(table, SplitParameters(data_split_method=method, random_seed=seed))
            assert len(split.test) / len(table) == pytest.approx(0.2, abs=0.03)
    half = make_split(table, SplitParameters(data_split_method="random", data_split_by=["0.5"]))
    assert len(half.test) / len(table) == pytest.approx(0.5, abs=0.03)


def test_stratified_folds_have_like_shares_of_slumps_and_none_is_empty():
    rng = np.random.default_rng(2)
    table = make_set(4, n_regions=12, samples_per_region=8)
    table["empty"] = ~table.sample_id.isin(rng.choice(table.sample_id.unique(), 20))
    shares = {}
    for method in ("stratified", "kfold"):
        found = list(every_fold(table, SplitParameters(data_split_method="none", fold_method=method)))
        shares[method] = np.std([split.positives["val"] / len(split.val) for split in found])
    assert shares["stratified"] < 0.02 < shares["kfold"]
    # scikit-learn's StratifiedGroupKFold leaves a fold of these empty
    sizes, slumps = [1, 5, 59, 1], [0, 0, 5, 1]
    region = np.repeat(np.arange(4), sizes)
    far = [shapely.box(10 * r, 70, 10 * r + 0.01, 70.01) for r in region]
    skewed = gpd.GeoDataFrame({
        "z_idx": np.arange(66), "region": [f"R{r}" for r in region], "sample_id": [f"s{r}" for r in region],
        "empty": np.concatenate([np.arange(n) >= m for n, m in zip(sizes, slumps, strict=True)]),
    }, geometry=far, crs="EPSG:4326")  # fmt: skip
    by_region = SplitParameters(data_split_method="none", fold_method="region-stratified", total_folds=4)
    assert sorted(len(split.val) for split in every_fold(skewed, by_region)) == [1, 1, 5, 59]


def line_of_regions(gaps_m=(500, 1500, 5000)):
    """Return one patch a region, from west to east, with gaps between them, and one sample each."""
    west = np.concatenate([[0], np.cumsum(np.array(gaps_m) + 1000)]) - 2_000_000
    rows = {
        "z_idx": range(len(west)), "region": list("ABCD"), "sample_id": list("abcd"),
        "empty": [False, True, False, True],
    }  # fmt: skip
    outlines = [shapely.box(x, -100_000, x + 1000, -99_000) for x in west]
    return gpd.GeoDataFrame(rows, geometry=outlines, crs="EPSG:3413").to_crs("EPSG:4326")


@pytest.mark.parametrize(("buffer_m", "left_out"), [(499, []), (501, [1]), (3001, [1, 2])])
def test_training_patches_nearer_than_the_buffer_are_left_out(buffer_m, left_out):
    by = SplitParameters(
        data_split_method="region", data_split_by=["A"], fold_method="none", buffer_m=buffer_m, random_seed=1
    )
    split = make_split(line_of_regions(), by)
    # 500 m from A to B, and 500 + 1000 + 1500 = 3000 m from A to C
    assert list(split.left_out) == left_out
    assert list(split.test) == [0]


def test_the_line_says_what_was_split_how():
    by = SplitParameters(data_split_by=["A"], buffer_m=600, total_folds=3)
    assert make_split(line_of_regions(), replace(by, fold=1)).describe() in {
        "split by region: test 1 patch, 1 with slumps (A); fold 1 of 3 by region: validation 1 patch, "
        f"{positive} with slumps ({name}); training {rest}"
        for name, positive, rest in (
            ("B", 0, "2 patches, 1 with slumps (C, D)"),
            ("C", 1, "1 patch, 0 with slumps (D); 1 patch left out within 600 m of test or validation"),
            ("D", 0, "1 patch, 1 with slumps (C); 1 patch left out within 600 m of test or validation"),
        )
    }
    whole = SplitParameters(data_split_method="none", fold_method="none")
    line = "no test; no validation; training 4 patches, 2 with slumps (A, B, C, D)"
    assert make_split(line_of_regions(), whole).describe() == line


def test_regions_that_share_a_sample_are_one():
    table = line_of_regions()
    table.loc[3, "sample_id"] = "a"
    by = SplitParameters(data_split_method="region", data_split_by=["A"], fold_method="none", buffer_m=0)
    assert make_split(table, by).regions["test"] == ("A", "D")
    # three groups are no four regions
    assert make_split(table, SplitParameters(fold_method="none")).method == "sample"
    assert make_split(line_of_regions(), SplitParameters(fold_method="none")).method == "region"


def test_the_usual_number_of_folds_is_at_most_that_of_the_regions():
    split = make_split(line_of_regions(), SplitParameters(data_split_by=["D"], buffer_m=0))
    assert (split.total_folds, split.fold_method) == (3, "region")


def test_a_patch_across_the_antimeridian_has_its_neighbours_on_both_sides():
    grid = gpd.GeoSeries([shapely.box(x, 2_000_000, x + 900, 2_000_900) for x in (-450, 550)], crs="EPSG:3413")
    turned = grid.rotate(45, origin=(0, 0)).set_crs("EPSG:3413").to_crs("EPSG:4326")
    assert turned.bounds.minx[0] < -179 < 179 < turned.bounds.maxx[0]
    row = {"z_idx": [0, 1], "region": ["A", "B"], "sample_id": ["a", "b"], "empty": [True, False]}
    table = gpd.GeoDataFrame(row, geometry=turned, crs="EPSG:4326")
    by = SplitParameters(data_split_method="region", data_split_by=["A"], fold_method="none", buffer_m=99)
    assert list(make_split(table, by).train) == [1]
    with pytest.raises(ConfigError, match=r"^no patch is left for training\. All lies within buffer_m \(101 m\) of th"):
        make_split(table, replace(by, buffer_m=101.0))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data_split_method": "regions"}, "data_split_method is 'regions' but must be none, random, region, sample. "
         "Correct it."),
        ({"fold_method": "regions"}, "fold_method is 'regions' but must be kfold, shuffle, stratified, region, "
         "region-stratified, none. Correct it."),
        ({"data_split_method": "region", "data_split_by": ["R 1"]}, "data_split_by names the region 'R 1', which the "
         "set does not have. Did you mean R1?"),
        ({"data_split_method": "region", "data_split_by": ["Yukon"]}, "data_split_by names the region 'Yukon', which "
         "the set does not have. There are R0, R1, R2, R3, R4, R5 and 1 more."),
        ({"data_split_method": "sample", "data_split_by": ["R1"]}, "data_split_by names the sample 'R1', which the set "
         "does not have. It is a region: set data_split_method to region."),
        ({"data_split_method": "region", "data_split_by": [f"R{n}" for n in range(7)]}, "no patch is left for "
         "training. data_split_by names every region. Name fewer."),
        ({"data_split_method": "none", "data_split_by": ["R1"]}, "data_split_by is R1 but there is no test. Choose a "
         "data_split_method."),
        *(({"data_split_method": "random", "data_split_by": by}, f"data_split_by is {', '.join(by)} but must be one "
         "share between 0 and 1 where data_split_method is random, such as 0.2.")
          for by in (["0"], ["1"], ["20"], ["R1"], ["0.1", "0.2"], ["nan"])),
        ({"total_folds": 1}, "total_folds is 1 but must be at least 2. Raise it, or set fold_method to none."),
        ({"total_folds": 9, "data_split_by": ["R1"]}, "total_folds is 9 but beside the test there are 6 regions. Lower "
         "it to 6 or less."),
        ({"fold": 5}, "fold is 5 but must be from 0 to 4. Correct it."),
        ({"fold": -1}, "fold is -1 but must be from 0 to 4. Correct it."),
        ({"subsample": 0}, "subsample is 0 but must be positive. Leave it out to use all patches."),
        ({"subsample": 3}, "subsample is 3 but must be at least 6, one patch with and one without slumps for each of "
         "training, validation and test. Raise it."),
        ({"buffer_m": -1.0}, "buffer_m is -1.0 but must be 0 or more metres. Correct it."),
        ({"buffer_m": float("nan")}, "buffer_m is nan but must be 0 or more metres. Correct it."),
        ({"random_seed": -1}, "random_seed is -1 but must be 0 to 4294967295. Correct it."),
        ({"buffer_m": 1e6}, "no patch is left for training. All lies within buffer_m (1e+06 m) of the rest."),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused_in_a_line(given, message):
    with pytest.raises(ConfigError) as caught:
        make_split(make_set(7, n_regions=7), SplitParameters(**given))
    assert str(caught.value) == message


def test_a_set_of_one_sample_cannot_be_split():
    table = line_of_regions().iloc[:1]
    with pytest.raises(ConfigError, match=r"^there is one sample only, and none to test with\. Set data_split_method "):
        make_split(table, SplitParameters())
    with pytest.raises(ConfigError, match=r"^there is one sample only beside the test, and none to validate with\. Se"):
        make_split(table, SplitParameters(data_split_method="none"))
    with pytest.raises(ConfigError, match=r"^there is one region only, and none to test with\. Set data_split_method "):
        make_split(table, SplitParameters(data_split_method="region"))
    assert list(make_split(table, SplitParameters(data_split_method="none", fold_method="none")).train) == [0]


def test_broken_metadata_are_refused():
    table = line_of_regions()
    with pytest.raises(DataError, match=r"^the metadata of the training set lack region, empty\. Make the set anew\.$"):
        make_split(table.drop(columns=["region", "empty"]), SplitParameters())
    with pytest.raises(DataError, match=r"^patches of the training set have no region, geometry\. Make the set anew\."):
        make_split(table.assign(region=[None, "A", "B", "C"]).set_geometry([shapely.Polygon(), *table.geometry[1:]],
                                                                            crs=4326), SplitParameters())  # fmt: skip
    with pytest.raises(DataError, match=r"^two patches of the training set have the same z_idx\. Make the set anew\.$"):
        make_split(table.assign(z_idx=[0, 1, 1, 2]), SplitParameters())
    with pytest.raises(ConfigError, match=r"^the training set has no patches\. Add images to it\.$"):
        make_split(table.iloc[:0], SplitParameters())
