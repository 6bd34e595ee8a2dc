"""Files that lie about themselves, or were damaged on their way."""

import os
import pickle
import resource
import zipfile

import pytest
import torch

from darts_segmentation.models.checkpoint import load_model, read_checkpoint
from darts_utils.errors import CheckpointError

MODEL = {"arch": "unet", "encoder_name": "resnet18", "encoder_depth": 3, "decoder_channels": [16, 8, 8]}
BANDS = ["red", "ndvi", "slope"]
DAMAGED = "{path} is damaged or cut short and cannot be read. Copy it again."
END = b"."


@pytest.fixture
def written(tmp_path):
    def write(weights, name="model.pt", **options):
        torch.save({"config": {"model": MODEL, "bands": BANDS}, "state_dict": weights}, tmp_path / name, **options)
        return tmp_path / name

    return write


@pytest.fixture
def no_more_memory():
    """Let this process take half a gigabyte more than it has, and no more."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + 2**29, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def refused(path, message, read=read_checkpoint):
    with pytest.raises(CheckpointError) as caught:
        read(path)
    assert str(caught.value) == message.format(path=path)
    assert "\n" not in str(caught.value)


def test_flipped_bytes_of_a_weight_are_noticed_and_those_of_the_rest_too(checkpoint, tmp_path):
    with zipfile.ZipFile(checkpoint) as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
        contents = archive.getinfo(f"{largest.filename.split('/')[0]}/data.pkl")
    whole = checkpoint.read_bytes()
    path = tmp_path / "flipped.pt"
    for info in (largest, contents):
        middle = info.header_offset + info.file_size // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0x40]) + whole[middle + 1 :])
        message = "{path} is damaged: its bytes do not have the checksum that was written. Copy it again."
        refused(path, message, load_model)


def test_a_file_without_checksums_is_read_as_torch_does(small_unet, written):
    torch.serialization.set_crc32_options(False)
    try:
        path = written(small_unet.state_dict())
    finally:
        torch.serialization.set_crc32_options(True)
    load_model(path)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 2020"])
@pytest.mark.parametrize(
    ("shape", "stride"), [((10**12,), (1,)), ((10**6, 10**6), (0, 0)), ((2, 3), (10**9, 1)), ((-4,), (1,))],
    ids=["more than there is", "one number for all", "steps beyond the end", "less than none"],
)  # fmt: skip
def test_a_tensor_that_claims_more_than_the_file_has_takes_no_memory(written, no_more_memory, old, shape, stride):
    class Claim:
        def __reduce__(self):
            storage = torch.zeros(8).untyped_storage()
            typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
            rebuild = torch._utils._rebuild_tensor_v2  # noqa: SLF001  (what torch itself writes into its files)
            return rebuild, (typed, 0, shape, stride, False, {})

    path = written({"segmentation_head.0.bias": Claim()}, _use_new_zipfile_serialization=not old)
    with pytest.raises(CheckpointError, match=r"do not fit unet with resnet18: \d+ missing"):
        load_model(path)


def test_a_weight_of_the_right_shape_must_be_there_in_full(checkpoint, tmp_path):
    path = tmp_path / "lacking.pt"
    with zipfile.ZipFile(checkpoint) as old, zipfile.ZipFile(path, "w") as new:
        last = max((name for name in old.namelist() if "/data/" in name), key=lambda name: int(name.split("/")[-1]))
        for name in old.namelist():
            new.writestr(name, b"" if name == last else old.read(name))
    refused(path, "{path} is damaged: it does not hold the weight segmentation_head.0.bias. Copy it again.", load_model)


def test_a_network_of_any_size_costs_nothing_before_it_is_known_to_be_in_the_file(tmp_path, no_more_memory):
    config = {"model": {**MODEL, "decoder_channels": [10**6, 10**6, 10**6]}, "bands": BANDS}
    torch.save({"config": config, "state_dict": {"a": torch.zeros(1)}}, tmp_path / "huge.pt")
    with pytest.raises(CheckpointError, match=r"do not fit unet with resnet18: \d+ missing"):
        load_model(tmp_path / "huge.pt")


def test_a_zip_that_was_compressed_is_refused_whatever_it_unpacks_to(checkpoint, tmp_path, no_more_memory):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x/data.pkl", "w") as file:
        for _ in range(64):
            file.write(bytes(2**20))
    assert path.stat().st_size < 100_000
    refused(path, "{path} was compressed by another program than torch. Take the file that torch wrote.")


def test_a_list_of_contents_of_gigabytes_is_not_read(tmp_path, no_more_memory):
    path = tmp_path / "fat.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps([b"x" * 9 * 2**20], protocol=2))
    refused(
        path,
        "{path} has a data.pkl of 9 MiB; that of a model takes 8 MiB at most."
        " Write it anew with the weights and their configuration only.",
    )


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    refused(tmp_path / "pipe.pt", "{path} is not a model checkpoint. Give a .pt or .ckpt file written by torch.")


def test_a_zip_of_anything_else_is_no_checkpoint(tmp_path):
    path = tmp_path / "other.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(path, "{path} is a zip archive, but none that torch wrote. Give a .pt or .ckpt file.")


def nested(n, opening, closing):
    return b"\x80\x02" + opening * n + closing * n + END


LAUGHS = b"\x80\x02](K\x01K\x01eq\x00" + b"".join(
    b"](" + b"h" + bytes([i]) * 1 + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1]) for i in range(40)
)
PICKLES = {
    "lists in lists": nested(300_000, b"](", b"e")[:-1] + b"e.",
    "tuples in tuples": b"\x80\x02)" + b"\x85" * 500_000 + END,
    "a deep tuple as a key": b"\x80\x02}(" + b")" + b"\x85" * 500_000 + b"K\x01u" + END,
    "a deep tuple in a set": b"\x80\x04\x8f(" + b")" + b"\x85" * 500_000 + b"\x90" + END,
    "a memo of gigabytes": b"\x80\x02K\x01r\xff\xff\xff\x7f" + END,
    "a text of gigabytes": b"\x80\x04\x8d" + (2**40).to_bytes(8, "little") + b"x" + END,
    "bytes of gigabytes": b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"x" + END,
    "a bytearray of gigabytes": b"\x80\x02c__builtin__\nbytearray\n\x8a\x06"
    + bytes([0, 0, 0, 0, 0, 1])
    + b"\x85R"
    + END,
    "a tensor of gigabytes": b"\x80\x02ctorch\nTensor\nJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86R" + END,
    "a range of gigabytes": b"\x80\x02c__builtin__\nlist\nc__builtin__\nrange\nJ\xff\xff\xff\x7f\x85R\x85R" + END,
    "a list that holds itself": b"\x80\x02]q\x00h\x00a" + END,
    "nothing": b"\x80\x02" + END,
    "no end": b"\x80\x02]",
    "an unknown code": b"\x80\x02\xff" + END,
    "attributes of a class": b"\x80\x02ccollections\nOrderedDict\n}U\x07__new__K\x01sb" + END,
    "one list for billions": LAUGHS + END,
}


@pytest.mark.parametrize("name", PICKLES)
def test_a_hostile_pickle_is_refused_in_a_line_with_little_memory_and_time(tmp_path, no_more_memory, name):
    path = tmp_path / "hostile.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", PICKLES[name])
    with pytest.raises(CheckpointError, match=r"is damaged or cut short|the content must be a dict but is") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("place", ["arch", "decoder_channels", "bands", "version", "encoder_name", "classes"])
@pytest.mark.parametrize("what", ["nested", "laughs", "digits", "lines"])
def test_hostile_values_are_named_in_one_short_line(tmp_path, place, what):
    deep, wide = [], ["x"]
    for _ in range(200):
        deep = [deep]
    for _ in range(40):
        wide = [wide] * 10
    value = {"nested": deep, "laughs": wide, "digits": 10**5000, "lines": ["a\nb" * 1000]}[what]
    model = {**MODEL, **({place: value} if place not in ("bands", "version") else {})}
    content = {
        "format": "darts-segmentation",
        "version": value if place == "version" else 1,
        "config": {"model": model, "bands": value if place == "bands" else BANDS},
        "state_dict": {"a": torch.zeros(1)},
    }
    path = tmp_path / "model.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value).replace(str(path), "")) < 800
