"""Label and footprint layers as people drew them over years: every row is accounted for, nothing is altered."""

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely

from darts.datasets.build.layers import read_layers
from darts.datasets.build.matching import match
from darts_utils.errors import DataError, MissingDataError

SQUARE = shapely.box(0, 0, 1, 1)
BOW_TIE = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
SCENE, ORTHOTILE = "20180703_192559_1006", "4706735_4472312_2021-07-19_1034"


def frame(ids, geometries=None, crs="EPSG:4326", **columns):
    geometries = [SQUARE] * len(ids) if geometries is None else geometries
    return gpd.GeoDataFrame({"image_id": ids, **columns}, geometry=geometries, crs=crs)


def shifted(n):
    return shapely.box(0.01 * n, 0, 0.01 * n + 0.5, 0.5)


@pytest.fixture
def write(tmp_path):
    """Write layers of an iteration; give the folder of all."""

    def write(labels=None, footprints=None, iteration="iteration001", stem="1"):
        folder = tmp_path / "labels" / iteration
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in (("TrainingLabels", labels), ("ImageFootprints", footprints)):
            if rows is not None:
                rows.to_file(folder / f"{name}_{stem}.gpkg", driver="GPKG")
        return tmp_path / "labels"

    return write


def joined(labels_dir, available=None):
    return match(*read_layers(labels_dir), available)


def account(layer):
    return dict(layer.tally())


def test_labels_and_footprints_of_an_image_come_together(write):
    folder = write(frame([SCENE, SCENE], [shifted(0), shifted(3)]), frame([SCENE, ORTHOTILE]))
    images = {image.image_id: image for image in joined(folder).images}
    assert list(images) == [SCENE, ORTHOTILE]
    assert len(images[SCENE].labels) == 2
    assert images[ORTHOTILE].labels.empty, "an image that was looked at without finding anything is a negative"
    assert images[SCENE].date == pd.Timestamp("2018-07-03")
    assert images[ORTHOTILE].date == pd.Timestamp("2021-07-19")


def test_every_row_is_used_or_dropped_for_a_reason(write):
    rows = [
        (SCENE, SQUARE, "1"), (SCENE, SQUARE, "1"), (SCENE, BOW_TIE, "1"), (SCENE, None, "1"), (None, SQUARE, "1"),
        (SCENE, shapely.Point(0, 0), "1"), (SCENE, shifted(1), "0"), (SCENE, shifted(2), None),
        ("20990101_000000_1006", SQUARE, "1"), (SCENE, shapely.box(5, 5, 6, 6), "1"), (f" {SCENE} ", shifted(4), "1"),
    ]  # fmt: skip
    ids, shapes, values = zip(*rows, strict=True)
    result = joined(write(frame(ids, list(shapes), label=values), frame([SCENE])))
    assert account(result.labels) == {
        "labels read from 1 files": 11,
        "labels used": 4,
        "labels dropped: the same outline for the same image again": 1,
        "labels dropped: no area": 2,
        "labels dropped: no image_id": 1,
        "labels dropped: label is not 1": 1,
        "labels dropped: no footprint has this image_id": 1,
        "labels dropped: outside the footprint of its image": 1,
        "labels repaired: invalid outline": 1,
        "labels repaired: blanks around the id": 1,
    }
    assert all(shape.is_valid for shape in result.images[0].labels)
    assert sum(n for what, n in result.labels.tally() if "dropped" in what or "used" in what) == len(rows)


def test_types_crs_and_heights_drift_between_iterations(write):
    write(frame([SCENE], [shifted(1)], label=[1], subset=["True"]), frame([SCENE]))
    in_metres = frame([SCENE], [shifted(2)], label=["1"], subset=[True]).to_crs("EPSG:3413")
    write(in_metres, frame([SCENE, ORTHOTILE]).to_crs("EPSG:32631"), "iteration002", "2")
    high = shapely.force_3d(shapely.MultiPolygon([shifted(3), shapely.box(0.9, 0.9, 1, 1)]), 7.0)
    folder = write(frame([SCENE], [high], label=[None]), frame([], []), "iteration003", "3")
    result = joined(folder)
    (scene, _) = result.images
    assert len(scene.labels) == 3
    assert not scene.labels.has_z.any()
    assert shapely.hausdorff_distance(scene.labels[1], shifted(2)) < 1e-9
    assert account(result.footprints)["footprints used"] == 3
    assert account(result.footprints)["footprints read from 3 files"] == 3


def test_several_footprints_of_an_image_are_one(write):
    folder = write(frame([SCENE], [shapely.box(1.2, 0.2, 1.4, 0.4)]), frame([SCENE]))
    folder = write(None, frame([SCENE], [shapely.box(1, 0, 2, 1)]), "iteration002", "2")
    (image,) = joined(folder).images
    assert image.footprint.iloc[0].equals(shapely.box(0, 0, 2, 1))
    assert len(image.labels) == 1


def test_ids_that_nearly_fit_are_told_and_never_joined(write):
    folder = write(frame(["20200731_213412_38_105", "20200731_213412_38_1057"]), frame(["20200731_213412_38_105c"]))
    result = joined(folder)
    assert result.near_misses == {"20200731_213412_38_105": "20200731_213412_38_105c"}
    assert result.images[0].labels.empty
    assert account(result.labels)["labels dropped: no footprint has this image_id"] == 2


def test_footprints_without_an_image_are_dropped_with_their_labels(write):
    folder = write(frame([SCENE, ORTHOTILE]), frame([SCENE, ORTHOTILE]))
    result = joined(folder, {SCENE, ORTHOTILE.upper() + "A"})
    assert [image.image_id for image in result.images] == [SCENE]
    assert account(result.footprints)["footprints dropped: there is no image of this id"] == 1
    assert account(result.labels)["labels dropped: its footprint is not used"] == 1
    assert result.near_misses == {ORTHOTILE: ORTHOTILE + "A"}


@pytest.mark.parametrize(
    ("image_id", "image_date", "expected"),
    [
        (SCENE, "202-00-722", "2018-07-03"),
        ("20200731_213412_38_1057", None, "2020-07-31"),
        ("my_image", "2019-08-02", "2019-08-02"),
        ("20201399_213412_38_1057", "2020-07-31", "2020-07-31"),
    ],
)
def test_the_date_is_that_of_the_id_else_that_beside_it(write, image_id, image_date, expected):
    (image,) = joined(write(frame([image_id]), frame([image_id], image_date=[image_date]))).images
    assert image.date == pd.Timestamp(expected)


def test_no_date_at_all(write):
    (image,) = joined(write(frame(["my_image"]), frame(["my_image"], image_date=["202-00-722"]))).images
    assert pd.isna(image.date)


def test_a_layer_without_crs_is_in_degrees_or_fails_alone(write, tmp_path, caplog):
    with pytest.warns(UserWarning, match="crs"):
        folder = write(frame([SCENE], crs=None), frame([SCENE]))
    assert len(joined(folder).images[0].labels) == 1
    with pytest.warns(UserWarning, match="crs"):
        folder = write(frame([SCENE], [shapely.box(5e5, 7e6, 6e5, 8e6)], crs=None), None, stem="2")
    result = joined(folder)
    assert account(result.labels) == {
        "labels read from 2 files": 2,
        "labels used": 1,
        "labels dropped: the CRS of its layer cannot be used": 1,
    }
    path = folder / "iteration001" / "TrainingLabels_2.gpkg"
    assert caplog.messages == [
        f"{path} has no CRS, and its coordinates are no degrees. Assign the CRS. Its 1 rows are not used."
    ]


def test_a_layer_in_an_unusable_crs_fails_alone(write, caplog):
    local = 'ENGCRS["x",EDATUM["u"],CS[Cartesian,2],AXIS["(E)",east],AXIS["(N)",north],LENGTHUNIT["metre",1]]'
    write(frame([SCENE], crs=local), None, stem="2")
    images = joined(write(frame([SCENE], [shifted(1)]), frame([SCENE]))).images
    assert len(images[0].labels) == 1
    assert " which is Engineering CRS, neither geographic nor projected. " in caplog.messages[0]


def test_rows_off_the_map_are_dropped_and_counted(write):
    far = frame([SCENE, SCENE], [shapely.box(5e5, 7e6, 6e5, 8e6), SQUARE])
    very_far = frame([SCENE], [shapely.box(-1e8, 0, 1e8, 1e8)], crs=32608)
    write(very_far, None, stem="2")
    assert account(joined(write(far, frame([SCENE]))).labels) == {
        "labels read from 2 files": 3,
        "labels used": 1,
        "labels dropped: off the map": 2,
    }


def test_every_layer_of_a_file_counts_but_tables_without_shapes(write):
    folder = write(frame([SCENE], [shifted(0)]), frame([SCENE]))
    path = folder / "iteration001" / "TrainingLabels_1.gpkg"
    frame([SCENE], [shifted(1)]).to_file(path, layer="drawn in 2023")
    frame([SCENE], [shifted(2)], crs=3857).to_file(path, layer="in another CRS")
    pyogrio.write_dataframe(pd.DataFrame({"styleName": ["x"]}), path, layer="layer_styles", append=True)
    pyogrio.write_dataframe(pd.DataFrame({"image_id": [SCENE]}), path, layer="a table", append=True)
    assert account(joined(folder).labels)["labels read from 1 files"] == 3
    gpd.GeoDataFrame({"a": [1]}, geometry=[SQUARE], crs=4326).to_file(path, layer="notes")
    with pytest.raises(DataError) as caught:
        read_layers(folder)
    assert str(caught.value) == (
        f"layer notes of {path} has no column image_id, only a, geometry. Rename the one with the ids."
    )


def test_empty_outlines_are_dropped_without_a_word_of_the_library(write):
    labels = frame([SCENE, SCENE], [shapely.Polygon(), shifted(1)])
    assert account(joined(write(labels, frame([SCENE]))).labels)["labels dropped: no area"] == 1


def test_what_is_missing_is_named(write, tmp_path):
    with pytest.raises(MissingDataError) as caught:
        read_layers(tmp_path / "nowhere")
    assert str(caught.value) == (
        f"there are no labels in {tmp_path / 'nowhere'}: no file is called */TrainingLabel*.gpkg. Put them there, a "
        "folder an iteration, or name another folder with --labels-dir."
    )
    folder = write(frame([SCENE]).rename(columns={"image_id": "ID"}), frame([SCENE]))
    with pytest.raises(DataError, match=r"has no column image_id, only ID, geometry\. Rename the one with the ids\.$"):
        read_layers(folder)
    (folder / "iteration001" / "TrainingLabels_1.gpkg").write_text("nonsense")
    with pytest.raises(DataError, match=r"TrainingLabels_1\.gpkg cannot be read \(.*\)\. Write it again\.$"):
        read_layers(folder)


def test_joining_alters_no_frame(write):
    labels, footprints = read_layers(write(frame([SCENE, "other"]), frame([SCENE])))
    before = labels.rows.copy(), footprints.rows.copy()
    match(labels, footprints, {SCENE})
    assert labels.rows.equals(before[0])
    assert footprints.rows.equals(before[1])


def test_layers_of_other_systems_are_found_and_hidden_files_are_none(write, tmp_path):
    folder = write(frame([SCENE]), frame([SCENE]))
    iteration = folder / "iteration001"
    (iteration / "TrainingLabels_1.gpkg").rename(iteration / "trainingLabels_1.GPKG")
    (iteration / "._TrainingLabels_1.gpkg").write_text("Mac OS X")
    (folder / ".snapshot").mkdir()
    (folder / ".snapshot" / "TrainingLabels_1.gpkg").write_text("nothing")
    iteration.rename(tmp_path / "elsewhere")
    iteration.symlink_to(tmp_path / "elsewhere")
    assert account(joined(folder).labels) == {"labels read from 1 files": 1, "labels used": 1}


def test_links_to_labels_that_are_gone_are_not_passed_over(write):
    labels_dir = write(frame([SCENE]), frame([SCENE]))
    (labels_dir / "iteration001" / "TrainingLabels_2.gpkg").symlink_to("gone.gpkg")
    with pytest.raises(DataError, match=r"TrainingLabels_2\.gpkg does not exist\. Write it again\.$"):
        read_layers(labels_dir)
    (labels_dir / "iteration002").symlink_to("not-mounted")
    with pytest.raises(DataError) as caught:
        read_layers(labels_dir)
    assert str(caught.value) == (
        f"the folder {labels_dir / 'iteration002'} cannot be read (No such file or directory). Check where it leads."
    )
