"""`doctor`: whether sessions could run here."""

from __future__ import annotations

from pathlib import Path

import typer

from scopecraft_git import console
from scopecraft_git import doctor as checks
from scopecraft_git.cli.options import Json
from scopecraft_git.doctor import Finding, Status
from scopecraft_git.errors import MISSING

SYMBOLS = {Status.FINE: "✓", Status.WARNING: "▲", Status.WRONG: "✗", Status.SKIPPED: "○"}


def doctor(json: Json = False) -> None:
    """Check what sessions need, and say how to mend what is wrong

    Where Docker is used, its image is started once.
    """
    findings = []
    for finding in checks.examine(Path.cwd()):
        findings.append(finding)
        if not json:
            _tell(finding)
    healthy = all(finding.status is not Status.WRONG for finding in findings)
    if json:
        console.answer_json({"healthy": healthy, "checks": [finding._asdict() for finding in findings]})
    if not healthy:
        raise typer.Exit(MISSING)


def _tell(finding: Finding) -> None:
    console.answer(f"{SYMBOLS[finding.status]} {finding.message}")
    if finding.hint:
        console.answer(f"  ↳ {finding.hint}")
