"""Everything that can be wrong with a training set is found and named; a sound one has no problems."""

import shutil
import time

import numpy as np
import pytest
import zarr

from darts_segmentation.training import validate_dataset
from darts_segmentation.training.checking.checks import BAND_ORDER
from darts_segmentation.training.splits.division import SplitParameters
from darts_utils.bands import TRAINING_BANDS, manager

N, SIZE = 7, 24


def found(folder, **options):
    """Return the problems of a set as kinds with where they are."""
    problems = {}
    for problem in validate_dataset(folder, **options).problems:
        problems.setdefault(problem.kind, []).append(problem.where)
    return problems


@pytest.mark.parametrize(
    "options", [{}, {"shards": True}, {"write_empty_chunks": False}, {"config": {"bands": list(TRAINING_BANDS)}}]
)
def test_a_sound_set_has_no_problems(make_set, options):
    report = validate_dataset(make_set(**options))
    assert report.problems == ()
    assert report.exit_code == 0
    assert report.n_patches == N


def test_the_order_of_the_bands_is_that_of_the_contract_and_all_have_codecs():
    contract = (
        "red green blue nir ndvi relative_elevation slope aspect hillshade curvature "
        "tc_brightness tc_greenness tc_wetness"
    )
    assert " ".join(TRAINING_BANDS) == contract
    assert all(band in manager for band in TRAINING_BANDS)


def test_the_balance_of_classes_is_counted_by_region(make_set):
    report = validate_dataset(make_set())
    whole = SIZE * SIZE
    assert report.balance == (
        ("Inuvik", 3, 2, 3 * whole - 48, 48, 0),
        ("No Region", 2, 2, 2 * whole - whole // 2, 0, whole // 2),
        ("Yukon", 2, 0, 2 * whole - 40 - 25 - whole // 2, 65, whole // 2),
        ("all", 7, 4, 7 * whole - 113 - whole, 113, whole),
    )


def test_bands_are_summed_up(make_set):
    x = np.random.default_rng(1).uniform(0.2, 0.3, (N, 13, SIZE, SIZE)).astype(np.float32)
    x[3, 2, 5, 5], x[6, 2, 1, 1] = 0, 1
    rows = validate_dataset(make_set(x=x)).bands
    assert [row[0] for row in rows] == list(TRAINING_BANDS)
    assert rows[2][1:] == pytest.approx((0, x[:, 2].mean(), 1), abs=1e-5)
    assert rows[0][1:] == pytest.approx((x[:, 0].min(), x[:, 0].mean(), x[:, 0].max()), abs=1e-5)


def with_values(patch, value, where=(4, 3, 3)):
    """Return a function that makes a set with a value at one place of one patch."""

    def make(make_set):
        x = np.random.default_rng(2).uniform(0.1, 0.9, (N, 13, SIZE, SIZE)).astype(np.float32)
        x[(patch, *where)] = value
        return make_set(x=x)

    return make


def with_labels(patch, change):
    def make(make_set):
        folder = make_set()
        y = zarr.open_array(folder / "data.zarr" / "y")
        label = y[patch]
        change(label)
        with zarr.config.set({"array.write_empty_chunks": True}):
            zarr.open_array(folder / "data.zarr" / "y")[patch] = label
        return folder

    return make


def all_but_a_corner_ignored(label):
    label[:] = 2
    label[0, :5] = 0


def a_three(label):
    label[2, 2] = 3


def no_slump(label):
    label[label == 1] = 0


def a_slump(label):
    label[5, 5] = 1


def without_chunk(name, patch):
    def make(make_set):
        folder = make_set()
        shutil.rmtree(folder / "data.zarr" / name / "c" / str(patch))
        return folder

    return make


def with_damaged_chunk(name, patch):
    def make(make_set):
        folder = make_set()
        for file in (folder / "data.zarr" / name / "c" / str(patch)).rglob("*"):
            if file.is_file():
                file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        return folder

    return make


def with_table(change):
    def make(make_set):
        from_folder = make_set("good")
        import geopandas as gpd

        return make_set("bad", metadata=change(gpd.read_parquet(from_folder / "metadata.parquet")))

    return make


def repeated_id(table):
    return table.assign(patch_id=["a", "b", "b", "c", "d", "e", "f"])


def without_geometry(table):
    table.loc[3, "geometry"] = None
    return table


def with_config(**config):
    return lambda make_set: make_set(config=config)


def the_same_twice(make_set):
    x = np.random.default_rng(2).uniform(0.1, 0.9, (N, 13, SIZE, SIZE)).astype(np.float32)
    x[5] = x[2]
    return make_set(x=x)


def in_large_chunks(make_set):
    folder = make_set()
    group, y = zarr.open_group(folder / "data.zarr"), zarr.open_array(folder / "data.zarr" / "y")[:]
    group.create_array("y", data=y, chunks=(4, SIZE, SIZE), overwrite=True)
    return folder


def as_float64(make_set):
    return make_set(x=np.random.default_rng(2).uniform(0.1, 0.9, (N, 13, SIZE, SIZE)))


def shorter_labels(make_set):
    return make_set(y=np.zeros((N - 1, SIZE, SIZE), np.uint8))


def damaged(part):
    def make(make_set):
        folder = make_set()
        (folder / part).write_bytes(b"\x00nothing")
        return folder

    return make


SHUFFLED = [*TRAINING_BANDS[1:], TRAINING_BANDS[0]]

PROBLEMS = [
    (with_values(3, np.nan), {"x is NaN or infinite somewhere": ["patch 3"]}),
    (with_values(3, np.inf), {"x is NaN or infinite somewhere": ["patch 3"]}),
    (with_values(2, 1.5), {"x is not within 0 to 1": ["patch 2"]}),
    (with_values(6, -0.01), {"x is not within 0 to 1": ["patch 6"]}),
    (with_values(0, 0.0, ()), {"x is 0 everywhere": ["patch 0"]}),
    (the_same_twice, {"x is the same as in another patch": ["patches 2 and 5"]}),
    (with_labels(2, all_but_a_corner_ignored), {"less than 10% of it is labelled": ["patch 2"]}),
    (with_labels(6, a_three), {"y has other values than 0, 1 and 2": ["patch 6"]}),
    (with_labels(1, no_slump), {"metadata says not empty but y has no slump": ["patch 1"]}),
    (with_labels(0, a_slump), {"metadata says empty but y has slumps": ["patch 0"]}),
    (without_chunk("x", 4), {"its chunk of x is missing": ["patch 4"]}),
    (without_chunk("y", 2), {"its chunk of y is missing": ["patch 2"]}),
    (with_damaged_chunk("x", 4), {"its chunks cannot be read": ["patch 4"]}),
    (with_damaged_chunk("y", 1), {"its chunks cannot be read": ["patch 1"]}),
    (with_table(repeated_id), {"a patch_id is there twice": ["b"]}),
    (with_table(without_geometry), {"its geometry is missing or invalid": ["patch 3"]}),
    (with_table(lambda t: t.assign(z_idx=t.z_idx[::-1].values)), {"its z_idx is not 0 to 6 in order": 1}),
    (with_table(lambda t: t.assign(z_idx=t.z_idx + 1)), {"its z_idx is not 0 to 6 in order": 1}),
    (with_table(lambda t: t.drop(columns=["region", "empty"])), {"it lacks region, empty": 1}),
    (with_table(lambda t: t.to_crs("EPSG:3413")), {"its CRS is not EPSG:4326": 1}),
    (
        with_table(lambda t: t.iloc[:-1]),
        {"it has 6 rows but x has 7 patches": 1, "it has 6 rows but y has 7 patches": 1},
    ),
    (with_config(bands=SHUFFLED), {f"its bands are not in the order {' '.join(BAND_ORDER)}": ["config.toml"]}),
    (with_config(bands=["pan", *TRAINING_BANDS[1:]]), {"no band is called pan": ["config.toml"]}),
    (with_config(bands=list(TRAINING_BANDS[:4])), {"it lists 4 bands but x has 13": ["config.toml"]}),
    (with_config(patch=3), {"it cannot be read (KeyError: 'it has no list of bands')": ["config.toml"]}),
    (in_large_chunks, {"its chunks are (4, 24, 24), not one a patch": ["y"]}),
    (as_float64, {"it is float64 with 4 dims, not float32 with 4": ["x"]}),
    (
        shorter_labels,
        {
            "x is (7, 13, 24, 24) but y is (6, 24, 24)": ["data.zarr"],
            "it has 7 rows but y has 6 patches": ["metadata.parquet"],
            "metadata says not empty but y has no slump": ["patch 1", "patch 3", "patch 4"],
        },
    ),
]


@pytest.mark.parametrize(("make", "expected"), PROBLEMS)
def test_a_problem_is_found_and_nothing_else(make_set, make, expected):
    problems = found(make(make_set))
    assert set(problems) == set(expected)
    for kind, where in expected.items():
        assert problems[kind] == where or (where == 1 and problems[kind] == ["metadata.parquet"])


@pytest.mark.parametrize("part", ["metadata.parquet", "config.toml", "data.zarr/x/zarr.json", "data.zarr/y/zarr.json"])
def test_a_damaged_part_is_a_problem_and_the_others_are_checked(make_set, part):
    folder = damaged(part)(make_set)
    report = validate_dataset(folder)
    name = part.removesuffix("/zarr.json")
    assert [problem.where for problem in report.problems] == [name]
    assert report.problems[0].kind.startswith("it cannot be read (")
    assert report.exit_code == 1


def test_a_missing_part_is_a_problem(make_set):
    folder = make_set()
    shutil.rmtree(folder / "data.zarr")
    assert sorted(problem.where for problem in validate_dataset(folder).problems) == ["data.zarr/x", "data.zarr/y"]


def test_threads_change_nothing_and_only_a_few_patches_are_in_memory(make_set):
    from darts_segmentation.training.checking import validate

    folder = the_same_twice(make_set)
    alone = validate_dataset(folder, threads=1)
    assert validate_dataset(folder, threads=5) == alone
    begun, ended, most = [], [], []

    def slow(training_set, index):
        begun.append(index)
        most.append(len(begun) - len(ended))
        return original(training_set, index)

    original = validate.check_patch
    training_set = validate.open_training_set(folder)
    for report in validate._in_order(lambda index: slow(training_set, index), range(7), 1):
        time.sleep(0.03)  # the reader is slow: nobody may read on without it
        ended.append(report.index)
    assert ended == list(range(7))
    assert max(most) <= 3


def test_the_command_prints_a_table_and_ends_with_status_0(make_set, darts):
    code, out, err = darts("training", "validate-dataset", make_set())
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "Yukon: 2: 0: 69.36%: 5.64%: 25.00%" in lines
    assert lines[0].startswith("Labels, share of all pixels (region, patches, without slump, background, slump")
    assert lines[-1] == "7 patches checked: no problems"


def test_the_command_names_problems_and_ends_with_status_1(make_set, darts):
    code, out, _ = darts("training", "validate-dataset", with_values(slice(0, 7), 2.0)(make_set))
    assert code == 1
    lines = out.splitlines()
    assert "x is not within 0 to 1: 7: patch 0, patch 1, patch 2, patch 3, patch 4 and 2 more" in lines
    assert lines[-1] == "7 patches checked: 7 problems"


def test_wrong_usage_is_one_line_and_status_2(make_set, darts, tmp_path):
    what = "holds no training set (data.zarr, metadata.parquet, config.toml). Give the folder of one."
    assert darts("training", "validate-dataset", tmp_path / "no") == (2, "", f"Error: {tmp_path / 'no'} {what}\n")
    code, out, err = darts("training", "validate-dataset", make_set(), "--threads", "0")
    assert (code, out, err) == (2, "", "Error: threads is 0 but must be positive. Use 1 or more.\n")


def by_image(table):
    """Return the metadata with a sample for each patch, and the last patch beside the one before."""
    table.loc[6, "geometry"] = table.geometry[5]
    return table.assign(sample_id=[f"scene {n}" for n in range(N)])


def test_the_roles_of_each_split_and_fold_are_shown_if_asked_for(make_set, darts):
    folder = with_table(by_image)(make_set)
    code, out, err = darts(
        "training", "validate-dataset", folder, "--data-split-method", "region", "--data-split-by", "Yukon",
        "--total-folds", "2", "--random-seed", "1",
    )  # fmt: skip
    lines = out.splitlines()
    start = lines.index("Split by region, 2 folds by region")
    assert lines[start + 1 : start + 7] == [
        "Roles (fold, role, patches, with slumps, without, regions):",
        "all: test: 2: 2: 0: Yukon",
        "0: validation: 3: 1: 2: Inuvik",
        "0: training: 2: 0: 2: No Region",
        "1: validation: 2: 0: 2: No Region",
        "1: training: 3: 1: 2: Inuvik",
    ]
    assert (code, err) == (0, "")
    assert "Split by" not in darts("training", "validate-dataset", folder)[1]


def test_a_subsample_and_a_set_without_test_or_validation_are_shown(make_set):
    folder = with_table(by_image)(make_set)
    whole = SplitParameters(data_split_method="none", fold_method="none", subsample=4)
    report = validate_dataset(folder, split=whole)
    assert report.split == "Split by none, no validation"
    assert [row.cells[:3] for row in report.roles] == [("all", "test", 0), ("all", "training", 4)]
    assert report.roles[0].cells == ("all", "test", 0, 0, 0, "none")
    by_sample = validate_dataset(folder, split=SplitParameters(total_folds=3))
    assert by_sample.split == "Split by sample, 3 folds by kfold"
    assert sum(row.positives + row.negatives for row in by_sample.roles if row.role != "training") == N


def test_a_set_that_cannot_be_divided_so_is_refused_in_a_line(make_set, darts):
    folder = with_table(by_image)(make_set)
    code, out, err = darts(
        "training", "validate-dataset", folder, "--data-split-method", "region", "--total-folds", "9"
    )
    what = "total_folds is 9 but beside the test there are 2 regions. Lower it to 2 or less."
    assert (code, out, err) == (2, "", f"Error: {what}\n")


def test_metadata_that_are_too_damaged_to_be_divided_are_a_problem_among_others(make_set):
    folder = with_table(lambda table: table.drop(columns="sample_id"))(make_set)
    report = validate_dataset(folder, split=SplitParameters())
    assert [problem.kind for problem in report.problems] == [
        "it lacks sample_id", "the metadata of the training set lack sample_id. Make the set anew.",
    ]  # fmt: skip
    assert report.split is None


def test_bands_that_the_set_does_not_have_are_a_problem_and_unknown_ones_a_mistake(make_set, darts):
    folder = make_set()
    code, out, err = darts("training", "validate-dataset", folder, "--bands", "red", "--bands", "pan")
    known = ", ".join(BAND_ORDER)
    assert (code, out, err) == (2, "", f"Error: no band is called pan. Known ones are {known}.\n")
    assert found(folder, bands=["red", "slope"]) == {}
    assert found(folder, bands=["red", "ndwi"]) == {"the set has no ndwi": ["config.toml"]}
