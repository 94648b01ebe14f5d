"""Folders of pictures and CelebA, from files in their true formats that the tests write."""

import os
import pickle

import numpy as np
import pytest
import torch
from faces import write_celeba
from PIL import Image
from torchvision import datasets

from datamodules import CelebADataModule, ImageFolderDataModule, MappedImages, celeba, picture_files
from datamodules.decoding import DecodedFile, Decoder
from lightning_gantk.errors import ConfigError


def noise(seed, height, width, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures in three folders, of several formats, and files that are none."""
    root = tmp_path / "pictures"
    (root / "below" / "deeper").mkdir(parents=True)
    (root / ".hidden").mkdir()
    for number in range(8):
        Image.fromarray(noise(number, 20, 30)).save(root / f"{number}.png")
    for number in range(8, 10):
        Image.fromarray(noise(number, 30, 20)).save(root / "below" / f"{number}.JPG")
    Image.fromarray(noise(10, 16, 16, 1)).save(root / "below" / "grey.png")
    Image.fromarray(noise(11, 16, 16, 4)).save(root / "below" / "deeper" / "transparent.webp", lossless=True)
    (root / "notes.txt").write_text("not a picture")
    Image.fromarray(noise(12, 16, 16)).save(root / ".hidden" / "not.png")
    return root


def ready(kind, *args, **options):
    data = kind(*args, **{"batch_size": 4, "image_size": 16, **options})
    data.prepare_data()
    data.setup()
    return data


@pytest.fixture(params=["in memory", "decoded to a file"])
def place(request, monkeypatch):
    if request.param != "in memory":
        monkeypatch.setattr(picture_files, "_IN_MEMORY", 0)
    return request.param


def every(dataset):
    return torch.stack([dataset[number] for number in range(len(dataset))])


def test_folder_is_read_recursively_and_split_by_the_seed(folder, place):
    data = ready(ImageFolderDataModule, str(folder), val_size=3)
    assert len(data.files()) == 12
    assert (len(data.train_dataset), len(data.val_dataset)) == (9, 3)
    again, other = (ready(ImageFolderDataModule, str(folder), val_size=3, seed=seed) for seed in (0, 1))
    assert torch.equal(every(data.val_dataset), every(again.val_dataset))
    assert not torch.equal(every(data.val_dataset), every(other.val_dataset))
    (batch, *_) = data.train_dataloader()
    assert batch.shape == (4, *data.sample_shape) == (4, 3, 16, 16)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert batch.min() >= -1 and batch.max() <= 1 and batch.max() - batch.min() > 1


def test_both_places_hold_the_same_images(folder, monkeypatch):
    small = ready(ImageFolderDataModule, str(folder), val_size=3)
    monkeypatch.setattr(picture_files, "_IN_MEMORY", 0)
    large = ready(ImageFolderDataModule, str(folder), val_size=3)
    assert isinstance(large.train_dataset, MappedImages)
    for one, other in ((small.train_dataset, large.train_dataset), (small.val_dataset, large.val_dataset)):
        assert torch.equal(one[:], other[:])
        assert torch.equal(one[2], other[2])
        assert torch.equal(one.__getitems__([2, 0]), other.__getitems__([2, 0]))


def test_pictures_are_decoded_once_until_something_changes(folder, monkeypatch, capsys):
    monkeypatch.setattr(picture_files, "_IN_MEMORY", 0)
    ready(ImageFolderDataModule, str(folder))
    assert "Decoding 12 pictures, once, to" in capsys.readouterr().out
    ready(ImageFolderDataModule, str(folder), seed=5)
    assert capsys.readouterr().out == ""
    Image.fromarray(noise(99, 20, 30)).save(folder / "3.png")
    ready(ImageFolderDataModule, str(folder))
    assert "Decoding 12 pictures" in capsys.readouterr().out
    assert len(list((folder / ".decoded").glob("16x16x3-*.npy"))) == 2
    assert not list((folder / ".decoded").glob("*.part"))


def test_files_that_have_changed_folders_are_other_files(tmp_path):
    for kind in "ab":
        (tmp_path / kind).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / kind / "0.png")
        os.utime(tmp_path / kind / "0.png", (0, 0))
    a, b = tmp_path / "a" / "0.png", tmp_path / "b" / "0.png"
    decoder = Decoder(image_size=8, channels=1)
    assert DecodedFile(tmp_path, [a, b], decoder).path != DecodedFile(tmp_path, [b, a], decoder).path
    assert DecodedFile(tmp_path, [a], decoder).path == DecodedFile(tmp_path, [b], decoder).path  # of a folder elsewhere


def test_mapped_images_are_sent_to_workers_by_name(folder, monkeypatch):
    monkeypatch.setattr(picture_files, "_IN_MEMORY", 0)
    data = ready(ImageFolderDataModule, str(folder), num_workers=1, val_size=2, batch_size=5)
    expected = data.train_dataset[:]
    sent = pickle.dumps(data.train_dataset)
    assert len(sent) < 2000
    assert torch.equal(pickle.loads(sent)[:], expected)
    batches = torch.cat([*data.train_dataloader()])
    assert len(batches) == 10
    assert all((expected == image).flatten(1).all(1).any() for image in batches)


def test_grey_pictures_have_one_channel(folder):
    assert ready(ImageFolderDataModule, str(folder), channels=1).train_dataset[:].shape == (10, 1, 16, 16)


def test_decoder_cuts_the_middle_out(tmp_path):
    array = np.zeros((10, 20, 3), np.uint8)
    array[:, 5:15] = 255
    Image.fromarray(array).save(tmp_path / "wide.png")
    assert (Decoder(10, 3)(tmp_path / "wide.png") == 255).all()
    array = np.zeros((12, 12, 3), np.uint8)
    array[4:8, 4:8] = 200
    Image.fromarray(array).save(tmp_path / "square.png")
    assert (Decoder(4, 3, crop=4)(tmp_path / "square.png") == 200).all()
    assert Decoder(12, 3)(tmp_path / "square.png").tolist() == array.tolist()


def test_decoder_knows_transparency_depth_and_orientation(tmp_path):
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (Decoder(8, 3)(tmp_path / "clear.png") == 255).all()
    Image.fromarray(np.full((8, 8), 128 * 256, np.uint16)).save(tmp_path / "deep.png")
    assert (Decoder(8, 1)(tmp_path / "deep.png") == 128).all()
    (tmp_path / "deep.pgm").write_bytes(b"P5 8 8 65535\n" + np.full((8, 8), 128 * 256, ">u2").tobytes())
    assert (Decoder(8, 1)(tmp_path / "deep.pgm") == 128).all()
    for kind in (np.float32, np.int32):
        Image.fromarray(np.ones((8, 8), kind)).save(tmp_path / "any.tif")
        with pytest.raises(ValueError, match="32-bit numbers"):
            Decoder(8, 1)(tmp_path / "any.tif")
    upright = Image.new("RGB", (8, 8), "black")
    upright.paste("white", (0, 0, 8, 4))  # the upper half
    exif = upright.getexif()
    exif[0x0112] = 3  # turned by 180 degrees
    upright.save(tmp_path / "turned.png", exif=exif)
    assert (Decoder(8, 1)(tmp_path / "turned.png")[:4] == 0).all()


def break_some(folder):
    """A picture cut short, one with no content, and one that is a text."""
    whole = (folder / "below" / "8.JPG").read_bytes()
    (folder / "below" / "8.JPG").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("no picture")


def test_broken_pictures_are_all_named(folder, place):
    break_some(folder)
    for _ in range(2):  # the second time it is known
        with pytest.raises(ConfigError, match=r"3 of 14 pictures.*8\.JPG.*empty\.png.*text\.jpg.*skip_broken: true"):
            ready(ImageFolderDataModule, str(folder))


def test_broken_pictures_are_left_out_on_request(folder, place, capsys):
    data = ready(ImageFolderDataModule, str(folder), val_size=2)
    before = torch.cat([data.train_dataset[:], data.val_dataset[:]])
    break_some(folder)
    data = ready(ImageFolderDataModule, str(folder), val_size=2, skip_broken=True)
    found = torch.cat([data.train_dataset[:], data.val_dataset[:]])
    assert len(found) == 11
    assert "3 of 14 pictures cannot be read" in capsys.readouterr().out
    assert all((before == image).flatten(1).all(1).any() for image in found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"root": "/no/such/folder"}, "there is no folder '/no/such/folder'"),
        ({"image_size": 2}, "'image_size' must be a whole number of at least 4, got 2"),
        ({"channels": 2}, r"channels must be 1 \(grey\) or 3 \(colour\), not 2"),
        ({"val_size": 12}, r"val_size=12 is too many: '.*' has 12 pictures"),
        ({"crop": 19}, r"2 of 12 pictures cannot be read.*16 x 16 pixels are too few for a square of 19"),
    ],
)
def test_folder_refuses_what_does_not_fit(options, message, folder):
    with pytest.raises(ConfigError, match=message):
        ready(ImageFolderDataModule, **{"root": str(folder), **options})


def test_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no picture in .*no file ends in \.avif, \.bmp"):
        ready(ImageFolderDataModule, str(tmp_path))


def test_cache_that_cannot_be_written_names_the_option(folder, monkeypatch):
    monkeypatch.setattr(picture_files, "_IN_MEMORY", 0)
    (folder / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be written to .* set cache_dir"):
        ready(ImageFolderDataModule, str(folder), cache_dir=str(folder / "file"))


@pytest.fixture
def official(tmp_path, monkeypatch):
    """A root with CelebA as torchvision unpacks it: 30 faces, 20 for training, 6 for validation, 4 for testing."""
    write_celeba(tmp_path, monkeypatch)
    return tmp_path


def brightness(dataset):
    return sorted(round((float(image.mean()) + 1) * 127.5 / 8) for image in dataset[:])


def test_celeba_has_its_own_split(official, place):
    assert len(datasets.CelebA(str(official), split="all")) == 30  # torchvision takes the files for CelebA
    data = ready(CelebADataModule, str(official), val_size=6)
    assert data.sample_shape == (3, 16, 16)
    assert brightness(data.train_dataset) == list(range(20))
    assert brightness(data.val_dataset) == list(range(20, 26))
    few, again, other = (ready(CelebADataModule, str(official), val_size=3, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(few.val_dataset[:], again.val_dataset[:])
    assert brightness(few.val_dataset) != brightness(other.val_dataset)


def test_celeba_can_be_a_part(official, place):
    few, again = (ready(CelebADataModule, str(official), val_size=3, subset_size=5) for _ in range(2))
    assert (len(few.files()), len(few.train_dataset), len(few.val_dataset)) == (8, 5, 3)
    assert torch.equal(few.train_dataset[:], again.train_dataset[:])
    assert max(brightness(few.train_dataset)) < 20 <= min(brightness(few.val_dataset))


def test_celeba_may_be_a_part_with_a_broken_file_among_those_held_out(official, place):
    whole = ready(CelebADataModule, str(official), val_size=3, subset_size=5)
    names = sorted(whole._partition)  # of training, then held out, as files are
    held_out = next(name for name in names if whole._partition[name] == 1)
    (official / "celeba" / "img_align_celeba" / held_out).write_bytes(b"")
    few = ready(CelebADataModule, str(official), val_size=3, subset_size=5, skip_broken=True)
    assert (len(few.train_dataset), len(few.val_dataset)) == (5, 2)


def test_celeba_faces_are_cropped(official):
    path = official / "celeba" / "img_align_celeba" / "000001.jpg"
    picture = Image.new("RGB", (178, 218), "black")
    picture.paste("white", (15, 35, 163, 183))  # the central 148 x 148
    picture.save(path, quality=95)
    narrow, wide = (
        ready(CelebADataModule, str(official), val_size=2, crop=size).train_dataset[0] for size in (148, 178)
    )
    assert narrow.mean() > 0.98
    assert wide.mean() == pytest.approx(2 * (148 / 178) ** 2 - 1, abs=0.03)  # JPEG and smoothing at the edge


def test_celeba_damaged_files_are_named(official):
    (official / "celeba" / "img_align_celeba" / "000003.jpg").unlink()
    with pytest.raises(ConfigError, match=r"1 of 26 pictures are missing .*such as 000003\.jpg.*img_align_celeba\.zip"):
        ready(CelebADataModule, str(official), val_size=2)
    with (official / "celeba" / "list_attr_celeba.txt").open("a") as file:
        file.write("more\n")
    with pytest.raises(ConfigError, match=r"list_attr_celeba\.txt' is damaged: its MD5 sum is not"):
        ready(CelebADataModule, str(official), val_size=2)


def test_celeba_that_cannot_be_downloaded_names_the_ways_out(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("no network")

    monkeypatch.setattr(celeba, "fetch_from_drive", fail)
    with pytest.raises(ConfigError, match=r"failed \(no network\).*gdown.*img_align_celeba.*ImageFolder") as caught:
        ready(CelebADataModule, str(tmp_path))
    assert "\n" not in str(caught.value)


def test_celeba_is_downloaded_file_by_file_each_with_a_limit_and_its_sum(official, monkeypatch, tmp_path):
    """Of what is there nothing is fetched; a text that is missing is, and not the pictures that lie unpacked."""
    (official / "celeba" / "list_bbox_celeba.txt").rename(tmp_path / "kept")
    asked = []

    def serve(key, path, *, largest, checksum):
        asked.append((path.name, largest, checksum))
        (tmp_path / "kept").rename(path)

    monkeypatch.setattr(celeba, "fetch_from_drive", serve)
    ready(CelebADataModule, str(official), val_size=2)
    (known,) = [sum_ for _, sum_, name in celeba.datasets.CelebA.file_list if name == "list_bbox_celeba.txt"]
    assert asked == [("list_bbox_celeba.txt", 30_000_000, f"md5:{known}")]


def test_celeba_absent_without_download_names_the_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"no CelebA under .*download: true"):
        ready(CelebADataModule, str(tmp_path), download=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 200}, "crop must be at most 178"),
        ({"val_size": 7}, "val_size=7 is too many: CelebA can hold out 6 pictures"),
        ({"val_size": 7, "subset_size": 5}, "val_size=7 is too many: CelebA can hold out 6 pictures"),
        ({"subset_size": 21}, "subset_size=21 is larger than the training set of 20 pictures"),
        ({"val_size": 1}, "'val_size' must be a whole number of at least 2"),
    ],
)
def test_celeba_refuses_what_does_not_fit(options, message, official):
    with pytest.raises(ConfigError, match=message):
        ready(CelebADataModule, str(official), **{"val_size": 2, **options})
