"""A name for each finding that stays the same while the lines around it move."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

from shapeguard.report.addresses import relative
from shapeguard.report.findings import Findings


def fingerprints(findings: Findings, root: str) -> list[str]:
    """In their order, none twice: made of path, code, message and line, and of how many alike come before."""
    seen: Counter[tuple[str, ...]] = Counter()
    written: list[str] = []
    for found in findings.diagnostics:
        parts = (relative(found.path, root), found.code, found.message, findings.line_of(found).strip())
        text = "\0".join((*parts, str(seen[parts])))
        seen[parts] += 1
        written.append(sha256(text.encode(errors="surrogatepass")).hexdigest()[:32])
    return written
