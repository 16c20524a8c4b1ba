"Tests import your package and find the files of this project from wherever pytest starts"
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
