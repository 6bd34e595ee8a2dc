"""Each check of inference passes for the engine as it is, and fails for one that is broken on purpose."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from darts_segmentation.ensemble import EnsembleV1
from darts_segmentation.inference import predict
from darts_segmentation.network import Member
from darts_segmentation.patches import Patching, patch_grid
from darts_segmentation.symmetry import VIEWS
from darts_segmentation.validation.measures import (
    Coverage,
    Differences,
    Steps,
    coverage,
    differences,
    seams,
    share_error,
    steps_at_seams,
)
from darts_segmentation.validation.of_input import (
    check_batch_size,
    check_determinism,
    check_no_data,
    check_precisions,
)
from darts_segmentation.validation.of_views import check_views, turned
from darts_segmentation.validation.on_the_grid import check_coverage, check_offset, check_seams, on_shifted_grid
from darts_segmentation.validation.subject import OneModel, Subject, subject_of
from darts_utils.parameters import BFLOAT16, FLOAT16, FLOAT32, PRECISIONS

CPU = torch.device("cpu")
BANDS = ("red", "nir", "slope", "aspect", "hillshade")
PATCHING = Patching(patch_size=64, overlap=32, batch_size=4)


class Wide(nn.Module):
    """A mean over 5 x 5 pixels whose padding shows at the edges of a patch, as that of every network does."""

    def forward(self, x):
        return 12 * (nn.functional.avg_pool2d(x.mean(1, keepdim=True), 5, 1, 2) - 0.4)


class Near(nn.Module):
    """Two convolutions: two pixels of reach, weights from a seed."""

    def __init__(self, n_bands, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Conv2d(n_bands, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 1, 3, padding=1))

    def forward(self, x):
        return 4 * self.layers(x)


def ground(height=150, width=190):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    wave = np.sin(x / 9) * np.cos(y / 13)
    layers = {
        "red": 0.15 + 0.15 * wave, "nir": 0.2 + 0.1 * np.cos(x / 7 + y / 11), "slope": 12 + 10 * wave,
        "aspect": (40 * x + 17 * y) % 360, "hillshade": np.zeros_like(wave),
    }  # fmt: skip
    tile = xr.Dataset({name: (("y", "x"), values.astype(np.float32)) for name, values in layers.items()})
    tile["quality_data_mask"] = (("y", "x"), np.full((height, width), 2, np.uint8))
    tile["quality_data_mask"].values[:12, 40:80] = 0
    tile["nir"].values[100:104, 20:30] = np.nan
    tile["slope"].values[60:64, 60:80], tile["aspect"].values[60:64, 60:80] = 0, -1
    tile = tile.assign_coords(y=7_700_000.0 - 10 * np.arange(height), x=500_000.0 + 10 * np.arange(width))
    tile.attrs = {"azimuth": 150.0, "elevation": 35.0}
    slope, aspect = np.radians(tile.slope.values), np.radians(tile.aspect.values)
    sun, zenith = np.radians(150), np.radians(55)
    lit = np.cos(zenith) * np.cos(slope) + np.sin(zenith) * np.sin(slope) * np.cos(sun - aspect)
    tile["hillshade"].values[:] = np.clip(lit, 0, 1)
    return tile


def engine_of(*members, temperature=1.0, precision=FLOAT32):
    def engine(tile, patching, *, tta="none"):
        return predict(tile, members, patching, CPU, tta=tta, temperature=temperature, precision=precision).mean

    return engine


def member(network, bands=BANDS, name="one"):
    return Member(name=name, model=network.eval(), bands=bands)


@pytest.fixture(scope="module")
def subject():
    members = (member(Near(len(BANDS), 2)), member(Near(2, 5), ("nir", "red"), "two"))
    return Subject(
        engine=engine_of(*members, temperature=1.7), tile=ground(), patching=PATCHING, bands=BANDS, multiple=8,
        models=tuple(OneModel(engine=engine_of(one), bands=one.bands) for one in members), temperature=1.7,
        in_precision={one: engine_of(*members, precision=one) for one in (FLOAT32, FLOAT16)},
    )  # fmt: skip


def broken(subject, change):
    """The subject with an engine that changes what the sound one says."""
    return replace(subject, engine=lambda tile, patching, *, tta="none": change(
        tile, patching, subject.engine(tile, patching, tta=tta)
    ))  # fmt: skip


# --- measures


def test_differences_are_means_shares_and_extremes():
    found, expected = np.zeros((40, 50), np.float32), np.zeros((40, 50), np.float32)
    found[0, :4], found[1, 0], expected[2] = (0.5, 0.25, 0.25, 0.25), np.nan, np.nan
    found[2] = np.nan
    where = np.ones((40, 50), bool)
    where[1] = False
    assert differences(found, expected, where) == Differences(n=1900, mean=1.25 / 1900, most=0.25, largest=0.5)
    assert differences(found, expected, ~where).largest == np.inf
    assert differences(found, expected, np.zeros_like(where)) == Differences(n=0, mean=0, most=0, largest=0)


def test_coverage_counts_pixels_without_and_beyond():
    values = np.array([[0.5, np.nan, 1.5], [np.nan, 0.2, 1.0]], np.float32)
    valid = np.array([[True, True, True], [False, False, True]])
    assert coverage(values, valid) == Coverage(n_valid=4, n_without=2, n_beyond=1)


def test_shares_add_up_and_a_lost_patch_is_seen():
    grid = patch_grid((150, 190), PATCHING, 8)
    assert share_error(grid, (150, 190)) < 1e-6
    assert share_error(replace(grid, rows=grid.rows[1:]), (150, 190)) > 0.5


def test_seams_are_where_patches_begin_and_end():
    grid = patch_grid((96, 64), Patching(patch_size=64, overlap=32), 8)
    assert seams(grid.rows, 96) == [32, 64]
    assert seams(grid.columns, 64) == []


def test_steps_at_seams_are_compared_with_the_same_pixels_without():
    y, x = np.mgrid[:60, :80]
    ramp = (0.01 * y + 0.002 * x).astype(np.float32)
    stepped = ramp + np.where(y >= 30, 0.005, 0).astype(np.float32)
    steps = steps_at_seams(stepped, ramp, [30], [])
    assert (steps.n, round(steps.at_seams, 4), round(steps.without, 4)) == (80, 0.015, 0.01)
    assert steps.ratio == pytest.approx(1.5, abs=1e-3)
    assert steps_at_seams(stepped.T, ramp.T, [], [30]).ratio == pytest.approx(1.5, abs=1e-3)
    assert steps_at_seams(stepped, ramp, [31], [40]).ratio == pytest.approx(1, abs=1e-3)
    assert (steps + steps_at_seams(stepped, ramp, [20], [])).ratio == pytest.approx(1.25, abs=1e-3)
    stepped[30, :70], ramp[29, 70:] = np.nan, np.nan
    assert steps_at_seams(stepped, ramp, [30], []) == Steps(n=0, at_seams=0, without=0)
    assert steps_at_seams(np.full((60, 80), 0.5), np.full((60, 80), 0.5), [30], [40]).ratio == 1


# --- checks of the grid


def test_a_sound_engine_passes_all_checks(subject):
    shifted = on_shifted_grid(subject)
    findings = [check_offset(shifted), check_seams(shifted)] + [
        check(subject) for check in (check_coverage, check_no_data, check_batch_size, check_determinism, check_views)
    ]
    assert {finding.check: finding.status for finding in findings} == dict.fromkeys(
        ("coverage", "offset grid", "seams", "no data", "batch size", "determinism", "tta"), "passed"
    )


@pytest.mark.parametrize("fault", ["lost", "beyond", "over"])
def test_coverage_fails_for_pixels_lost_or_made_up(subject, fault):
    def change(tile, patching, values):
        values[90, 90], values[3, 50] = {"lost": (np.nan, np.nan), "beyond": (0.5, 0.5), "over": (1.5, np.nan)}[fault]
        return values

    finding = check_coverage(broken(subject, change))
    assert finding.status == "failed"
    assert (finding.figures["n_without"], finding.figures["n_beyond"]) == {
        "lost": (1, 0), "beyond": (0, 1), "over": (1, 0),
    }[fault]  # fmt: skip


def test_patches_without_blending_make_seams_and_depend_on_the_grid(subject):
    """A network that sees the edges of patches, cut hard where they meet."""
    wide = member(Wide(), ("red", "nir"))

    def hard(tile, patching, *, tta="none"):
        return predict(tile, [wide], replace(patching, overlap=0), CPU).mean

    uniform = replace(subject, engine=hard, patching=replace(PATCHING, overlap=0))
    blended = replace(subject, engine=engine_of(wide))
    for engine, status in ((blended, "passed"), (uniform, "failed")):
        shifted = on_shifted_grid(engine)
        assert (check_seams(shifted).status, check_offset(shifted).status) == (status, status)


def test_the_shifted_grid_has_its_seams_elsewhere(subject):
    shifted = on_shifted_grid(subject)
    assert (shifted.rows % 8, shifted.columns % 8, shifted.margin_px) == (0, 0, 16)
    assert shifted.base.shape == shifted.again.shape == (150 - shifted.rows - 32, 190 - shifted.columns - 32)
    for own, other in zip(*shifted.seams, strict=True):
        assert own
        assert other
        assert not set(own) & set(other)
    again = subject.probabilities(subject.tile.isel(y=slice(shifted.rows, None), x=slice(shifted.columns, None)))
    np.testing.assert_array_equal(shifted.again, again[16:-16, 16:-16])


def test_one_patch_has_no_seams_and_little_ground_no_inside(subject):
    small = replace(subject.part(32), patching=Patching(patch_size=32, overlap=31))
    assert [check(on_shifted_grid(small)).status for check in (check_seams, check_offset)] == ["skipped", "skipped"]


# --- checks of the input


def test_an_engine_that_reads_what_lies_under_no_data_fails(subject):
    def leaking(tile, patching, values):
        return np.clip(values + 1e-3 * np.tanh(np.nanmean(tile["red"].values)), 0, 1)

    finding = check_no_data(broken(subject, leaking))
    assert finding.status == "failed"
    assert finding.figures["n_inside"] == 0
    assert finding.figures["n_leaked"] > 1000


def test_an_engine_that_fills_no_data_fails(subject):
    finding = check_no_data(broken(subject, lambda tile, patching, values: np.nan_to_num(values)))
    assert (finding.status, finding.figures["n_inside"]) == ("failed", 2 * 18 * 22)


def test_an_engine_that_depends_on_the_batch_fails(subject):
    change = lambda tile, patching, values: np.clip(values + 1e-3 * patching.batch_size, 0, 1)  # noqa: E731
    assert check_batch_size(broken(subject, change)).status == "failed"
    half = replace(broken(subject, change), precision=BFLOAT16)
    assert (check_batch_size(half).status, check_batch_size(half).limit) == ("passed", f"0.005 on 99.9 % ({BFLOAT16})")


def test_an_engine_with_chance_in_it_fails(subject):
    rng = np.random.default_rng(0)
    change = lambda tile, patching, values: values + rng.uniform(0, 1e-7, values.shape).astype("f4")  # noqa: E731
    assert check_determinism(broken(subject, change)).status == "failed"


def test_other_numbers_are_figures_and_fail_only_where_runs_use_them(subject):
    (finding,) = check_precisions(subject)
    assert (finding.check, finding.status) == ("precision float16", "information")
    assert 0 < finding.figures["p99.9"] < 0.1
    assert "float32 is used here" in finding.measured
    coarse = {**subject.in_precision, FLOAT16: lambda *_, **__: np.round(subject.base * 4) / 4}
    used = replace(subject, in_precision=coarse, precision=FLOAT16)
    assert [one.status for one in check_precisions(used)] == ["failed"]


def test_a_part_is_where_slumps_are_and_else_where_ground_is_valid(subject):
    slumps = np.zeros((150, 190), np.float32)
    slumps[100:130, 20:50] = 0.9
    lively = replace(subject, engine=lambda *_, **__: slumps)
    top, left = lively.corner(64)
    assert (top, left) == (80, 0)
    assert lively.part(64).tile.identical(subject.tile.isel(y=slice(80, 144), x=slice(0, 64)))
    top, left = replace(subject, engine=lambda *_, **__: np.full((150, 190), np.nan, np.float32)).corner(96)
    assert subject.valid[top : top + 96, left : left + 96].all()
    assert subject.part(500).shape == (150, 190)


# --- views


def test_views_fail_where_a_picture_is_turned_without_its_directions(subject, monkeypatch):
    from darts_segmentation import network

    monkeypatch.setattr(network.View, "apply", lambda self, x, bands, sun=None: self.turn(x))
    assert check_views(subject).status == "failed"


def test_views_fail_where_they_are_not_turned_back(subject, monkeypatch):
    from darts_segmentation import network

    monkeypatch.setattr(network.View, "undo", lambda self, values: values)
    assert check_views(subject).status == "failed"


def test_views_fail_where_probabilities_are_averaged_and_not_logits(subject):
    def engine(tile, patching, *, tta="none"):
        if tta == "none":
            return subject.engine(tile, patching)
        views = [(view, turned(tile, view, BANDS)) for view in VIEWS]
        each = [subject.engine(seen, patching) for _, seen in views]
        back = [view.undo(torch.from_numpy(p.copy())).numpy() for (view, _), p in zip(views, each, strict=True)]
        return np.mean(back, axis=0, dtype=np.float32)

    assert check_views(replace(subject, engine=engine)).status == "failed"


def test_the_views_that_a_run_uses_are_those_that_are_checked(subject):
    finding = check_views(replace(subject, tta="minimal"))
    assert (finding.status, finding.figures["views"]) == ("passed", 2)


def test_turning_ground_four_times_leads_back():
    tile, view = ground(20, 20), VIEWS[4]
    round_trip = tile
    for _ in range(4):
        round_trip = turned(round_trip, view, BANDS)
    for band in BANDS:
        np.testing.assert_allclose(round_trip[band], tile[band], atol=2e-4)


# --- models


def test_models_are_checked_as_runs_use_them(checkpoint, tile_of):
    ensemble = EnsembleV1({"a": checkpoint, "b": checkpoint}, "cpu")
    subject = subject_of(ensemble, tile_of(150, 170), PATCHING)
    assert (subject.bands, subject.multiple, subject.precision) == (("red", "ndvi", "slope"), 8, FLOAT32)
    np.testing.assert_array_equal(subject.base, ensemble.segment_tile(subject.tile, 64, 32, 4)["probabilities"])
    assert check_views(subject).status == "passed"
    names = [(one.check, one.status) for one in check_precisions(subject.part(64))]
    assert names == [(f"precision {one}", "information") for one in PRECISIONS[1:]]
