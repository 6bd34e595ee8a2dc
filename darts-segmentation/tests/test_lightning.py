"""Files of the real thing: what Lightning itself writes after a step of training."""

import datetime as dt
from collections import defaultdict
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pytest
import torch

from darts_segmentation.models.checkpoint import load_model, model_id, read_checkpoint, save_checkpoint
from darts_utils.errors import CheckpointError

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's advice on loggers, workers and progress bars

BANDS = ["red", "ndvi", "slope"]
MODEL = {
    "arch": "unet",
    "encoder_name": "resnet18",
    "encoder_depth": 3,
    "decoder_channels": [16, 8, 8],
    "in_channels": np.int64(3),
    "classes": 1,
}
ADVICE = (
    "Only tensors and plain containers are read: if you trust who wrote it, `darts models convert FILE --trust` runs"
    " the code in it and writes it anew."
)
HARMLESS = {
    "train_data_dir": Path("/data/train"),
    "pure": PurePosixPath("a/b"),
    "windows": PureWindowsPath("C:/models"),
    "started": dt.datetime(2024, 7, 1, 12, 30, tzinfo=dt.UTC),
    "day": dt.date(2024, 7, 1),
    "patience": dt.timedelta(minutes=5),
    "rate": np.float32(1e-3),
    "mean": np.arange(3.0),
    "classes": {1, 2},
    "by_region": defaultdict(list, {"a": [1]}),
    "dtype": torch.float16,
    "shape": torch.Size([3, 4]),
    "device": torch.device("cpu"),
}


@pytest.fixture(scope="module")
def lightning_file(tmp_path_factory, small_unet):
    """A file as `Trainer.save_checkpoint` leaves it, with states of a module, a data module and an optimiser."""
    pl = pytest.importorskip("lightning.pytorch", reason="lightning only writes the file, the package does without it")
    from lightning.fabric.utilities.data import AttributeDict

    class Data(pl.LightningDataModule):
        def __init__(self, **settings):
            super().__init__()
            self.save_hyperparameters()

        def train_dataloader(self):
            return torch.utils.data.DataLoader(torch.zeros(2, 3, 16, 16), batch_size=2)

    class Trained(pl.LightningModule):
        def __init__(self, config, **settings):
            super().__init__()
            self.save_hyperparameters()
            self.model = small_unet
            self.model_ema = torch.nn.Linear(2, 2)

        def training_step(self, batch, index):
            return self.model(batch).mean()

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.0)

    path = tmp_path_factory.mktemp("lightning") / "epoch=0.ckpt"
    trainer = pl.Trainer(
        max_steps=1, logger=False, enable_checkpointing=False, accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=path.parent,
    )  # fmt: skip
    module = Trained({"model": MODEL, "input_combination": BANDS, "at": AttributeDict(x=Path("y"))}, **HARMLESS)
    trainer.fit(module, datamodule=Data(**HARMLESS))
    trainer.save_checkpoint(path)
    small_unet.eval().requires_grad_(requires_grad=True)
    return path


def test_a_file_of_lightning_with_paths_dates_and_numpy_numbers_is_read(tmp_path, lightning_file, small_unet):
    raw = torch.load(lightning_file, weights_only=False)
    assert {*HARMLESS, "config"} <= raw["hyper_parameters"].keys()
    assert HARMLESS.keys() <= raw["datamodule_hyper_parameters"].keys()
    network, bands = load_model(lightning_file)
    assert bands == tuple(BANDS)
    weights = small_unet.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    save_checkpoint(tmp_path / "ours.pt", {**MODEL, "in_channels": 3}, BANDS, weights)
    assert model_id(tmp_path / "ours.pt") == model_id(lightning_file)


class Named:
    """Pickled as a path is: its class, called with its parts."""

    def __reduce__(self):
        return Named, ("/", "data", "train")

    def __new__(cls, *parts):
        return super().__new__(cls)


WRITTEN = f"c{__name__}\nNamed\n".encode()


@pytest.fixture
def naming(tmp_path, small_unet, with_pickle):
    """Return a Lightning file whose hyperparameters hold an object of the given module and name."""

    def made(module, name):
        parameters = {"config": {"model": {**MODEL, "in_channels": 3}, "bands": BANDS}, "folder": Named()}
        state = {f"model.{k}": v for k, v in small_unet.state_dict().items()}
        torch.save({"hyper_parameters": parameters, "state_dict": state}, tmp_path / "plain.ckpt")

        def renamed(raw):
            assert raw.count(WRITTEN) == 1
            return raw.replace(WRITTEN, f"c{module}\n{name}\n".encode())

        return with_pickle(tmp_path / "plain.ckpt", renamed)

    return made


@pytest.mark.parametrize("name", ["PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"])
@pytest.mark.parametrize("module", ["pathlib", "pathlib._local"])
def test_paths_are_read_by_the_names_of_any_python(naming, module, name):
    """In 3.13, pathlib was a package: its classes are pickled under the module `pathlib._local`."""
    load_model(naming(module, name))


@pytest.mark.parametrize(
    "named", [("pathlib", "Path.unlink"), ("pathlib._local", "os"), ("builtins", "eval"), ("os", "system"),
              ("datetime", "sys"), ("torch", "load"), ("torch.hub", "load"), ("numpy", "load")],
)  # fmt: skip
def test_anything_that_is_not_known_to_be_harmless_is_refused(naming, named):
    path = naming(*named)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    name = ".".join(named)
    assert (
        str(caught.value) == f"{path} holds the object {name} that could run code on loading and was refused. {ADVICE}"
    )


def test_a_configuration_of_omegaconf_is_refused_with_the_way_to_convert_it(naming):
    path = naming("omegaconf.dictconfig", "DictConfig")
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == (
        f"{path} holds the object omegaconf.dictconfig.DictConfig that could run code on loading and was refused."
        f" {ADVICE}"
    )
