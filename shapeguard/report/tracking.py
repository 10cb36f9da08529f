"""How much of a program the static checker tracks, and which calls lose it."""

from __future__ import annotations

from shapeguard.diagnostics import Tracking
from shapeguard.report.wording import count

_SHOWN = 20


def render(tracking: Tracking) -> str:
    """The share of tensor expressions whose shape is known, and the calls that cost the most of the rest."""
    known, expressions, lost = tracking.known, tracking.expressions, tracking.lost
    verb = "has" if known == 1 else "have"
    share = f" ({100 * known / expressions:.0f} %)" if expressions else ""
    tracked = f"{known:,} of {count(expressions, 'tensor expression')} {verb} a known shape{share}"
    lines = [f"{tracked}, {tracking.complete:,} on every axis."]
    if lost:
        ranked = sorted(lost.items(), key=lambda item: (-item[1], item[0]))
        width = len(f"{ranked[0][1]:,}")
        lines += ["Track is lost at:", *(f"    {number:>{width},}  {call}" for call, number in ranked[:_SHOWN])]
        if len(ranked) > _SHOWN:
            rest = ranked[_SHOWN:]
            total = sum(number for _, number in rest)
            lines.append(f"    {total:>{width},}  in {count(len(rest), 'other call')}")
    if tracking.exhausted:
        lines += ["Given up as too long:", *(f"    {name}" for name in tracking.exhausted[:_SHOWN])]
        if len(tracking.exhausted) > _SHOWN:
            lines.append(f"    and {count(len(tracking.exhausted) - _SHOWN, 'other')}")
    return "\n".join(lines) + "\n"
