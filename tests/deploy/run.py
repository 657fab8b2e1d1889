"""Runs all tests of this folder, or of the one beside it: `run.py [contract] [NAME…]`, NAME a file of tests."""
import signal
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = sys.argv[1:]
    folder = HERE.parent / names.pop(0) if names[:1] == ["contract"] else HERE
    # What starts programs is here, for both.
    sys.path[:0] = [str(folder), str(HERE)]
    names = names or sorted(path.stem for path in folder.glob("test_*.py"))
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
