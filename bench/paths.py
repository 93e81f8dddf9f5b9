"""Where things are in the repository."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
BUILD = ROOT / "build"
PYTHON = sys.executable
FAUST = str(Path(sys.executable).with_name("faust"))
