"""Data sets of one's own: read right, divided by their pixels alone, kept once, and refused when they change."""

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import own_sets
import pytest
import torch
from commands import at_once, python
from numpy.typing import NDArray
from own_sets import CLASSES, arrays, fill, noise, put, save
from PIL import Image as Picture
from study_rig import TINY, run, write_plan

from cnnsearch import data
from cnnsearch.data import load, load_test
from cnnsearch.datasets import Facts
from cnnsearch.defaults import own_default
from cnnsearch.errors import DataError, InvalidSpecError, RunError
from cnnsearch.own import keep
from cnnsearch.own.again import found_again
from cnnsearch.own.image import Image
from cnnsearch.own.keep import facts_of, kept
from cnnsearch.own.picture import read as read_picture
from cnnsearch.plan import Plan
from cnnsearch.sameness import decisive
from cnnsearch.space import uniformly
from cnnsearch.study.kept import keep as keep_plan

CPU = torch.device("cpu")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def read(source: Path, root: Path, **image: object) -> Facts:
    return facts_of(str(source), Image.model_validate(image), root)


def rows(split: data.Split, classes: tuple[str, ...]) -> Counter[tuple[str, bytes]]:
    """Give each image with its class; pixels in the order channels, height, width."""
    images, labels = split
    pairs = zip(images, labels.tolist(), strict=True)
    return Counter((classes[label], image.numpy().tobytes()) for image, label in pairs)


def everything(facts: Facts, root: Path) -> Counter[tuple[str, bytes]]:
    found = load(facts.key, root, CPU)
    splits = (found.train, found.validation, load_test(facts.key, root, CPU))
    return sum((rows(split, facts.classes) for split in splits), Counter())


def filled(numbers: Iterable[int]) -> Counter[tuple[str, bytes]]:
    """Give what `fill` wrote under these numbers."""
    pairs = product(enumerate(CLASSES), numbers)
    return Counter((name, noise(1000 * label + number, 8, 8).tobytes()) for (label, name), number in pairs)


def test_a_folder_is_read_right(tmp_path: Path, root: Path) -> None:
    facts = read(fill(tmp_path / "my images"), root)
    assert (facts.name, facts.shape, facts.classes) == ("my-images", (1, 8, 8), CLASSES)
    assert (facts.train_images, facts.validation_images, facts.test_images, facts.notice) == (14, 3, 3, "")
    assert everything(facts, root) == filled(range(10))


def test_an_own_set_is_loaded_as_a_known_one_is(tmp_path: Path, root: Path) -> None:
    facts = read(fill(tmp_path / "mine", shape=(9, 8, 3)), root)
    found = load(facts.key, root, CPU)
    assert (found.name, found.classes, found.sha256) == ("mine", CLASSES, facts.sha256)
    assert (found.train.images_NCHW.shape, found.train.images_NCHW.dtype) == ((14, 3, 9, 8), torch.uint8)
    assert found.train.labels_N.dtype == torch.int64
    pixels = found.train.images_NCHW.double() / 255
    assert found.mean == pytest.approx(pixels.mean(dim=(0, 2, 3)).tolist())
    assert found.std == pytest.approx(pixels.std(dim=(0, 2, 3), correction=0).tolist())


LAYOUTS = [(20, 8, 9), (20, 8, 9, 1), (20, 1, 8, 9), (20, 8, 9, 3), (20, 3, 8, 9)]


@pytest.mark.parametrize("shape", LAYOUTS, ids=str)
@pytest.mark.parametrize("order", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("label", ["u1", "<i8", ">i4", "U"])
def test_an_npz_file_is_read_right(
    shape: tuple[int, ...], order: Callable[[Any], Any], label: str, tmp_path: Path, root: Path
) -> None:
    images, labels = noise(0, *shape), np.arange(20) % 2
    facts = read(save(tmp_path / "set.npz", images=order(images), labels=labels.astype(label)), root)
    channels = 3 if 3 in shape else 1
    assert (facts.name, facts.shape, facts.classes) == ("set", (channels, 8, 9), ("0", "1"))
    first = images if shape[1] == channels or len(shape) == 3 else images.transpose(0, 3, 1, 2)
    expected = Counter((str(number % 2), image.tobytes()) for number, image in enumerate(first))
    assert everything(facts, root) == expected


def test_a_compressed_npz_file_with_all_arrays_is_read_right(tmp_path: Path, root: Path) -> None:
    given = {
        "images": noise(0, 4, 8, 8),
        "labels": np.array(["b10", "b2", "b2", "b10"]),
        "validation_images": noise(1, 2, 8, 8),
        "validation_labels": np.array(["b2", "b10"]),
        "test_images": noise(2, 2, 8, 8),
        "test_labels": np.array(["b10", "b2"]),
    }
    np.savez_compressed(tmp_path / "set.npz", **given)
    facts = read(tmp_path / "set.npz", root)
    assert facts.classes == ("b2", "b10")
    found = load(facts.key, root, CPU)
    splits = (found.train, found.validation, load_test(facts.key, root, CPU))
    for split, name in zip(splits, ("", "validation_", "test_"), strict=True):
        assert torch.equal(split.images_NCHW[:, 0], torch.from_numpy(given[f"{name}images"]))
        assert [facts.classes[label] for label in split.labels_N] == given[f"{name}labels"].tolist()


def test_class_names_may_be_given_to_numbers_and_to_texts(tmp_path: Path, root: Path) -> None:
    named = {**arrays(), "classes": np.array(["no", "yes"])}
    assert read(save(tmp_path / "numbers.npz", **named), root).classes == ("no", "yes")
    texts = {**named, "labels": np.array(["yes", "no"] * 10)}
    facts = read(save(tmp_path / "texts.npz", **texts), root)
    assert everything(facts, root)["yes", texts["images"][0].tobytes()] == 1


COLOURS = noise(5, 8, 8, 3)
PALETTE = Picture.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
PALETTE.putpalette(COLOURS.tobytes())


@pytest.mark.parametrize(
    ("name", "picture", "expected"),
    [
        ("a.PNG", Picture.fromarray(COLOURS), COLOURS),
        ("a.bmp", Picture.fromarray(COLOURS), COLOURS),
        ("a.webp", Picture.fromarray(COLOURS), COLOURS),
        ("a.tiff", Picture.fromarray(COLOURS), COLOURS),
        ("a.ppm", Picture.fromarray(COLOURS), COLOURS),
        ("a.png", Picture.fromarray(COLOURS).convert("RGBA"), COLOURS),
        ("a.png", PALETTE, COLOURS),
        ("a.png", Picture.fromarray(COLOURS[..., 0]), COLOURS[..., :1]),
        ("a.png", Picture.fromarray(COLOURS[..., 0]).convert("LA"), COLOURS[..., :1]),
        ("a.png", Picture.fromarray(COLOURS[..., 0] > 99), (COLOURS[..., :1] > 99) * np.uint8(255)),
        ("a.gif", Picture.fromarray(COLOURS[..., 0]), COLOURS[..., :1]),
        ("a.pgm", Picture.fromarray(COLOURS[..., 0]), COLOURS[..., :1]),
    ],
    ids=["PNG", "bmp", "webp", "tiff", "ppm", "opaque", "palette", "grey", "opaque grey", "bits", "gif", "pgm"],
)
def test_a_picture_is_read_as_people_see_it(
    name: str, picture: Picture.Image, expected: NDArray[Any], tmp_path: Path
) -> None:
    picture.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    assert np.array_equal(read_picture(tmp_path / name, Image()), expected)


def test_a_photograph_stands_upright_and_its_colours_are_near(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(16) * 8, np.arange(8) * 8).astype(np.uint8)
    exif = Picture.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    path = put(tmp_path / "a.jpg", smooth, exif=exif, quality=100)
    found = read_picture(path, Image())[..., 0]
    assert found.shape == (8, 16)
    assert np.abs(found.astype(int) - np.rot90(smooth, -1)).max() <= 4


@pytest.mark.parametrize("source", ["folder", "npz"])
def test_images_are_resized_and_made_grey_or_coloured(source: str, tmp_path: Path, root: Path) -> None:
    path = {"folder": fill(tmp_path / "folder", shape=(8, 8, 3)), "npz": save(tmp_path / "a.npz", **arrays())}[source]
    facts = read(path, root, size=[12, 10], channels={"folder": 1, "npz": 3}[source])
    assert facts.shape == ({"folder": 1, "npz": 3}[source], 12, 10)


def test_hidden_files_and_what_systems_leave_are_no_images(tmp_path: Path, root: Path) -> None:
    folder = fill(tmp_path / "mine")
    for name in (".DS_Store", "cat/._0.png", "cat/Thumbs.db", "dog/desktop.ini", "README.txt"):
        (folder / name).write_text("x")
    assert read(folder, root).train_images == 14


def test_given_splits_are_kept_and_the_others_drawn_from_the_training_images(tmp_path: Path, root: Path) -> None:
    fill(tmp_path / "mine/train")
    fill(tmp_path / "mine/test", count=2, first=20)
    facts = read(tmp_path / "mine", root)
    assert (facts.train_images, facts.validation_images, facts.test_images) == (17, 3, 4)
    assert rows(load_test(facts.key, root, CPU), CLASSES) == filled([20, 21])
    fill(tmp_path / "mine/val", count=1, first=30)
    facts = read(tmp_path / "mine", root)
    assert (facts.train_images, facts.validation_images, facts.test_images) == (20, 2, 4)


def test_names_and_new_images_leave_the_others_in_their_splits(tmp_path: Path, root: Path) -> None:
    folder = fill(tmp_path / "mine", count=100)
    before = rows(load_test(read(folder, root).key, root, CPU), CLASSES)
    for path in list((folder / "cat").iterdir()):
        path.rename(path.with_name(f"x{path.name}"))
    assert rows(load_test(read(folder, root).key, root, CPU), CLASSES) == before
    put(folder / "cat/new.png", noise(999_999, 8, 8))
    now = rows(load_test(read(folder, root).key, root, CPU), CLASSES)
    assert (now - before).total() <= 2
    assert (before - now).total() <= 1


def test_equal_images_are_drawn_into_one_split(tmp_path: Path, root: Path) -> None:
    folder = fill(tmp_path / "mine", count=40)
    for path in list((folder / "dog").iterdir()):
        shutil.copy(path, path.with_name(f"copy-{path.name}"))
    facts = read(folder, root)
    assert facts.notice == ""
    found = load(facts.key, root, CPU)
    parts = [set(rows(split, CLASSES)) for split in (found.train, found.validation, load_test(facts.key, root, CPU))]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 80


def test_images_of_two_splits_or_classes_are_told_as_a_notice(tmp_path: Path, root: Path) -> None:
    fill(tmp_path / "mine/train")
    fill(tmp_path / "mine/test", count=2, first=9)
    put(tmp_path / "mine/train/dog/z.png", noise(3, 8, 8))
    facts = read(tmp_path / "mine", root)
    assert facts.notice == (
        "The data set looks faulty: 2 different images of the test split are among the train images too"
        " (test/cat/9.png is train/cat/9.png); 1 image stands in more than one class"
        " (train/cat/3.png is train/dog/z.png)."
    )  # fmt: skip


def test_a_single_image_of_two_splits_is_told_as_one(tmp_path: Path, root: Path) -> None:
    fill(tmp_path / "mine/train", count=20)
    fill(tmp_path / "mine/test", count=2, first=30)
    put(tmp_path / "mine/test/cat/z.png", noise(3, 8, 8))
    law = "1 image of the test split is among the train images too (test/cat/z.png is train/cat/3.png)."
    assert read(tmp_path / "mine", root).notice == f"The data set looks faulty: {law}"


def test_a_set_is_decoded_once(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "mine")
    first = read(folder, root)
    monkeypatch.setattr(keep, "_keep", None)
    assert read(folder, root) == first
    monkeypatch.undo()
    (folder / "cat/0.png").touch()
    assert read(folder, root) == first
    put(folder / "cat/0.png", noise(77, 8, 8))
    assert read(folder, root).sha256 != first.sha256


def test_the_hash_covers_pixels_labels_classes_and_splits_and_not_the_place(tmp_path: Path, root: Path) -> None:
    folder = fill(tmp_path / "mine")
    hashes = [read(folder, root).sha256]
    assert read(Path(shutil.copytree(folder, tmp_path / "copy")), tmp_path / "other").sha256 == hashes[0]
    (folder / "cat").rename(folder / "bat")
    hashes.append(read(folder, root).sha256)
    (folder / "bat/0.png").rename(folder / "dog/20.png")
    put(folder / "bat/0.png", noise(77, 8, 8))
    hashes.append(read(folder, root).sha256)
    fill(folder / "train")
    shutil.rmtree(folder / "bat")
    shutil.rmtree(folder / "dog")
    shutil.copytree(folder / "train", folder / "test")
    hashes.append(read(folder, root).sha256)
    assert len(set(hashes)) == 4


def test_the_search_never_opens_the_test_images(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = read(fill(tmp_path / "mine"), root)
    opened: list[str] = []
    original = np.load
    monkeypatch.setattr(np, "load", lambda path, **options: opened.append(path.name) or original(path, **options))
    load(facts.key, root, CPU)
    assert sorted(opened) == ["train_images.npy", "train_labels.npy", "validation_images.npy", "validation_labels.npy"]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?")])
@pytest.mark.parametrize("name", ["train_images.npy", "validation_labels.npy", "facts.json"])
def test_a_damaged_cache_is_refused(spoil: Callable[[Path], object], name: str, tmp_path: Path, root: Path) -> None:
    facts = read(fill(tmp_path / "mine"), root)
    spoil(kept(facts.key, root).folder / name)
    with pytest.raises(DataError) as caught:
        load(facts.key, root, CPU)
    told = f"data set '{facts.key}' is gone from {root / 'own'}, or damaged; delete what is left of it and run again"
    assert str(caught.value) == told
    shutil.rmtree(root / "own" / facts.key)
    assert read(tmp_path / "mine", root) == facts
    load(facts.key, root, CPU)


def test_eight_at_once_decode_once(tmp_path: Path, root: Path) -> None:
    folder = fill(tmp_path / "mine")
    found = at_once(8, own_sets.facts, folder, root)
    assert len(set(found)) == 1
    assert {path.name for path in (root / "own").iterdir()} == {".lock", "seen", found[0].key}


def test_a_killed_reading_leaves_nothing_behind(tmp_path: Path, root: Path) -> None:
    folder = fill(tmp_path / "mine")
    (root / "own/.0badf00d.tmp").mkdir(parents=True)
    facts = read(folder, root)
    assert {path.name for path in (root / "own").iterdir()} == {".lock", "seen", facts.key}


def test_a_data_root_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError) as caught:
        read(folder, tmp_path / "file")
    law = f"the images of {folder} cannot be kept there (Not a directory); free space, or name another --data-root"
    assert str(caught.value) == f"{tmp_path / 'file/own'}: {law}"


# Plans


def plan_of(source: Path, root: Path, **fields: object) -> Plan:
    return Plan.model_validate({"dataset": str(source), "data_root": str(root), **fields})


def test_a_plan_takes_its_facts_from_the_folder(tmp_path: Path, root: Path) -> None:
    plan = plan_of(fill(tmp_path / "mine"), root)
    network = plan.draw(uniformly(random.Random(0))).network
    assert (network.input.shape, network.classes) == ((1, 8, 8), 2)
    assert plan.run_name == f"mine-{plan.fingerprint}"
    assert plan.stored()["data"] == plan.facts.sha256
    assert Plan.model_validate(plan.stored()).fingerprint == plan.fingerprint


def test_a_run_does_not_hang_on_the_place_of_its_images(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(fill(tmp_path / "mine"), root)
    monkeypatch.chdir(tmp_path)
    for same in (Path("mine"), Path("./mine/"), Path(shutil.copytree("mine", "copies/mine"))):
        assert plan_of(same, root).run_name == plan.run_name
    assert plan_of(Path("mine"), root, image={"size": 8, "channels": 1}).run_name == plan.run_name
    assert plan_of(Path("mine"), root, image={"size": 9}).run_name != plan.run_name


@pytest.mark.parametrize("source", ["digits", "mnist"])
def test_known_images_stay_as_they_are(source: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        Plan.model_validate({"dataset": source, "image": {"size": 16}})
    assert str(caught.value) == f"image: the images of {source} stay as they are; leave it out"


def changed(folder: Path) -> None:
    """Add an image, remove one, exchange the pixels of one and the class of another."""
    put(folder / "cat/new.png", noise(555, 8, 8))
    (folder / "cat/0.png").unlink()
    put(folder / "dog/1.png", noise(556, 8, 8))


CHANGES = ["images: new: cat/new.png", "images: gone: cat/0.png", "images: other pixels: dog/1.png"]


def test_a_plan_for_other_images_is_refused_with_the_difference(tmp_path: Path, root: Path) -> None:
    folder = fill(tmp_path / "mine", count=40)
    stored = plan_of(folder, root).stored()
    changed(folder)
    with pytest.raises(InvalidSpecError) as caught:
        Plan.model_validate(stored)
    now = read(folder, root).sha256
    law = f"data: the plan was made for data with SHA-256 {stored['data']}, but {folder} has {now} ("
    assert str(caught.value).startswith(law)
    assert str(caught.value).endswith("); leave `data` out to plan anew")
    assert [change for change in CHANGES if change not in str(caught.value)] == []


def test_a_run_on_changed_images_is_refused_with_the_difference(tmp_path: Path, root: Path) -> None:
    folder = fill(tmp_path / "mine", count=40)
    (tmp_path / "run").mkdir()
    keep_plan(plan_of(folder, root, runs=str(tmp_path), name="run"))
    changed(folder)
    with pytest.raises(RunError) as caught:
        keep_plan(plan_of(folder, root, runs=str(tmp_path), name="run"))
    lines = [line.strip() for line in str(caught.value).splitlines()]
    assert lines[0] == f"{tmp_path / 'run'} was made by another plan, and results of two plans cannot be compared:"
    assert lines[1].startswith('data: "')
    assert lines[2:5] == CHANGES


def test_two_sets_of_ones_own_differ_by_their_hash_alone(tmp_path: Path, root: Path) -> None:
    plan = plan_of(fill(tmp_path / "mine"), root)
    assert decisive(plan.stored())["dataset"] == "images of one's own"
    assert "image" not in decisive(plan.stored())


@pytest.mark.parametrize("side", [8, 15, 16, 40, 41, 96, 97, 512])
@pytest.mark.parametrize("images", [14, 9_999, 10_000, 1_000_000])
def test_the_default_for_every_size_and_number_is_a_plan(
    side: int, images: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = Facts("x", 3, side, 2 * side, CLASSES, images, 3, 3, "0" * 64, "x-0")
    for room in ("plan", "completed"):
        monkeypatch.setattr(f"cnnsearch.{room}.facts_of", lambda *_: facts)
    plan = Plan.model_validate({"dataset": str(tmp_path)})
    network, recipe, *_ = plan.draw(uniformly(random.Random(0)))
    assert tuple(network.input.shape) == (3, side, 2 * side)
    assert min(min(shape[1:]) for shape in network.shapes) >= 3
    assert recipe.augmentation is not None
    assert recipe.augmentation.rotation <= 10
    assert own_default(side, 2 * side, images)["pruner"] == plan.pruner.model_dump(mode="json", exclude_unset=True)


# Images that were moved


def test_a_run_finds_its_images_again_kept_or_where_they_were(tmp_path: Path, root: Path) -> None:
    assert found_again({"dataset": "digits"}, tmp_path, root) == "digits"
    folder = fill(tmp_path / "mine")
    plan = plan_of(folder, root)
    stored, folder = plan.stored(), folder.rename(tmp_path / "moved")
    place = kept_place(root)
    assert found_again(stored, tmp_path, root) == str(place)
    again = Plan.model_validate({**stored, "dataset": str(place)})
    assert (again.fingerprint, again.data) == (plan.fingerprint, stored["data"])
    (place / "facts.json").unlink()
    assert found_again({**stored, "dataset": str(folder)}, tmp_path, root) == str(folder)
    shutil.rmtree(root)
    assert found_again({**stored, "dataset": str(folder)}, tmp_path, root) == str(folder)
    assert kept_place(root).name == f"moved-{place.name[-16:]}", "they are kept again"
    assert load(place.name, root, CPU).sha256 == stored["data"], "an export asks by the name of before"


def kept_place(root: Path) -> Path:
    return next((root / "own").glob("*-*"))


def test_kept_images_with_another_hash_are_not_taken_for_a_runs(tmp_path: Path, root: Path) -> None:
    stored = plan_of(fill(tmp_path / "mine"), root).stored()
    shutil.rmtree(tmp_path / "mine")
    other = f"{str(stored['data'])[:16]}{'0' * 48}"
    law = f"the images of this run are neither at {tmp_path / 'mine'} nor kept in {root / 'own'}"
    way = f'put them back there, or write where they are now into {tmp_path / "plan.json"} as "dataset"'
    for digest in (other, "no hash", None):
        with pytest.raises(DataError) as caught:
            found_again({**stored, "data": digest}, tmp_path, root)
        assert str(caught.value) == f"{tmp_path}: {law} (SHA-256 {str(digest)[:12]}...); {way}"


def test_finals_and_export_go_on_with_kept_images_and_say_how_to_go_on_without(tmp_path: Path) -> None:
    fill(tmp_path / "mine")
    finals = {"candidates": 1, "finalists": 1, "seeds": 1, "epochs": 1, "baselines": ["majority"]}
    name = write_plan(tmp_path, TINY, dataset="mine", data_root="root", name="x", budget={"trials": 1}, finals=None)
    status, _, err = run(tmp_path, name)
    assert (status, err) == (0, "")
    (tmp_path / "mine").rename(tmp_path / "moved")
    path = tmp_path / "runs/x/plan.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "finals": finals}))
    done = python(["-m", "cnnsearch.evaluate", "runs/x"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "The winner is trial 0 with" in done.stdout
    shutil.rmtree(tmp_path / "root")
    for command in ("evaluate", "explain", "export"):
        done = python(["-m", f"cnnsearch.{command}", "runs/x"], tmp_path)
        assert done.stdout == ""
        assert "runs/x: the images of this run are neither at mine nor kept in root/own (SHA-256 " in done.stderr
        assert done.stderr.endswith(
            'put them back there, or write where they are now into runs/x/plan.json as "dataset"\n'
        )
    shutil.copytree(tmp_path / "moved", tmp_path / "mine")
    put(tmp_path / "mine/dog/new.png", noise(3, 8, 8))
    for command in ("evaluate", "export"):
        done = python(["-m", f"cnnsearch.{command}", "runs/x"], tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert "runs/x: the images at mine are others than those of this run (SHA-256 " in done.stderr
        way_out = "bring them back, or begin a run of these by python -m cnnsearch.study\n"
        assert done.stderr.endswith(f"which are not kept; {way_out}")
    shutil.rmtree(tmp_path / "mine")
    path.write_text(json.dumps({**json.loads(path.read_text()), "dataset": "moved"}))
    done = python(["-m", "cnnsearch.evaluate", "runs/x"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


# Commands


def test_a_dry_run_on_own_images_needs_no_torch_and_says_what_looks_faulty(tmp_path: Path) -> None:
    fill(tmp_path / "my_images")
    put(tmp_path / "my_images/dog/z.png", noise(3, 8, 8))
    command = ["-X", "importtime", "-m", "cnnsearch.study", "--dataset", "my_images/", "--dry-run", "--device", "cpu"]
    said = python([*command, "--data-root", "root"], tmp_path)
    assert said.returncode == 0, said.stderr
    assert "run       runs/my_images-" in said.stdout
    assert (
        "data      my_images: 14 training images, 3 for validation, 4 for the test; 2 classes: cat, dog\n"
        in said.stdout
    )
    assert "notice    The data set looks faulty: 1 image stands in more than one class" in said.stdout
    assert not {"torch", "optuna", "sklearn"} & {line.rpartition("|")[2].strip() for line in said.stderr.splitlines()}


@pytest.mark.parametrize("module", ["study", "check"])
def test_a_bad_set_is_refused_by_the_commands(module: str, tmp_path: Path) -> None:
    fill(tmp_path / "mine")
    (tmp_path / "mine/cat/0.png").write_bytes(b"x")
    (tmp_path / "plan.yaml").write_text("dataset: mine\ndata_root: root\n")
    said = python(["-m", f"cnnsearch.{module}", "plan.yaml"], tmp_path)
    assert said.returncode == 1
    assert said.stderr.startswith("mine/cat/0.png: it is no picture of a kind that is read")
    assert len(said.stderr.splitlines()) == 1


def test_many_images_are_announced(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(keep, "MANY", 20)
    read(fill(tmp_path / "mine"), root)
    read(tmp_path / "mine", root)
    assert capsys.readouterr().err == f"reading the 20 pictures of {tmp_path / 'mine'}, once\n"


SMALL_FILES = (
    "import resource, sys; from cnnsearch.study.__main__ import main; "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); sys.exit(main(sys.argv[1:]))"
)


def test_a_disk_that_takes_no_more_while_images_are_kept_is_told_as_full(tmp_path: Path) -> None:
    save(tmp_path / "mine.npz", **arrays(400, (20, 20)))
    said = python(["-c", SMALL_FILES, "--dataset", "mine.npz", "--data-root", "root", "--dry-run"], tmp_path)
    law = "the images of mine.npz cannot be kept there (File too large); free space, or name another --data-root"
    assert (said.returncode, said.stderr) == (75, f"root/own: {law}\n")
    assert [path.name for path in (tmp_path / "root" / "own").iterdir() if path.name.startswith("mine")] == []
