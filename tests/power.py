"""What may a disk hold after a power cut? Operations are done once more here; what was synced is sure, the rest is not.

- A file has what it had at its last fsync. What was added since is there in order, up to any byte, and zeros may stand
  for the rest, and for any page of it: pages come to the disk in any order. What was written over it may be there or
  not, or up to any byte.
- A folder has the names that it had at its last fsync. What became of them since, a rename too, may have come to the
  disk or not, each by itself: file systems promise more, each something else.
"""

import random
from pathlib import Path
from typing import NamedTuple

from disk import Op

PAGE = 512  # bytes: a sector, the least that a disk writes


class Change(NamedTuple):
    """Bytes that were written to a file; without any the file was cut there."""

    offset: int
    data: bytes | None


class File:
    """Bytes: those of now, and those on the disk with what was done since."""

    def __init__(self) -> None:
        self.now = bytearray()
        self._sure = b""
        self._since: list[Change] = []

    def change(self, change: Change) -> None:
        """Write, or cut."""
        _apply(self.now, change)
        self._since.append(change)

    def sync(self) -> None:
        """Bring all to the disk."""
        self._sure, self._since = bytes(self.now), []

    def write(self, at: Path, dice: random.Random, share: float) -> None:
        """Write what a power cut leaves."""
        left, has_end = bytearray(self._sure), False
        for offset, data in self._since:
            if data is None:
                if dice.random() < share:
                    _apply(left, Change(offset, None))
                continue
            count = len(data) if dice.random() < share else dice.choice((0, dice.randrange(len(data))))
            is_new = offset + len(data) > len(left)
            if is_new and has_end:
                continue
            if count or not is_new:
                _apply(left, Change(offset, data[:count]))
            if is_new and count < len(data):
                has_end = True
                left += bytes(dice.choice((0, len(data) - count)))
        for page in range(0, len(left), PAGE):
            begin, end = max(page, len(self._sure)), min(page + PAGE, len(left))
            if begin < end and dice.random() < (1 - share) / 4:
                left[begin:end] = bytes(end - begin)
        at.write_bytes(left)


class Folder:
    """Names: those of now, and those on the disk with what was done since."""

    def __init__(self) -> None:
        self.now: dict[str, File | Folder] = {}
        self._sure: dict[str, File | Folder] = {}
        self._since: list[dict[str, File | Folder | None]] = []

    def change(self, names: dict[str, "File | Folder | None"]) -> None:
        """Give names to files, take names away, or both at once."""
        _rename(self.now, names)
        self._since.append(names)

    def sync(self) -> None:
        """Bring all names to the disk."""
        self._sure, self._since = dict(self.now), []

    def write(self, at: Path, dice: random.Random, share: float) -> None:
        """Write what a power cut leaves."""
        left = dict(self._sure)
        for names in self._since:
            if dice.random() < share:
                _rename(left, names)
        at.mkdir(exist_ok=True)
        for name, node in left.items():
            node.write(at / name, dice, share)

    def content(self, at: Path) -> dict[Path, bytes]:
        """Give all that there is now, by path."""
        found: dict[Path, bytes] = {}
        for name, node in self.now.items():
            found |= {at / name: bytes(node.now)} if isinstance(node, File) else node.content(at / name)
        return found


class Disk:
    """The folder `at`, in which operations are done."""

    def __init__(self, at: Path) -> None:
        self._at, self._top = at, Folder()

    def do(self, op: Op) -> None:
        """Do what a study did."""
        if not op.path:  # it said something
            return
        above, name = self._folder(op.path)
        node = self._top if Path(op.path) == self._at else above.now.get(name)
        match op.name:
            case "mkdir":
                above.change({name: Folder()})
            case "create":
                above.change({name: File()})
            case "unlink" | "rmdir":
                above.change({name: None})
            case "rename":
                self._rename(op)
            case "sync":
                assert node
                node.sync()
            case _:
                assert isinstance(node, File)
                node.change(Change(op.offset, op.data if op.name == "write" else None))

    def cut_power(self, dice: random.Random) -> None:
        """Write what may be left."""
        self._top.write(self._at, dice, dice.choice((0.0, 0.5, 0.9)))

    def content(self) -> dict[Path, bytes]:
        """Give all files as they are now."""
        return self._top.content(self._at)

    def _rename(self, op: Op) -> None:
        (above, name), (to_above, to_name) = self._folder(op.path), self._folder(op.other)
        assert above is to_above, f"{op.path} went to another folder"
        above.change({name: None, to_name: above.now[name]})

    def _folder(self, path: str) -> tuple[Folder, str]:
        folder = self._top
        *parts, name = Path(path).relative_to(self._at.parent).parts
        for part in parts[1:]:
            below = folder.now[part]
            assert isinstance(below, Folder)
            folder = below
        return folder, name


def _apply(content: bytearray, change: Change) -> None:
    offset, data = change
    if data is None:
        del content[offset:]
        return
    content += bytes(max(0, offset - len(content)))
    content[offset : offset + len(data)] = data


def _rename(left: dict[str, File | Folder], names: dict[str, File | Folder | None]) -> None:
    for name, node in names.items():
        if node:
            left[name] = node
        else:
            left.pop(name, None)
