"""What RevMan calls kinds, measures, methods and models, and metail2's codes for them."""

from __future__ import annotations

import re

from metail2.errors import RecordError

_MEASURES = {
    "or": "OR", "odds ratio": "OR",
    "rr": "RR", "risk ratio": "RR", "relative risk": "RR",
    "rd": "RD", "risk difference": "RD",
    "peto or": "PETO", "peto odds ratio": "PETO",
    "md": "MD", "mean difference": "MD",
    "smd": "SMD", "std. mean difference": "SMD", "std mean difference": "SMD", "standardized mean difference": "SMD",
    "standardised mean difference": "SMD",
    "hr": "HR", "hazard ratio": "HR",
}  # fmt: skip
_KINDS = {
    "dichotomous": "dichotomous",
    "continuous": "continuous",
    "contrast level": "generic", "generic inverse variance": "generic",
    "o-e and variance": "o_minus_e",
}  # fmt: skip
_METHODS = {
    "mh": "MH", "m-h": "MH", "mantel-haenszel": "MH",
    "iv": "IV", "inverse variance": "IV", "exp": "IV", "exp[(o-e)/var]": "IV",
    "peto": "PETO",
}  # fmt: skip
_KIND_OF = {"OR": "dichotomous", "RR": "dichotomous", "RD": "dichotomous", "PETO": "dichotomous"} | dict.fromkeys(
    ("MD", "SMD"), "continuous"
)


def _plain(text: str) -> str:
    """Small letters, one space between words, one kind of dash."""
    return re.sub(r"[\s_]+", " ", text.replace("–", "-").replace("−", "-")).strip().lower()


def measure_code(label: str, kind: str) -> str:
    """Code of an effect measure: ``"GEN"`` for effects of another name that come with standard errors."""
    code = _MEASURES.get(_plain(label), "GEN")
    if kind in ("generic", "o_minus_e") and code == "HR":
        return "HR"
    if kind == "o_minus_e":
        return "PETO" if code in ("OR", "PETO") else "GEN"
    return code if _KIND_OF.get(code) == kind else "GEN"


def kind_code(data_type: str, label: str) -> str:
    """Kind of an analysis from its data type, or from its effect measure where the type is none of RevMan's."""
    return _KINDS.get(_plain(data_type)) or _KIND_OF.get(_MEASURES.get(_plain(label), ""), "other")


def method_code(label: str) -> str:
    """Code of a statistical method; empty where it is unknown."""
    return _METHODS.get(_plain(label).replace(" / ", "/"), "")


def model_code(label: str) -> str:
    """``"fixed"``, ``"random"`` or, where the words are unknown, nothing."""
    words = _plain(label)
    return "random" if words.startswith("random") else "fixed" if words.startswith(("fixed", "common")) else ""


def tau2_code(label: str) -> str:
    """Code of the estimator of τ²; DerSimonian–Laird, RevMan's only one until 2024, where none is named."""
    words = _plain(label)
    if "reml" in words or words.startswith("restricted"):
        return "REML"
    return "DL" if words in ("", "#n/a", "dl") or words.startswith("dersimonian") else ""


def test_code(label: str) -> str:
    """Code of the way to the pooled interval; the normal one, RevMan's only one until 2024, where none is named."""
    words = _plain(label)
    if "hksj" in words or "knapp" in words:
        return "knapp_hartung"
    return "z" if words in ("", "#n/a") or words.startswith("wald") else ""


def truth(text: str) -> bool:
    """``YES`` and ``TRUE`` are true."""
    return _plain(text) in ("yes", "true")


def level(text: str, place: str) -> float:
    """Read a confidence level, ``"95%"``, ``"95"`` or ``"0.95"``, as a fraction; 0.95 where there is none.

    Raises
    ------
    RecordError
        If it is no percentage between 0 and 100; `place` says where it stands.
    """
    if text.strip() == "":
        return 0.95
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%?", text.strip())
    number = float(match[1]) if match else 0.0
    fraction = number if number < 1 else number / 100
    if not 0 < fraction < 1:
        raise RecordError(f"{place}: the confidence level is {text!r}, but it is a percentage between 0 and 100.")
    return fraction
