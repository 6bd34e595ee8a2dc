"""The eight views against terrain that is really turned before its slope, aspect and hillshade are computed."""

import itertools
import math

import numpy as np
import pytest
import torch

from darts_segmentation.symmetry import VIEWS, View
from darts_utils.bands import FLAT_GRADIENT, manager

BANDS = ("red", "slope", "aspect", "hillshade", "tc_wetness")
SUN = (133.0, 31.0)
VIEW_IDS = [f"{view.turns}{'m' if view.mirrored else ''}" for view in VIEWS]


def really_turned(picture: np.ndarray, view: View) -> np.ndarray:
    """Turn the last two axes by NumPy's own functions, in the order that `View` promises."""
    mirrored = np.flip(picture, axis=-1) if view.mirrored else picture
    return np.rot90(mirrored, view.turns, axes=(-2, -1))


def terrain(dem: np.ndarray, sun: tuple[float, float] = SUN) -> dict[str, np.ndarray]:
    """Slope, aspect and hillshade in model representation from heights in pixels: north is up, rows go south."""
    south, east = np.gradient(dem)
    north = -south
    steep = np.hypot(east, north)
    aspect = np.degrees(np.arctan2(-east, -north)) % 360
    azimuth, elevation = map(math.radians, sun)
    towards = np.array([math.cos(elevation) * math.sin(azimuth), math.cos(elevation) * math.cos(azimuth)])
    shade = (math.sin(elevation) - east * towards[0] - north * towards[1]) / np.sqrt(1 + steep**2)
    memory = {
        "slope": np.degrees(np.arctan(steep)),
        "aspect": np.where(steep < FLAT_GRADIENT, -1, aspect),
        "hillshade": np.clip(shade, 0, 1),
    }
    return {name: manager[name].normalize(values.astype(np.float32)) for name, values in memory.items()}


def hilly(height: int = 9, width: int = 12) -> np.ndarray:
    """Heights without any symmetry, with a lake that is all but level."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    dem = 2 * np.sin(x / 2.1 + 0.3) + 1.5 * np.cos(y / 1.7 - x / 5) + 0.2 * x
    dem[4:, 7:] = 1 + 1e-6 * x[4:, 7:]
    return dem


def stack(dem: np.ndarray, view: View = VIEWS[0]) -> torch.Tensor:
    rng = np.random.default_rng(5)
    others = {name: rng.uniform(0.1, 1, dem.shape).astype(np.float32) for name in ("red", "tc_wetness")}
    seen = {name: really_turned(values, view) for name, values in others.items()}
    layers = seen | terrain(really_turned(dem, view))
    return torch.from_numpy(np.stack([layers[name] for name in BANDS])[None].astype(np.float32))


def sun_of(*angles: tuple[float, float]) -> torch.Tensor:
    return torch.tensor(angles or [SUN])


@pytest.mark.parametrize("view", VIEWS, ids=VIEW_IDS)
def test_a_view_shows_what_the_turned_landscape_would_show(view):
    got = view.apply(stack(hilly()), BANDS, sun_of())
    expected = stack(hilly(), view)
    aspect = BANDS.index("aspect")
    apart = (got[:, aspect] - expected[:, aspect]).abs()
    assert torch.minimum(apart, 1 - apart).max() < 1e-6  # 359.99 and 0 degrees are neighbours
    rest = [channel for channel in range(len(BANDS)) if channel != aspect]
    torch.testing.assert_close(got[:, rest], expected[:, rest], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("view", "faces"),
    [
        (View(turns=1), 300),
        (View(turns=2), 210),
        (View(turns=3), 120),
        (View(mirrored=True), 330),
        (View(mirrored=True, turns=1), 240),
        (View(mirrored=True, turns=2), 150),
        (View(mirrored=True, turns=3), 60),
    ],
)
def test_a_plane_that_faces_30_degrees_faces_where_a_compass_says(view, faces):
    plane = torch.tensor([20 / 90, 30 / 360, 0.5]).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)
    got = view.apply(plane, ("slope", "aspect", "hillshade"), sun_of((100.0, 40.0)))
    z, s = math.radians(50), math.radians(20)
    shade = max(0, math.cos(z) * math.cos(s) + math.sin(z) * math.sin(s) * math.cos(math.radians(100 - faces)))
    expected = torch.tensor([20 / 90, faces / 360, shade]).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_the_eight_views_are_different_and_the_first_is_the_picture_itself():
    picture = torch.arange(12).reshape(3, 4)
    assert len({(tuple(view.turn(picture).shape), tuple(view.turn(picture).ravel().tolist())) for view in VIEWS}) == 8
    x = stack(hilly())
    assert VIEWS[0].apply(x, BANDS, sun_of()) is x


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_the_first_1_2_4_and_8_views_are_groups(n):
    group = set(VIEWS[:n])
    assert {second.after(first) for first in group for second in group} == group
    assert {view.inverse for view in group} == group


@pytest.mark.parametrize(("first", "second"), list(itertools.product(VIEWS, VIEWS)))
def test_one_view_after_another_is_the_view_that_it_says(first, second):
    x = stack(hilly())
    twice = second.apply(first.apply(x, BANDS, sun_of()), BANDS, sun_of())
    at_once = second.after(first).apply(x, BANDS, sun_of())
    if second.after(first).is_identity:  # whose hillshade is not made anew, and whose 360 stays
        at_once = stack(hilly())
    torch.testing.assert_close(twice, at_once, rtol=0, atol=1e-5)


@pytest.mark.parametrize("view", VIEWS, ids=VIEW_IDS)
def test_undoing_a_view_is_exact(view):
    logits = torch.randn(2, 1, 5, 7)
    assert torch.equal(view.undo(view.turn(logits)), logits)
    labels = torch.randint(3, (2, 5, 7), dtype=torch.uint8)
    assert torch.equal(view.undo(view.turn(labels)), labels)


@pytest.mark.parametrize("view", VIEWS, ids=VIEW_IDS)
def test_ground_without_data_stays_0_in_all_bands(view):
    assert not view.apply(torch.zeros(2, len(BANDS), 4, 6), BANDS, sun_of(SUN, SUN)).any()


@pytest.mark.parametrize("view", VIEWS[1:], ids=VIEW_IDS[1:])
def test_north_is_0_whether_it_was_0_or_360(view):
    north = torch.tensor([[0.2, 0.0, 0.5], [0.2, 1.0, 0.5]]).reshape(2, 3, 1, 1)
    got = view.apply(north, ("slope", "aspect", "hillshade"))
    assert got[0, 1] == got[1, 1] < 1


def test_an_aspect_just_short_of_north_is_never_a_whole_turn():
    x = torch.tensor([0.2, 0.25 - 1e-8]).reshape(1, 2, 1, 1)
    assert 0 <= float(View(turns=1).apply(x, ("slope", "aspect"))[0, 1]) < 1


def test_level_ground_keeps_aspect_and_hillshade():
    x = torch.tensor([0.0, 0.0, 0.3]).reshape(1, 3, 1, 1).repeat(1, 1, 2, 2)
    for view in VIEWS:
        assert torch.equal(view.apply(x, ("slope", "aspect", "hillshade"), sun_of()), x)


def test_hillshade_moves_as_it_is_where_the_sun_is_unknown():
    x = stack(hilly()).repeat(4, 1, 1, 1)
    shade = BANDS.index("hillshade")
    view = View(turns=1)
    got = view.apply(x, BANDS, sun_of(SUN, (math.nan, 30.0), (120.0, math.nan), SUN))
    moved = view.turn(x[:, shade])
    assert torch.equal(got[1:3, shade], moved[1:3])
    assert not torch.allclose(got[0, shade], moved[0], atol=0.05)
    assert torch.equal(got[0], got[3])
    assert torch.equal(view.apply(x, BANDS)[:, shade], moved)


def test_bands_may_be_missing():
    x = stack(hilly())
    view = View(turns=1, mirrored=True)
    whole = view.apply(x, BANDS, sun_of())
    without_slope = view.apply(x[:, [2, 3]], ("aspect", "hillshade"), sun_of())
    assert torch.equal(without_slope[:, 0], whole[:, 2])
    assert torch.equal(without_slope[:, 1], view.turn(x[:, 3]))
    assert torch.equal(view.apply(x[:, [1, 3]], ("slope", "hillshade"), sun_of())[:, 1], view.turn(x[:, 3]))
    assert torch.equal(view.apply(x[:, [0]], ("red",), sun_of()), view.turn(x[:, [0]]))


def test_what_is_given_stays_and_memory_is_laid_out_as_it_was():
    x = stack(np.pad(hilly(), ((0, 3), (0, 0)), mode="edge")).repeat(2, 1, 1, 1)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        given = x.contiguous(memory_format=memory_format)
        for view in VIEWS:
            got = view.apply(given, BANDS, sun_of(SUN, SUN))
            assert got.is_contiguous(memory_format=memory_format)
            assert torch.equal(got, view.apply(x, BANDS, sun_of(SUN, SUN)))
        assert torch.equal(given, x)
