"""How a process that serves looks for garbage that holds itself: seldom, and not in what stands anyway.

Python frees at once what nobody holds. Its collector looks for circles besides, and goes by how many objects live to
know when. Each customer remembered is some hundred objects more, so that a hub that gets to know its customers went
through all it remembers once a second and answered nobody meanwhile. What it found was hardly an object for each.
"""

from __future__ import annotations

import gc

#: Objects more than there were, before the youngest are gone through; how often that, before the next older are.
_YOUNGEST, _YOUNG, _ALL = 5_000, 10, 200


def settle() -> None:
    """Look never through what stands by now, and seldom through what comes: all of it after ten million more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNGEST, _YOUNG, _ALL)
