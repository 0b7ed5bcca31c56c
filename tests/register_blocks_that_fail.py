"""What a worker imports; the tests themselves do not, so that other tests see no such kind."""

from blocks_that_fail import Acting

from cnnsearch.blocks import register

register(Acting)
