"""The one exception of the checker: what was asked for is not proved.

The reason is one word out of the list that `proofs/FORMAT.md` gives beside the rejection corpus.
"""

REASONS = (
    "entry", "certificate", "digest", "claim", "tiling", "piece", "work",
    "range", "function", "error", "part", "stated-range", "witness",
)


class Rejection(Exception):
    """A pair of files is not accepted; `reason` is one of REASONS, `detail` says where and why."""

    def __init__(self, reason, detail):
        assert reason in REASONS, reason
        super().__init__(reason + ": " + detail)
        self.reason = reason
        self.detail = detail
