"""Sums of probabilities by cells of the equal-area plane."""

import numpy as np
import pyarrow.parquet as pq
import pyproj
import pytest
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio import Affine

from darts_export import export_tile
from darts_export.density import density_table
from darts_export.facts import tile_facts


def by_definition(tile):
    """Sum pixel by pixel: place and area of each from the projections themselves."""
    geobox = tile.odc.geobox
    move = pyproj.Transformer.from_crs(str(geobox.crs), "EPSG:6931", always_xy=True).transform
    rows, columns = np.mgrid[: geobox.shape[0] + 1, : geobox.shape[1] + 1]
    x, y = geobox.affine @ (columns.ravel(), rows.ravel())
    x, y = (np.reshape(one, rows.shape) for one in move(x, y))
    across, down = (
        (x[:-1, 1:] - x[1:, :-1], y[:-1, 1:] - y[1:, :-1]),
        (x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1]),
    )
    areas = np.abs(across[0] * down[1] - across[1] * down[0]) / 2  # half the product of the diagonals
    middle = [np.floor((one[1:, 1:] + one[:-1, :-1] + one[1:, :-1] + one[:-1, 1:]) / 4000) for one in (x, y)]
    seen = tile["extent"].values & ~np.isnan(tile["probabilities"].values)
    if "quality_data_mask" in tile:
        seen &= tile["quality_data_mask"].values == 2
    sums: dict[tuple[int, int], list[float]] = {}
    for row, column in np.argwhere(seen):
        cell = sums.setdefault((int(middle[0][row, column]), int(middle[1][row, column])), [0.0, 0.0])
        cell[0] += areas[row, column]
        cell[1] += areas[row, column] * float(tile["probabilities"].values[row, column])
    return sums


@pytest.mark.parametrize("has_quality", [True, False])
def test_sums_are_those_of_all_pixels_that_were_seen(make_tile, has_quality):
    tile = make_tile(rows=301, columns=277)
    tile = tile if has_quality else tile.drop_vars("quality_data_mask")
    table, expected = density_table(tile), by_definition(tile)
    assert {(row.x, row.y) for row in table.itertuples()} == set(expected)
    for row in table.itertuples():
        assert (row.observed_m2, row.expected_m2) == pytest.approx(expected[row.x, row.y], rel=1e-4)
    assert table.dtypes.astype(str).to_dict() == {
        "x": "int32", "y": "int32", "observed_m2": "float64", "expected_m2": "float64",
    }  # fmt: skip


def test_ground_across_the_antimeridian_is_in_neighbouring_cells(make_tile):
    tile = make_tile(rows=90, columns=70)
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32660", always_xy=True).transform(180, 69)
    grid = GeoBox((90, 70), Affine(10, 0, round(x) - 350, 0, -10, round(y) + 450), "EPSG:32660")
    table = density_table(tile.assign_coords(xr_coords(grid)))
    assert table["observed_m2"].sum() == pytest.approx(
        tile_facts(tile.assign_coords(xr_coords(grid))).clear_km2 * 1e6, rel=1e-3
    )
    assert table["x"].max() - table["x"].min() <= 1
    assert table["y"].max() - table["y"].min() <= 1
    assert {-1, 0} <= set(table["x"])


def test_of_a_tile_that_saw_nothing_there_is_no_cell(make_tile, tmp_path):
    tile = make_tile(rows=20, columns=20)
    tile["quality_data_mask"][:] = 1
    assert density_table(tile).empty
    export_tile(tile, tmp_path / "tile", ["density"], metadata={"DARTS_calibrated": True})
    written = pq.read_table(tmp_path / "tile/prediction_density.parquet")
    assert (written.num_rows, written.schema.metadata[b"DARTS_calibrated"]) == (0, b"True")
    assert written.schema.names == ["x", "y", "observed_m2", "expected_m2"]
