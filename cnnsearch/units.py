"""How are figures written for people?"""

from collections.abc import Sequence


def percent(share: float) -> str:
    """Write a share as everywhere in this library.

    >>> percent(0.9938)
    '99.38 %'
    """
    return f"{share * 100:.2f} %"


def chance(value: float) -> str:
    """Write the p-value of a test.

    >>> chance(0.0131), chance(3e-7)
    ('0.013', '<0.001')
    """
    return f"{value:.2g}" if value >= 0.001 else "<0.001"  # noqa: PLR2004 (smaller ones all mean the same)


def times(count: int) -> str:
    """Say how often.

    >>> times(1), times(3)
    ('once', '3 times')
    """
    return "once" if count == 1 else f"{count} times"


def counted(number: int, one: str, many: str) -> str:
    """Put a number before its noun.

    >>> counted(1, "block", "blocks"), counted(3_000, "block", "blocks")
    ('1 block', '3,000 blocks')
    """
    return f"{number:,} {one if number == 1 else many}"


def duration(seconds: float) -> str:
    """Write a time in its two largest units.

    >>> duration(3725), duration(59.6), duration(4.25)
    ('1 h 2 min', '1 min 0 s', '4.2 s')
    """
    if seconds < 10:  # noqa: PLR2004 (below, tenths of a second mean something)
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def roughly(seconds: float) -> str:
    """Write an estimated time.

    >>> roughly(600), roughly(80.2)
    ('10 min', '80 s')
    """
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"  # noqa: PLR2004 (a minute and a half)


def short_number(number: float) -> str:
    """Write a number with three digits and its unit prefix.

    >>> short_number(950), short_number(79_866), short_number(999_600), short_number(3_000_000)
    ('950 ', '79.9 k', '1 M', '3 M')
    """
    for unit in ("", "k", "M", "G"):
        if number < 999.5:  # noqa: PLR2004 (what is more is written as 1 of the next prefix)
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.0f} T"


def interval_in_ms(seconds: Sequence[float]) -> str:
    """Write a median with its interval.

    >>> interval_in_ms((0.000123, 0.000121, 0.00013))
    '0.123 ms (0.121 to 0.130)'
    """
    median, low, high = (f"{value * 1000:.3f}" for value in seconds)
    return f"{median} ms ({low} to {high})"
