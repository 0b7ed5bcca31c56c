import gzip
import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import platformdirs
import pytest
import torch
from commands import ROOT, at_once, python
from mirrored import bring
from torchvision.datasets import mnist

from cnnsearch import data, datasets, download
from cnnsearch.data import DataSet, Split, _moments, fingerprint, load, load_test
from cnnsearch.datasets import FACTS, File, data_root, mnist_folder
from cnnsearch.download import prepare
from cnnsearch.errors import DataError, DiskFullError
from cnnsearch.splits import stratified
from cnnsearch.train import normalised

CPU = torch.device("cpu")
# The first 16 digits of the hashes of training, validation and test split: which image is where never changes.
DIGITS = ["41aa5887cce14b4a", "7022ac5aa3567874", "0be4e9cfdcb0dfed"]
MNIST = ["9659920f065b47a8", "0c91c960e9f2acd9", "c3f9adf9c66efb57"]

HTML = b"<!doctype html><title>Log in to this network</title>"
CONTENT = {f"{split}-{kind}": f"{split} {kind} ".encode() * 20_000 for split in ("a", "b") for kind in ("x", "y")}


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> tuple[File, ...]:
    """Four small files stand for MNIST's."""
    table = tuple(File(name, sha256(content).hexdigest(), len(content)) for name, content in CONTENT.items())
    for room in (datasets, download):
        monkeypatch.setattr(room, "MNIST_FILES", table)
    return table


class Mirror(ThreadingHTTPServer):
    """Serves CONTENT as .gz and lists what was asked; `spoil` may change an answer."""

    daemon_threads = True

    def __init__(self, spoil: Callable[[bytes], bytes] = bytes, status: int = 200) -> None:
        self.spoil, self.status, self.asked = spoil, status, []
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Answer(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        name = self.path.removeprefix("/").removesuffix(".gz")
        self.server.asked.append(name)
        whole = gzip.compress(CONTENT[name])
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(self.server.spoil(whole))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        yield server


def whole(root: Path) -> bool:
    """Say whether the folder holds the four files and nothing else."""
    return {path.name: path.read_bytes() for path in mnist_folder(root).iterdir()} == CONTENT


def put(root: Path, name: str, content: bytes) -> Path:
    path = mnist_folder(root) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def put_all_but_one(root: Path) -> None:
    """Let one file be missing: time to spare for the good mirror is then not waited for four times."""
    put_all(root)
    (mnist_folder(root) / "a-x").unlink()


def put_all(root: Path, suffix: str = "", pack: Callable[[bytes], bytes] = bytes) -> None:
    for name, content in CONTENT.items():
        put(root, f"{name}{suffix}", pack(content))


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    root = data_root()
    if not list(mnist_folder(root).glob("train-images-idx3-ubyte*")):
        pytest.skip(f"MNIST is not in {root}: set CNNSEARCH_DATA")
    return root


def test_the_data_root_is_the_one_given_then_the_variable_then_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNSEARCH_DATA", "/from/variable")
    assert data_root("/given") == Path("/given")
    assert data_root() == Path("/from/variable")
    monkeypatch.delenv("CNNSEARCH_DATA")
    assert data_root() == platformdirs.user_cache_path("cnnsearch")


def test_the_facts_of_a_data_set_need_no_torch() -> None:
    code = "import sys, cnnsearch.datasets, cnnsearch.download; print('torch' in sys.modules, 'sklearn' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "False False\n"


def test_an_unknown_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        prepare("mnits", tmp_path)
    told = f"data set 'mnits' is gone from {tmp_path / 'own'}, or damaged; delete what is left of it and run again"
    assert str(caught.value) == told


@pytest.mark.usefixtures("files")
def test_packed_files_are_unpacked_and_kept(tmp_path: Path) -> None:
    put_all(tmp_path, ".gz", gzip.compress)
    prepare("mnist", tmp_path, mirrors=())
    folder = mnist_folder(tmp_path)
    assert {name: (folder / name).read_bytes() for name in CONTENT} == CONTENT
    assert len(list(folder.iterdir())) == 8
    assert {(folder / name).stat().st_mode & 0o777 for name in CONTENT} == {0o644}


@pytest.mark.usefixtures("files")
def test_files_that_are_right_are_only_read(tmp_path: Path) -> None:
    put_all(tmp_path)
    prepare("mnist", tmp_path, mirrors=())
    assert whole(tmp_path)
    assert not (tmp_path / "MNIST" / ".lock").exists()


def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, files: tuple[File, ...], mirror: Mirror) -> None:
    put_all(tmp_path)
    path = put(tmp_path, files[1].name, b"half")
    with pytest.raises(DataError) as caught:
        prepare("mnist", tmp_path, [mirror.address])
    law = f"the sha256 of its content must be {files[1].sha256}"
    assert str(caught.value) == f"{path} is damaged or not MNIST's: {law}; delete it and run again"
    assert (path.read_bytes(), mirror.asked) == (b"half", [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>", "it is not a gzip file (Error -3 while decompressing data: incorrect header check)"),
        (gzip.compress(b"x"), f"the sha256 of its content is {sha256(b'x').hexdigest()}, not "),
        (gzip.compress(CONTENT["a-x"])[:-40], "the sha256 of its content is "),
        (gzip.compress(bytes(10**8)), "the sha256 of its content is "),
    ],
    ids=["not gzip", "another file", "half", "bomb"],
)
@pytest.mark.usefixtures("files")
def test_a_damaged_packed_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = put(tmp_path, "a-x.gz", content)
    with pytest.raises(DataError) as caught:
        prepare("mnist", tmp_path, mirrors=())
    assert str(caught.value).startswith(f"{path} is damaged or not MNIST's: {reason}")
    assert str(caught.value).endswith("; delete it and run again")
    assert list(mnist_folder(tmp_path).iterdir()) == [path]


@pytest.mark.usefixtures("files")
def test_missing_files_are_downloaded_unpacked_and_checked(tmp_path: Path, mirror: Mirror) -> None:
    put(tmp_path, "a-y", CONTENT["a-y"])
    prepare("mnist", tmp_path, [mirror.address])
    assert whole(tmp_path)
    assert mirror.asked == ["a-x", "b-x", "b-y"]


@pytest.mark.parametrize(
    ("spoil", "status", "reason"),
    [
        (bytes, 403, "HTTP Error 403: Forbidden"),
        (bytes, 404, "HTTP Error 404: Not Found"),
        (bytes, 503, "HTTP Error 503: Service Unavailable"),
        (lambda whole: HTML.ljust(len(whole)), 200, "it is not a gzip file (Error -3"),
        (lambda whole: whole[:100], 200, "it broke off "),
        (lambda whole: b"x" * len(whole), 200, "it is not a gzip file"),
        (lambda whole: gzip.compress(b"another")[: len(whole)].ljust(len(whole)), 200, "the sha256 of its content is"),
    ],
    ids=["403", "404", "503", "html", "half", "noise", "another file"],
)
@pytest.mark.usefixtures("files")
def test_a_bad_mirror_gives_way_to_the_next(
    tmp_path: Path, mirror: Mirror, spoil: Callable[[bytes], bytes], status: int, reason: str
) -> None:
    with Mirror(spoil, status) as bad:
        prepare("mnist", tmp_path, [bad.address, mirror.address])
        assert whole(tmp_path)
        with pytest.raises(DataError) as caught:
            prepare("mnist", tmp_path / "other", [bad.address])
    assert f"could not be downloaded ({bad.address}a-x.gz: {reason}" in str(caught.value)
    assert list(mnist_folder(tmp_path / "other").iterdir()) == []


@pytest.mark.usefixtures("files")
def test_a_silent_mirror_gives_way_to_the_next(tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SILENCE_SECONDS", 0.5)
    put_all_but_one(tmp_path)
    never = threading.Event()
    with Mirror(lambda whole: whole[: never.wait(2)]) as silent:
        prepare("mnist", tmp_path, [silent.address, mirror.address])
    assert whole(tmp_path)


class Rude(ThreadingHTTPServer):
    """Answers as `behave` does with the bare connection."""

    daemon_threads = True

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self.behave = behave
        super().__init__(("127.0.0.1", 0), BaseHTTPRequestHandler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def finish_request(self, request: socket.socket, client_address: object) -> None:
        _ = client_address
        request.recv(1000)
        self.behave(request)

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


def reset(connection: socket.socket) -> None:
    connection.sendall(HEAD + bytes(100))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def drip(before: bytes, connection: socket.socket) -> None:
    """Send a byte every hundredth of a second."""
    connection.sendall(before)
    never = threading.Event()
    with suppress(OSError):
        while not never.wait(0.01):
            connection.sendall(b"x")


@pytest.mark.parametrize(
    ("behave", "silence", "reason"),
    [
        (reset, 30, "[Errno 104] Connection reset by peer"),
        (hang_up, 30, "Remote end closed connection without response"),
        (partial(drip, b""), 0.2, "nothing of it came for 0.2 s"),
        (partial(drip, b"HTTP/1.1 200 OK\r\nX: "), 0.2, "nothing of it came for 0.2 s"),
        (partial(drip, HEAD), 30, "it took longer than 0.4 s"),
        (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"), 30, "SSH-2.0-OpenSSH_9.6\r\n"),
    ],
    ids=["reset", "hang up", "drip of a status", "drip of a header", "drip of a body", "another protocol"],
)
@pytest.mark.usefixtures("files")
def test_a_rude_mirror_gives_way_to_the_next(
    tmp_path: Path,
    mirror: Mirror,
    behave: Callable[[socket.socket], None],
    silence: float,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Rude(behave) as rude:
        monkeypatch.setattr(download, "SILENCE_SECONDS", silence)
        monkeypatch.setattr(download, "FILE_SECONDS", 0.4)
        with pytest.raises(DataError) as caught:
            prepare("mnist", tmp_path, [rude.address])
        assert list(mnist_folder(tmp_path).iterdir()) == []
        monkeypatch.setattr(download, "SILENCE_SECONDS", max(1.0, silence))
        monkeypatch.setattr(download, "FILE_SECONDS", 2.0)
        put_all_but_one(tmp_path)
        prepare("mnist", tmp_path, [rude.address, mirror.address])
    assert whole(tmp_path)
    assert f"could not be downloaded ({rude.address}a-x.gz: {reason})" in str(caught.value)


@pytest.mark.usefixtures("files")
def test_a_mirror_that_is_too_slow_is_given_up(tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FILE_SECONDS", 0.0)
    with pytest.raises(DataError, match=r"a-x\.gz: it took longer than 0 s"):
        prepare("mnist", tmp_path, [mirror.address])


@pytest.mark.usefixtures("files")
def test_a_mirror_that_sends_too_much_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONTENT, "a-x", os.urandom(3 * len(CONTENT["a-x"])))
    with Mirror() as mirror, pytest.raises(DataError, match=r"a-x\.gz: it is longer than 160000 bytes"):
        prepare("mnist", tmp_path, [mirror.address])


@pytest.mark.usefixtures("files")
def test_without_any_mirror_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        prepare("mnist", tmp_path, ["http://127.0.0.1:1/"])
    assert str(caught.value) == (
        f"MNIST is not in {mnist_folder(tmp_path)} and could not be downloaded"
        " (http://127.0.0.1:1/a-x.gz: <urlopen error [Errno 111] Connection refused>)."
        " Put the files a-x, a-y, b-x, b-y there, as they are or as .gz, or name the folder that holds MNIST/raw by"
        " --data-root; or use --dataset digits, which needs no download"
    )


@pytest.mark.usefixtures("files")
def test_eight_at_once_download_once(tmp_path: Path, mirror: Mirror) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(prepare, "mnist", tmp_path, [mirror.address]) for _ in range(8)]:
            done.result()
    assert whole(tmp_path)
    assert mirror.asked == list(CONTENT)


def test_eight_processes_at_once_download_once(tmp_path: Path, files: tuple[File, ...], mirror: Mirror) -> None:
    assert at_once(8, bring, files, tmp_path, [mirror.address]) == [None] * 8
    assert whole(tmp_path)
    assert mirror.asked == list(CONTENT)


@pytest.mark.usefixtures("files")
def test_what_a_killed_download_left_is_removed(tmp_path: Path, mirror: Mirror) -> None:
    put(tmp_path, ".a-x.0badf00d.tmp", b"half")
    prepare("mnist", tmp_path, [mirror.address])
    assert whole(tmp_path)


@pytest.mark.usefixtures("files")
def test_without_a_network_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DataError) as caught:
        prepare("mnist", tmp_path, ["http://one.invalid/", "http://two.invalid/"])
    reason = "<urlopen error [Errno -3] Temporary failure in name resolution>"
    told = f"(http://one.invalid/a-x.gz: {reason}; http://two.invalid/a-x.gz: {reason})."
    assert f"MNIST is not in {mnist_folder(tmp_path)} and could not be downloaded {told} Put the files" in str(
        caught.value
    )
    assert list(mnist_folder(tmp_path).iterdir()) == []


@pytest.mark.usefixtures("files")
def test_a_full_disk_leaves_no_partial_file(tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError) as caught:
        prepare("mnist", tmp_path, [mirror.address])
    folder = mnist_folder(tmp_path)
    said = re.escape(f"{folder}/") + r"[\w-]+: cannot write [\d,]+ bytes \(No space left on device\); nothing .*"
    assert re.fullmatch(said, str(caught.value))
    assert list(folder.iterdir()) == []


def test_torchvision_still_knows_mirrors() -> None:
    mirrors = download.torchvision_mirrors()
    assert mirrors
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in mirrors)


def test_a_stratified_choice_keeps_each_class_in_its_share() -> None:
    labels = [0] * 600 + [1] * 300 + [2] * 100
    chosen = stratified(labels, 101, "salt")
    assert chosen == sorted(set(chosen))
    assert Counter(labels[place] for place in chosen) == {0: 61, 1: 30, 2: 10}
    assert stratified(labels, 101, "salt") == chosen != stratified(labels, 101, "other")


def test_digits_are_what_the_facts_say(digits: DataSet) -> None:
    assert_facts(digits, load_test("digits", Path("unused"), CPU))


def assert_facts(found: DataSet, test: Split) -> None:
    facts = FACTS[found.name]
    assert (found.sha256, found.classes) == (facts.sha256, facts.classes)
    counts = (facts.train_images, facts.validation_images, facts.test_images)
    for split, count in zip((found.train, found.validation, test), counts, strict=True):
        assert split.images_NCHW.shape == (count, facts.channels, facts.height, facts.width)
        assert (split.images_NCHW.dtype, split.labels_N.dtype) == (torch.uint8, torch.int64)
        assert split.labels_N.unique().tolist() == list(range(len(facts.classes)))


def test_the_splits_of_digits_are_fixed_and_disjoint(digits: DataSet) -> None:
    test = load_test("digits", Path("unused"), CPU)
    assert [fingerprint([split])[:16] for split in (digits.train, digits.validation, test)] == DIGITS
    images = [image.numpy().tobytes() for split in (digits.train, digits.validation, test) for image in split[0]]
    assert len(set(images)) == 1797


def test_a_channel_that_is_the_same_everywhere_becomes_0(digits: DataSet) -> None:
    images_NCHW = digits.train.images_NCHW
    two = images_NCHW.new_full((len(images_NCHW), 2, *images_NCHW.shape[2:]), 7)
    two[:, 0] = images_NCHW[:, 0]
    mean, std = _moments(two)
    assert (mean[1], std[1]) == (pytest.approx(7 / 255), 1.0)
    made = normalised(two, digits._replace(mean=mean, std=std))
    assert made[:, 1].abs().max() < 1e-6


def test_the_training_pixels_of_digits_are_normalised_by_mean_and_std(digits: DataSet) -> None:
    pixels = digits.train.images_NCHW.double() / 255
    assert digits.mean == pytest.approx([pixels.mean().item()], abs=1e-12)
    assert digits.std == pytest.approx([pixels.std(correction=0).item()], abs=1e-12)


def test_digits_of_another_content_are_refused(digits: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(data.FACTS, "digits", FACTS["digits"]._replace(sha256="0" * 64))
    with pytest.raises(DataError) as caught:
        load("digits", Path("unused"), CPU)
    law = f"its sha256 is {digits.sha256}, not {'0' * 64}"
    assert str(caught.value) == f"data set 'digits' has changed: {law}; is a library newer?"


def test_mnist_is_what_the_facts_say_and_its_splits_are_fixed(mnist_root: Path) -> None:
    found = load("mnist", mnist_root, CPU)
    test = load_test("mnist", mnist_root, CPU)
    assert_facts(found, test)
    assert [fingerprint([split])[:16] for split in (found.train, found.validation, test)] == MNIST
    assert found.mean == pytest.approx([0.1307], abs=3e-4)
    assert found.std == pytest.approx([0.3081], abs=3e-4)


def test_the_search_never_parses_the_test_files(mnist_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read = data._bytes_of  # noqa: SLF001 (where it is read)
    monkeypatch.setattr(data, "_bytes_of", lambda path, header: opened.append(path.name) or read(path, header))
    load("mnist", mnist_root, CPU)
    assert opened == ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]


@pytest.mark.parametrize("train", [True, False])
def test_mnist_is_read_as_torchvision_reads_it(*, train: bool, tmp_path: Path) -> None:
    folder = mnist_folder(tmp_path)
    folder.mkdir(parents=True)
    dice = random.Random(0)
    for number, (images, labels) in enumerate((datasets.MNIST_FILES[:2], datasets.MNIST_FILES[2:])):
        count = 5 + number
        header = b"".join(each.to_bytes(4) for each in (2051, count, 28, 28))
        (folder / images.name).write_bytes(header + dice.randbytes(count * 28 * 28))
        (folder / labels.name).write_bytes((2049).to_bytes(4) + count.to_bytes(4) + dice.randbytes(count))
    theirs = mnist.MNIST(tmp_path, train=train)
    images_NCHW, labels_N = data._mnist(tmp_path, train=train)  # noqa: SLF001 (load also checks what is read)
    assert torch.equal(images_NCHW, theirs.data.unsqueeze(1))
    assert torch.equal(labels_N, theirs.targets)
    assert labels_N.dtype == theirs.targets.dtype


def test_a_worker_needs_no_torchvision(tmp_path: Path) -> None:
    # To import it takes about as long as torch itself, in every worker.
    words = "import cnnsearch.worker.job, sys; print('torchvision' in sys.modules)"
    assert python(["-c", words], tmp_path, PYTHONPATH=str(ROOT)).stdout == "False\n"
