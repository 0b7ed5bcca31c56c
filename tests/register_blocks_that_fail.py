"""What a worker imports; the tests themselves do not, so that other tests see no such kind.

CNNSEARCH_BROKEN takes a guard of the workers away, so that what shall notice that can be seen to do so.
"""

import os

from blocks_that_fail import Acting

from cnnsearch.blocks import register

register(Acting)
if os.environ.get("CNNSEARCH_BROKEN") == "reasons":
    from cnnsearch.worker import job

    job.OUT_OF_MEMORY = ()
