"""Pictures of a training set: the same seed draws the same patches, slumps first, and nothing is hidden."""

import shutil

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.image import imread

from darts.datasets.inspect import contact_sheet, patch_map
from darts.datasets.inspect.show import choose, show_dataset
from darts_segmentation.training.checking.reading import open_training_set

YELLOW = np.array([1.0, 0.83, 0.0])


def test_the_pictures_stand_beside_the_set_or_where_wanted(make_set, darts, tmp_path):
    folder = make_set()
    code, out, err = darts("training", "show-dataset", folder, "--number", "4")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"Pictures: {folder / 'patches.png'} {folder / 'map.png'}"
    assert len([line for line in out.splitlines() if "scene_" in line]) == 4
    assert "1: Inuvik: scene_1: 8.3%: 100%" in out.splitlines()
    darts("training", "show-dataset", folder, "--number", "4", "--viz-dir", tmp_path / "elsewhere")
    for name in ("patches.png", "map.png"):
        assert (tmp_path / "elsewhere" / name).read_bytes() == (folder / name).read_bytes()
        assert imread(folder / name).shape[0] > 200


@pytest.mark.parametrize(("number", "n_with"), [(1, 1), (6, 4), (24, 16), (60, 30), (100, 30)])
def test_two_thirds_of_the_chosen_have_slumps_where_there_are_enough(number, n_with):
    empty = np.arange(60) % 2 == 0
    chosen = choose(empty, number, 0)
    assert len(set(chosen)) == len(chosen) == min(number, 60)
    assert chosen == sorted(chosen)
    assert (~empty[chosen]).sum() == n_with


def test_all_are_drawn_where_there_are_few():
    assert choose(np.array([True] * 5), 4, 0) == choose(np.array([True] * 5), 4, 0)
    assert len(choose(np.array([True] * 5), 4, 0)) == 4
    assert len(choose(np.array([False] * 5), 4, 0)) == 4
    assert choose(np.array([True, False]), 24, 3) == [0, 1]


def test_a_seed_chooses_always_the_same():
    empty = np.random.default_rng(0).random(500) < 0.5
    assert choose(empty, 24, 7) == choose(empty, 24, 7)
    assert len({tuple(choose(empty, 24, seed)) for seed in range(20)}) == 20


def drawn(make_set, chosen, **given):
    """Return the sheet as an array of colours, and its patches as boxes (rows, columns) of it."""
    training_set = open_training_set(make_set(**given))
    figure = contact_sheet.draw_contact_sheet(training_set, training_set.metadata, chosen)
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255
    boxes = [axis.get_window_extent() for axis in figure.axes[: len(chosen)]]
    plt.close(figure)
    height = len(picture)
    return [picture[round(height - b.y1) : round(height - b.y0), round(b.x0) : round(b.x1)] for b in boxes]


def share_of_yellow(picture):
    return (np.abs(picture - YELLOW).max(axis=-1) < 0.15).mean()


def test_slumps_are_outlined_where_they_are(make_set):
    """Patch 1 has a slump in rows 3 to 9 and columns 4 to 12 of 24, patch 0 has none."""
    without, with_slump = drawn(make_set, [0, 1], x=np.full((7, 13, 24, 24), 0.5, np.float32))
    assert share_of_yellow(without) < 0.001
    rows, columns = np.nonzero(np.abs(with_slump - YELLOW).max(axis=-1) < 0.15)
    size = np.array(with_slump.shape[:2])
    np.testing.assert_allclose([rows.min(), rows.max()] / size[0], [3 / 24, 9 / 24], atol=0.03)
    np.testing.assert_allclose([columns.min(), columns.max()] / size[1], [4 / 24, 12 / 24], atol=0.03)


def test_ignored_ground_is_dark(make_set):
    """The lower half of patch 5 is ignored."""
    (picture,) = drawn(make_set, [5])
    half = len(picture) // 2
    assert np.median(picture[half + 5 :]) < 0.7 * np.median(picture[: half - 5])


def test_colours_are_red_green_and_blue(make_set):
    x = np.full((7, 13, 24, 24), 0.5, np.float32)
    x[:, 0, :12], x[:, 1, 12:], x[:, 2] = 0.9, 0.8, 0.1
    (picture,) = drawn(make_set, [0], x=x)
    half = len(picture) // 2
    top, bottom = (np.median(part.reshape(-1, 3), axis=0) for part in (picture[: half - 5], picture[half + 5 :]))
    np.testing.assert_allclose(top, [1, 0.5, 0], atol=0.02)
    np.testing.assert_allclose(bottom, [0.5, 0.875, 0], atol=0.02)


def test_clouds_do_not_take_the_colours_from_the_ground(make_set):
    """The stretch is that of labelled pixels: a bright cloud in the ignored half changes nothing above it."""
    x = np.random.default_rng(0).uniform(0.2, 0.3, (7, 13, 24, 24)).astype(np.float32)
    cloudy = x.copy()
    cloudy[5, :, 12:] = 1
    clear, clouded = drawn(make_set, [5], x=x)[0], drawn(make_set, [5], x=cloudy)[0]
    half = len(clear) // 2
    np.testing.assert_array_equal(clear[: half - 5], clouded[: half - 5])


def test_without_colours_the_first_band_is_drawn_grey(make_set):
    x = np.random.default_rng(0).uniform(0.2, 0.3, (7, 2, 24, 24)).astype(np.float32)
    (picture,) = drawn(make_set, [0], x=x, config={"bands": ["nir", "slope"]})
    np.testing.assert_allclose(picture[..., 0], picture[..., 2], atol=0.01)
    assert picture.std() > 0.1


def test_a_slump_of_a_pixel_is_outlined_in_a_large_patch():
    label = np.zeros((2048, 2048), np.uint8)
    label[700, 1100] = 1
    figure, axis = plt.subplots(figsize=(2, 2), dpi=150)
    contact_sheet._draw_patch(axis, np.zeros((2048, 2048, 3), np.float32), label)
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba()).astype(int)
    assert (picture[..., 0] - picture[..., 2]).max() > 100
    plt.close(figure)


def test_the_map_lies_around_the_patches_across_the_antimeridian(make_set):
    """Patches from 178.6 to 181.1 degrees east, 95 km: a map around longitude 0 would be as wide as the Earth."""
    table = open_training_set(make_set()).metadata
    figure = patch_map.draw_map(table, [0, 3])
    axis = figure.axes[0]
    assert 90_000 < np.ptp(axis.get_xlim()) < 120_000
    names = {text.get_text() for text in axis.texts}
    assert {"179°E", "180°W", "179°W"} <= names or {"179.5°E", "179.5°W"} <= names
    assert any(name.endswith("°N") for name in names)
    _, labels = axis.get_legend_handles_labels()
    assert labels == ["without slump", "with slumps", "on the sheet"]
    assert [len(line.get_xdata()) for line in axis.lines[:3]] == [4, 3, 2]
    plt.close(figure)


@pytest.mark.parametrize("degrees", [(0, 60, 0.001), (-170, 85, 350), (20, -70, 1), (-130, 60, 200)])
def test_any_stretch_of_the_earth_can_be_drawn(make_set, degrees):
    """One place, around the pole, the far south, all longitudes."""
    import shapely

    table = open_training_set(make_set()).metadata
    west, south, width = degrees
    lefts = [(west + width * n / 6 + 180) % 360 - 180 for n in range(7)]
    moved = table.set_geometry([shapely.box(left, south, left + 0.001, south + 0.001) for left in lefts], crs=4326)
    figure = patch_map.draw_map(moved, [1])
    figure.canvas.draw()
    assert len(figure.axes[0].texts) > 1
    plt.close(figure)


def test_a_set_that_cannot_be_drawn_is_one_line(make_set, darts, tmp_path):
    folder = make_set()
    (folder / "config.toml").write_text("a = 1\n")
    assert darts("training", "show-dataset", folder) == (
        1,
        "",
        f"Error: {folder} cannot be drawn (config.toml: it cannot be read (KeyError: 'it has no list of bands')). "
        "Make the set anew.\n",
    )
    folder = make_set("short", metadata=open_training_set(make_set("good")).metadata.iloc[:3])
    assert darts("training", "show-dataset", folder) == (
        1,
        "",
        f"Error: {folder} cannot be drawn (3 rows, 7 patches). Run `darts training validate-dataset` on it.\n",
    )
    assert darts("training", "show-dataset", folder, "--number", "0") == (
        2,
        "",
        "Error: number is 0 but must be positive. Use 1 or more.\n",
    )
    assert darts("training", "show-dataset", tmp_path / "nowhere")[0] == 2


def test_an_unreadable_patch_is_named(make_set, darts):
    folder = make_set()
    for file in (folder / "data.zarr" / "x" / "c" / "1").rglob("0"):
        if file.is_file():
            file.write_bytes(b"x")
    code, _, err = darts("training", "show-dataset", folder, "--number", "7")
    assert code == 1
    assert err.startswith("Error: patch 1 cannot be read (")
    assert err.count("\n") == 1
    assert not (folder / "patches.png").exists()
    shutil.rmtree(folder)


def test_from_python_the_chosen_patches_are_told(make_set):
    shown = show_dataset(make_set(), number=3, seed=5)
    assert len(shown.patches) == 3
    assert shown.contact_sheet.name == "patches.png"
