import os

# A worker of pytest-xdist has a core to itself: with more threads than one, the workers wait for each other's.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser):
    parser.addoption("--rewrite", action="store_true", help="rewrite the outputs shown in the documentation")
