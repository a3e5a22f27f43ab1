"""Whatever happens to a customer, in whatever order: the promises hold. The machines are in `machine.py`."""

from __future__ import annotations

import pytest

from tests.model.machine import PROFILE, Handing, Kept

pytestmark = pytest.mark.timeout(900)  # a failing run is made smaller first, which takes its time

TestWhateverHappens = Kept.TestCase
TestWhateverHappens.settings = PROFILE

TestHoweverHandedOver = Handing.TestCase
TestHoweverHandedOver.settings = PROFILE
