"""How much is tracked, as its reader sees it."""

from shapeguard.diagnostics import Tracking
from shapeguard.report import tracking


def test_tracking_names_the_most_costly_calls_first():
    lost = {f"f{number:02}": 1 for number in range(25)} | {"a.view": 1204, "self.rope": 31}
    known = Tracking(2000, 1500, 1200, lost, ("m.py: Head.forward",))
    lines = tracking.render(known).splitlines()
    assert lines[:4] == [
        "1,500 of 2,000 tensor expressions have a known shape (75 %), 1,200 on every axis.",
        "Track is lost at:",
        "    1,204  a.view",
        "       31  self.rope",
    ]
    assert lines[-3:] == ["        7  in 7 other calls", "Given up as too long:", "    m.py: Head.forward"]


def test_tracking_of_nothing():
    assert tracking.render(Tracking()) == "0 of 0 tensor expressions have a known shape, 0 on every axis.\n"
