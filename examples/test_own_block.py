"""Shows how a block of one's own is tested: by every law that the built-in kinds keep.

Run it as `python -m pytest examples/test_own_block.py`; needs the extra `cnnsearch[test]`.
"""

from own_block import Excited

from cnnsearch.testing import check_kind


def test_the_block_keeps_the_laws() -> None:
    """Its shapes, learned numbers and multiply-adds are those of torch, it can be searched, and it trains."""
    check_kind(Excited, examples=20)
