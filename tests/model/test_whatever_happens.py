"""Whatever happens to a customer, in whatever order: the promises hold. The machines are in `machine.py`."""

from __future__ import annotations

from tests.model.machine import PROFILE, Handing, Kept

TestWhateverHappens = Kept.TestCase
TestWhateverHappens.settings = PROFILE

TestHoweverHandedOver = Handing.TestCase
TestHoweverHandedOver.settings = PROFILE
