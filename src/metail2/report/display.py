"""Effects in the scale and words of the report."""

from __future__ import annotations

from dataclasses import dataclass

from metail2.effects.displays import display_transform
from metail2.effects.measures import MEASURES, Measure
from metail2.effects.transforms import TRANSFORMS, Transform
from metail2.wording import estimate_interval, number


@dataclass(frozen=True, slots=True)
class Display:
    """How the effects of an analysis are shown.

    Attributes
    ----------
    measure : Measure
        What is measured.
    transform : Transform
        From the pooled to the displayed scale.
    """

    measure: Measure
    transform: Transform

    @classmethod
    def of(cls, measure: str, transform: str | None = None) -> Display:
        """Show `measure` by its own transform, or by another that begins at its pooled scale."""
        chosen = MEASURES[measure]
        return cls(chosen, display_transform(chosen, transform))

    @property
    def name(self) -> str:
        """What is shown, in words."""
        changed = self.transform.code != self.measure.transform.code and self.transform.label
        return changed if changed else self.measure.name

    @property
    def digits(self) -> int:
        """Decimals: three for ratios, proportions and their differences, two for other scales, one for percentages."""
        if self.transform.unit:
            return 1
        return 3 if self.transform.log_axis or self.measure.family.name in ("two_by_two", "proportion") else 2

    def value(self, effect: float) -> float:
        """One effect on the displayed scale."""
        return float(self.transform(effect))

    def single(self, effect: float) -> str:
        """One effect as text."""
        return number(self.value(effect), self.digits) + self.transform.unit

    def triple(self, estimate: float, lower: float, upper: float) -> str:
        """An estimate with its interval as text: "1.34 (0.90 to 2.01)", "226.7 % (76.7 to 503.9)"."""
        first, low, high = (self.value(v) for v in (estimate, lower, upper))
        text = estimate_interval(first, low, high, self.digits)
        return text.replace(" (", f"{self.transform.unit} (", 1)

    def pair(self, lower: float, upper: float) -> str:
        """An interval as text."""
        return f"{number(self.value(lower), self.digits)} to {self.single(upper)}"

    @property
    def as_ratio(self) -> Display | None:
        """The same effects as ratios, where another display hides that they are."""
        hidden = self.transform.code != "exp" and self.measure.transform.code == "exp"
        return Display(self.measure, TRANSFORMS["exp"]) if hidden else None
