"""What a trial of a profile or of an image host consists of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step: what was tried, whether it worked, and what came of it."""

    name: str
    is_good: bool
    words: str

    @property
    def line(self) -> str:
        """The step as a terminal shows it."""
        return f"{'ok    ' if self.is_good else 'FAILED'}  {self.name}: {self.words}"

    @property
    def table(self) -> dict[str, object]:
        """The step as JSON shows it."""
        return {"step": self.name, "ok": self.is_good, "words": self.words}
