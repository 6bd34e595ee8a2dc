"""Model files: damaged, made by strangers, of other networks, or with weights that are no numbers."""

import datetime
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch

from hostile import damage
from hostile.trials import Family, may

bad = Family("checkpoints", kind="sentinel2")


def _refused(world, *names):
    return may("refused", names=names or world.model.name, both=True)


def _rewritten(world, change, *names):
    """Write the model anew after a change of its content."""
    content = torch.load(world.model, weights_only=True)
    torch.save(change(content) or content, world.model)
    return _refused(world, *names)


@bad.each({how.__name__: how for how in damage.FILE_DAMAGE})
def damaged(world, rng, how):
    how(world.model, rng)
    names = "models" if how is damage.folder_instead else world.model.name  # a folder is no model at all
    return may("refused", *(["sound"] if how in (damage.flip, damage.fill) else []), names=names, both=True)


@bad
def flipped_weights(world, rng):
    with zipfile.ZipFile(world.model) as archive:
        sizes = {info.filename: info for info in archive.infolist() if "/data/" in info.filename and info.file_size}
    info = sizes[rng.choice(sorted(sizes))]
    lengths = struct.unpack("<26xHH", world.model.read_bytes()[info.header_offset :][:30])  # of its name and more
    start = info.header_offset + 30 + sum(lengths)
    damage.flip(world.model, rng, among=(start, start + info.file_size))
    return _refused(world)


@bad.each({"nan": float("nan"), "inf": float("inf"), "minus-inf": float("-inf")})
def weight_that_is_no_number(world, rng, value):
    def change(content):
        weights = content["state_dict"]
        names = [name for name, weight in weights.items() if weight.is_floating_point() and weight.numel()]
        weights[rng.choice(names)].view(-1)[0] = value

    return _rewritten(world, change)


@bad.each(
    {str(dtype).removeprefix("torch."): dtype for dtype in (torch.int64, torch.complex64, torch.bool, torch.uint8)}
)
def weights_of_another_type(world, rng, dtype):
    def change(content):
        weights = content["state_dict"]
        name = rng.choice([name for name, weight in weights.items() if weight.is_floating_point()])
        weights[name] = weights[name].to(dtype)

    return _rewritten(world, change)


@bad
def weight_of_another_shape(world, rng):
    def change(content):
        weights = content["state_dict"]
        name = rng.choice(sorted(weights))
        weights[name] = torch.zeros(rng.choice([(0,), (1, 1, 1, 1, 1), (3, 2), (7,)]))

    return _rewritten(world, change)


@bad
def weight_missing(world, rng):
    def change(content):
        names = [name for name in sorted(content["state_dict"]) if not name.endswith("num_batches_tracked")]
        del content["state_dict"][rng.choice(names)]

    return _rewritten(world, change)


@bad
def weight_too_many(world, rng):
    def change(content):
        content["state_dict"][rng.choice(["encoder.other.weight", "", "module.x", "ema.decoder"])] = torch.zeros(3)

    return _rewritten(world, change)


@bad
def weight_of_nine_exabytes(world, rng):
    def change(content):
        name = rng.choice(sorted(content["state_dict"]))
        content["state_dict"][name] = torch.zeros(1).expand(2 ** rng.choice([20, 40, 59]))

    return _rewritten(world, change)


@bad
def junk_in_the_content(world, rng):
    def change(content):
        kept = {key: content[key] for key in ("format", "version", "config", "bands")}
        place = rng.choice(damage.places(kept))
        junk = rng.choice([value for value in damage.JUNK if value is not damage.DEEP])
        return {**content, **damage.put(kept, place, junk)}

    _rewritten(world, change)
    return may("refused", "sound", "own", names=world.model.name, both=True)


@bad
def key_missing(world, rng):
    def change(content):
        return damage.without(content, (rng.choice(["config", "bands", "state_dict"]),))

    return _rewritten(world, change)


@bad.each(
    {
        "unknown": ["red", "ultraviolet"],
        "twice": ["red", "red"],
        "too-many": ["red", "nir", "green"],
        "none": [],
        "a-word": "red",
        "numbers": [1, 2],
        "a-dict-of-dicts": {"red": {"nir": 1}},
        "path": ["red", "../../canary"],
    }
)
def bands(world, rng, names):
    return _rewritten(world, lambda content: {**content, "bands": names})


@bad.each(
    {
        "hub": {"encoder_name": "tu-hf-hub:someone/model"},
        "address": {"encoder_name": "https://example.org/x"},
        "path": {"encoder_name": "../../canary"},
        "unknown": {"encoder_name": "resnet9000"},
        "pretrained": {"encoder_weights": "imagenet", "encoder_name": "resnet18"},
        "huge": {"decoder_channels": [2**40]},
        "negative": {"in_channels": -2},
        "text": {"in_channels": "2"},
        "classes": {"classes": 7},
        "deep": {"encoder_depth": 10**6},
        "strange": {"eval": "import os"},
        "softmax": {"activation": "softmax"},
        "arch": {"arch": "perceptron"},
        "nan": {"encoder_depth": float("nan")},
        "upsampling": {"arch": "fpn", "upsampling": 8},
        "aux": {"aux_params": {"classes": 1}},
        "none": {"decoder_channels": None},
    }
)
def network(world, rng, arguments):
    def change(content):
        content["config"]["model"].update(arguments)

    return _rewritten(world, change)


class _Evil:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@bad.each(
    {
        "torch": torch.save,
        "plain": lambda content, path: path.write_bytes(pickle.dumps(content)),
        "old-torch": lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
    }
)
def code(world, rng, save):
    content = torch.load(world.model, weights_only=True)
    place = rng.choice(["config", "bands", "metadata", "state_dict"])
    save({**content, place: _Evil(world.folder / "canary" / "ran")}, world.model)
    return _refused(world)


@bad.each(
    {
        "datetime": lambda: datetime.datetime(2024, 7, 20, tzinfo=datetime.UTC),
        "path": lambda: Path("/data/labels"),
        "ordered": lambda: OrderedDict(a=1),
        "set": lambda: {1, 2},
        "size": lambda: torch.Size([1, 2]),
    }
)
def harmless_object(world, rng, make):
    content = torch.load(world.model, weights_only=True)
    torch.save(
        {
            "hyper_parameters": {"config": {**content["config"], "bands": content["bands"]}, "x": make()},
            "state_dict": {f"model.{name}": value for name, value in content["state_dict"].items()},
        },
        world.model,
    )
    return may("sound", both=True)


@bad.each({"ddp": "module.", "compiled": "_orig_mod.", "both": "module._orig_mod.", "lightning": "model."})
def wrapped(world, rng, prefix):
    def change(content):
        content["state_dict"] = {f"{prefix}{name}": weight for name, weight in content["state_dict"].items()}

    _rewritten(world, change)
    return may("sound", both=True)


@bad
def half_precision(world, rng):
    def change(content):
        weights = content["state_dict"]
        content["state_dict"] = {
            name: weight.to(rng.choice([torch.float16, torch.bfloat16])) if weight.is_floating_point() else weight
            for name, weight in weights.items()
        }

    _rewritten(world, change)
    return may("own", "sound", both=True)


@bad
def zip_of_something_else(world, rng):
    with zipfile.ZipFile(world.model, "w") as archive:
        archive.writestr(rng.choice(["data.pkl", "x/data.pkl", "../../canary/ran", "small/data/0"]), b"\x80\x02}q\x00.")
    return _refused(world)


@bad
def compressed_zip(world, rng):
    with zipfile.ZipFile(world.model) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(world.model, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members:
            archive.writestr(name, raw)
        archive.writestr("small/data/99", bytes(50_000_000))
    return _refused(world)


@bad
def pickle_bomb(world, rng):
    inner = b"(" + b"l" * 10 + b"."
    ops = {
        "deep": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "long-string": b"\x80\x02X" + struct.pack("<I", 2**31) + b"x.",
        "memo": b"\x80\x02]q" + bytes([rng.randrange(256)]) + b"h" + bytes([rng.randrange(256)]) + b"a.",
        "nonsense": inner,
    }
    world.model.write_bytes(ops[rng.choice(sorted(ops))])
    return _refused(world)


@bad
def other_format(world, rng):
    made = {
        "numpy": lambda: _bytes_of_numpy(),
        "safetensors": lambda: struct.pack("<Q", 2 ** rng.choice([4, 40, 62])) + b'{"a":{"dtype":"F32"}}',
        "onnx": lambda: b"\x08\x07\x12\x07pytorch",
        "hdf5": lambda: b"\x89HDF\r\n\x1a\n" + bytes(100),
    }
    world.model.write_bytes(made[rng.choice(sorted(made))]())
    return _refused(world)


def _bytes_of_numpy():
    import numpy as np

    file = io.BytesIO()
    np.savez(file, a=np.zeros(3))
    return file.getvalue()


@bad
def newer_version(world, rng):
    return _rewritten(world, lambda content: {**content, "version": rng.choice([2, 0, "1", None, -1, 1e9])})


@bad
def apple_double_beside(world, rng):
    (world.model.parent / "._small.pt").write_bytes(rng.randbytes(100))
    return may("sound", both=True)


@bad
def second_model_that_is_none(world, rng):
    other = world.model.with_name(rng.choice(["other.pt", "\u00e4\u00f6 model.pt", "a b.pt", "x" * 200 + ".pt"]))
    other.write_bytes(b"x")
    rng.choice([how for how in damage.FILE_DAMAGE if how is not damage.folder_instead])(other, rng)
    return _refused(world, other.name)


@bad.each(
    {
        "nowhere": "models/none.pt",
        "folder": "models",
        "device": "/dev/zero",
        "null": "/dev/null",
        "empty": "",
        "itself": ".",
        "text": "models/small.pt/x",
        "long": "x" * 5000,
        "zero": "models/\x00.pt",
    }
)
def model_files(world, rng, path):
    world.set("--model-files", path)
    return may("refused", names=(path.partition("\x00")[0][:200] or "file .", "model-files"), both=True)
