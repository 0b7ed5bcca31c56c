"""Who measures latencies? A process of its own: its torch has one thread, and it trains nothing beside."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from select import select

from cnnsearch.errors import RunError
from cnnsearch.executors.process import environment, trim
from cnnsearch.network import Network
from cnnsearch.objectives import Latency

MOST_SECONDS = 60
MOST_TO_START = 600  # torch may lie on a slow disk, and all workers import it at once
METER = (sys.executable, "-P", "-m", "cnnsearch.latency")


class Meter:
    """The process, from its first use until it is closed."""

    def __init__(self, modules: Sequence[str], log: Path, command: Sequence[str] = METER) -> None:
        """Start it and wait until it is ready; `modules` register the user's own blocks."""
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 (no shell; the command is ours or a test's)
                [*command, *modules],
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C reaches the coordinator alone
                text=True,
            )
        late = f"the process that measures latencies took longer than {MOST_TO_START} seconds to start"
        self._answer(late, MOST_TO_START)

    def measure(self, network: Network) -> Latency | None:
        """Measure a network, None where it cannot be run; raise RunError where the process ended or took too long."""
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{network.to_json()}\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended, and the answer says so
        late = f"a measurement took longer than {MOST_SECONDS} seconds, in which nothing else was trained"
        answer = json.loads(self._answer(late, MOST_SECONDS))
        trim(self._log)
        return answer and Latency(*answer)

    def close(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.communicate()

    def _answer(self, late: str, most_seconds: float) -> str:
        assert self._process.stdout
        if not select([self._process.stdout], [], [], most_seconds)[0]:
            self.close()
            raise RunError(f"{late}; the log is {self._log}")
        answer = self._process.stdout.readline()
        if not answer:
            status = self._process.wait()
            self.close()
            law = f"the process that measures latencies ended with exit status {status}"
            raise RunError(f"{law}; its log is {self._log}")
        return answer
