"""Kills of every part, short: nothing acknowledged is lost, doubled, or shown out of order."""

import sys
from pathlib import Path

import pytest

from tests.processes import Process

pytestmark = pytest.mark.alone

SEED = 11
SECONDS = 300


@pytest.mark.parametrize("load", ["chat", "public", "feeds"])
def test_killing_every_part_under_load_loses_and_doubles_nothing(load: str, tmp_path: Path):
    command = [sys.executable, "-m", "tests.faults", load, "--seed", str(SEED)]
    with Process("faults", command, tmp_path / "faults.log", {"COLUMNS": "160"}) as faults:
        code = faults.start().wait(SECONDS)
    assert code == 0, faults.tail(100)
