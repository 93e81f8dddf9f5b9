"""Kills of every part, short: nothing acknowledged is lost, doubled, or shown out of order."""

from pathlib import Path

from tests.faults import kill

SEED = 11


def test_killing_every_part_under_load_loses_and_doubles_nothing(tmp_path: Path):
    report, evidence = kill.run(kill.short(SEED), tmp_path, lambda what, part: None)
    assert report.clean, f"{report}\n{dict(evidence.counts)}"
    assert evidence.counts["kills of a worker"] == 2
    assert evidence.counts["duplicate receipts"]
    assert evidence.counts["resumed, recovered True"]
