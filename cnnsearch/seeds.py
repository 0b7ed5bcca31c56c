"""Where does everything random come from? One seed a study, mixed with who needs it and what for."""

import hashlib


def seed_of(seed: int, who: int | str, purpose: str) -> int:
    """Mix a study's seed and a candidate's number (or another's name) into a 32-bit seed of its own for each purpose.

    >>> seed_of(0, 1, "sampler") != seed_of(1, 0, "sampler")
    True
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{who}/{purpose}".encode()).digest()[:4])
