"""Who belongs to which split? Decided by hashes, not by a library's generator, so that no new version changes it."""

from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256


def stratified(labels: Sequence[int], count: int, salt: str, names: Sequence[str] | None = None) -> list[int]:
    """Choose `count` places of a list of labels, rising, each class in its share of the whole (largest remainder).

    Within a class the hash of salt and name decides; the names are the places' numbers where none are given.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        members[label].append(place)
    shares = {label: count * len(places) / len(labels) for label, places in sorted(members.items())}
    quota = {label: int(share) for label, share in shares.items()}
    remainders = sorted(shares, key=lambda label: quota[label] - shares[label])
    for label in remainders[: count - sum(quota.values())]:
        quota[label] += 1

    def rank(place: int) -> bytes:
        return sha256(f"{salt} {place if names is None else names[place]}".encode()).digest()

    drawn = [sorted(places, key=rank)[: quota[label]] for label, places in members.items()]
    return sorted(place for places in drawn for place in places)
