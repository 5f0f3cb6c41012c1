"""How many patients an arm has: as printed, at enrolment, or by an assumption that the trail names."""

from __future__ import annotations

from metail2.errors import RecordError
from metail2.records.selection import Cell, Selection
from metail2.records.trail import ASSUMED, PRINTED, Trail

ARM_SIZES = ("printed", "allocation", "randomised")
"""Where an arm's number of patients comes from; see `harmonise`."""


def patients(cell: Cell, selection: Selection, trail: Trail, quantity: str, sizes: str, arms: int) -> float:
    """Return an arm's number of patients, recording where it comes from.

    Parameters
    ----------
    cell : Cell
        The arm.
    selection : Selection
        The study.
    trail : Trail
        Where the step goes.
    quantity : str
        What it is called there (``n1``).
    sizes : str
        ``"allocation"`` shares the total; otherwise the printed number is taken, or the number at enrolment, or the
        one that all other outcomes of the arm agree on.
    arms : int
        How many arms the study prints; no more may share the total than the allocation ratio has.
    """
    if sizes == "allocation":
        return _allocated(cell, selection, trail, quantity, arms)
    if cell.has("n"):
        return trail.printed(quantity, cell["n"])
    enrolled, elsewhere = selection.enrolled(cell.arm), selection.elsewhere(cell.arm)
    if enrolled is not None:
        return trail.step(
            quantity, enrolled.value, "number at enrolment", [enrolled],
            assumption="all patients enrolled were measured", basis=ASSUMED,
        )  # fmt: skip
    if elsewhere is not None:
        figure, outcome = elsewhere
        return trail.step(
            quantity, figure.value, f"number printed for {outcome}", [figure],
            assumption="as many patients were measured here", basis=ASSUMED,
        )  # fmt: skip
    raise RecordError(
        f"{cell.place()}: the number of patients is not printed; add it to the records or leave the study out."
    )


def randomised(cell: Cell, selection: Selection, trail: Trail, quantity: str, analysed: float) -> float:
    """Return the number randomised to an arm; patients without an outcome then count as not having the event."""
    enrolled = selection.enrolled(cell.arm)
    if enrolled is None:
        raise RecordError(f"{cell.place()}: the number randomised is not printed; choose another arm_sizes.")
    lost = enrolled.value - analysed
    if lost < 0:
        raise RecordError(
            f"{cell.place()}: {analysed:g} patients were analysed but {enrolled.printed} randomised; correct the "
            "records."
        )
    if lost == 0:
        return trail.step(
            quantity, enrolled.value, "number randomised, all of them analysed", [enrolled], basis=PRINTED
        )
    return trail.step(
        quantity, enrolled.value, "number randomised", [enrolled], basis=ASSUMED,
        assumption=f"the {lost:g} randomised patient{'' if lost == 1 else 's'} without an outcome did not respond",
    )  # fmt: skip


def _allocated(cell: Cell, selection: Selection, trail: Trail, quantity: str, arms: int) -> float:
    """Return an arm's share of the total by equal allocation (marked as assumed)."""
    ratio, total = str(selection.study.get("allocation", "")), selection.total(cell)
    parts = ratio.split(":")
    if not ratio or len(set(parts)) > 1:
        raise RecordError(
            f"{cell.place()}: the studies table gives no equal allocation ratio, so the arm sizes stay unknown."
        )
    if total is None:
        raise RecordError(
            f"{cell.place()}: the total number of patients is not printed, so the arm sizes stay unknown."
        )
    if arms > len(parts):
        raise RecordError(
            f"{cell.place()}: {arms} arms are printed, but the allocation ratio {ratio} has {len(parts)}; correct the "
            "records."
        )
    share = total.value / len(parts)
    if share != int(share):
        raise RecordError(f"{cell.place()}: {total.printed} patients cannot be shared {ratio}.")
    return trail.step(
        quantity, share, f"share of {total.printed} randomised", [total],
        assumption=f"{ratio} allocation gave arms of equal size", basis=ASSUMED,
    )  # fmt: skip
