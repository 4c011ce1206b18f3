"""A measurement that goes on where it was stopped: what is done so far stands in a file beside the results."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.benchmarks.tally import Failure, Tally
from gen3r.whole_file import whole_file


class Progress:
    """Numbers of the clips that are done.

    Args:
        out: the results file. Its progress is in ``.NAME.progress.json`` beside it.
        identity: model, settings and code, as JSON; progress under any other identity is not gone on with.
        quantities: what is measured of every clip.
        seeds: the clips; what is done of others is not taken over.
    """

    def __init__(
        self, out: Path, identity: Mapping[str, Any], quantities: Mapping[str, Quantity], seeds: Collection[int]
    ) -> None:
        self.path = out.with_name(f".{out.name}.progress.json")
        self.identity = json.loads(json.dumps(identity))
        self.tally = Tally(quantities=dict(quantities))
        self.resumed = self._read(seeds)

    def done(self, seed: int) -> bool:
        """Whether a clip has all its numbers."""
        return seed in self.tally.scores

    def keep(self) -> None:
        """Write down what is done; every clip in the tally must be complete."""
        failures = [vars(failure) for failure in self.tally.failures]
        clips = {str(seed): scores for seed, scores in self.tally.scores.items()}
        text = json.dumps({"identity": self.identity, "failures": failures, "clips": clips}, allow_nan=False)
        with whole_file(self.path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def finish(self) -> None:
        """Results are written: progress is no longer needed."""
        self.path.unlink(missing_ok=True)

    def _read(self, seeds: Collection[int]) -> int:
        """Take over what was done under the same identity; the number of clips."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0
        if content.get("identity") != self.identity:
            return 0
        clips = {int(seed): scores for seed, scores in content["clips"].items()}
        self.tally.scores.update({seed: scores for seed, scores in clips.items() if seed in seeds})
        failures = [Failure(**failure) for failure in content["failures"]]
        self.tally.failures += [failure for failure in failures if failure.seed in seeds]
        return len(self.tally.scores)
