"""What a request says as it may be kept: cards as cards, names without them, texts cleaned, ids left alone."""

from __future__ import annotations

from random import Random

import pytest

from ctxhub.errors import Invalid
from ctxhub.model.as_kept import AsKept, as_card
from ctxhub.model.customer import AssuranceClaim, Identifier
from ctxhub.model.handoff import Draft, OfferRequest, Target
from ctxhub.model.interaction import Start
from ctxhub.model.number_format import NumberFormat, compiled
from tests.model.cards import number

CARD = number(Random(1), "4929", 16)
LONG = number(Random(2), "62", 19)
AMEX = number(Random(3), "37", 15)
IMEI = number(Random(4), "35", 15)
OURS = compiled([NumberFormat(name="account", pattern="4929\\d{2}\\d{10}".replace("\\d{2}", CARD[4:6]))])


def spaced(digits: str) -> str:
    """A number in groups of four."""
    return " ".join(digits[n : n + 4] for n in range(0, len(digits), 4))


def walked(said: Start | OfferRequest | Draft | AssuranceClaim) -> AsKept:
    """A walk that hides what it must."""
    return AsKept((), lambda identifier: identifier.but(value="hidden", index="0" * 32))


class TestAnIdentifier:
    @pytest.mark.parametrize("type_", ["account", "visitor", "device", "phone", "email", "loyalty", "card_ref"])
    @pytest.mark.parametrize("value", [CARD, spaced(CARD), LONG])
    def test_that_is_a_card_number_becomes_the_cards(self, type_: str, value: str) -> None:
        card = as_card(Identifier(type=type_, value=value, strength="verified"))
        assert card == Identifier(type="card", value=value, strength="verified")

    @pytest.mark.parametrize("value", [f"{CARD}@example.com", f"card {CARD}", f"v-{CARD}", f";{CARD}=2512101123400001"])
    def test_that_holds_one_among_other_signs_is_none_that_may_be_kept(self, value: str) -> None:
        assert as_card(Identifier(type="account", value=value)) is None

    @pytest.mark.parametrize(
        ("type_", "value"),
        [
            ("phone", "8613800138004"),
            ("phone", AMEX),
            ("device", IMEI),
            ("visitor", "0b5c1f2e-4d5a-4b6f-9c3e-492911112222"),
            ("account", "A-17"),
            ("account", number(Random(5), "1", 16)),
            ("email", "li@example.com"),
        ],
    )
    def test_of_another_kind_stays(self, type_: str, value: str) -> None:
        identifier = Identifier(type=type_, value=value)
        assert as_card(identifier) is identifier

    def test_of_a_device_is_a_card_where_no_telephone_has_it(self) -> None:
        card = as_card(Identifier(type="device", value=AMEX))
        assert card is not None
        assert card.type == "card"

    def test_in_a_format_of_the_tenants_stays(self) -> None:
        identifier = Identifier(type="account", value=CARD)
        assert as_card(identifier, OURS) is identifier
        assert as_card(identifier) is not identifier

    def test_is_judged_by_its_value_whatever_it_says_of_its_index(self) -> None:
        card = as_card(Identifier(type="account", value=CARD, index="a" * 32))
        assert card is not None
        assert card.type == "card"


class TestAStart:
    def test_is_the_same_one_where_there_is_nothing(self) -> None:
        start = Start(channel="chat", external_id=CARD, identifiers=[Identifier(type="phone", value="+8613800138000")])
        assert walked(start).of(start) is start, "ids are not looked at"

    def test_loses_what_is_never_kept_wherever_it_stands(self) -> None:
        named = [Identifier(type="account", value=CARD), Identifier(type="visitor", value=f"v-{CARD}")]
        start = Start(channel="chat", external_id="1", touchpoint=f"page {CARD}", identifiers=named)
        walk = walked(start)
        kept = walk.of(start)
        assert kept.touchpoint == f"page •••• {CARD[-4:]}"
        assert [(one.type, one.value) for one in kept.identifiers] == [("card", CARD), ("visitor", "hidden")]
        assert len(walk.findings) == 3

    @pytest.mark.parametrize(
        ("pointer", "said"),
        [
            ("/system", {"system": f"s{CARD}"}),
            ("/dnis", {"dnis": CARD}),
            ("/assurance/method", {"assurance": AssuranceClaim(level=1, method=CARD)}),
            ("/identifiers/0/value", {"identifiers": [Identifier(type="email", value=f"{CARD}@example.com")]}),
            ("/identifiers/0/value", {"identifiers": [Identifier(type="phone", value=f"tel {CARD}")]}),
            ("/identifiers/0/ref", {"identifiers": [Identifier(type="card", value=CARD, ref=CARD)]}),
        ],
    )
    def test_is_refused_where_without_the_number_it_would_be_another(
        self, pointer: str, said: dict[str, object]
    ) -> None:
        start = Start.model_validate({"channel": "chat", "external_id": "1"} | said)
        with pytest.raises(Invalid, match=pointer) as refused:
            walked(start).of(start)
        assert CARD not in str(refused.value.ids) + refused.value.detail

    def test_may_name_a_called_number_that_passes_as_a_card(self) -> None:
        start = Start(channel="ivr", external_id="1", dnis=number(Random(6), "8610", 13))
        assert walked(start).of(start) is start


class TestAnOffer:
    def test_goes_to_no_queue_that_is_a_card_number(self) -> None:
        offer = OfferRequest(customer_id="c1", interaction_id="i", reason="r", to=Target(queue=f"q {CARD}"))
        with pytest.raises(Invalid, match="/to/queue"):
            walked(offer).of(offer)

    def test_is_told_without_the_number(self) -> None:
        draft = Draft(text=f"paid by {CARD}", disposition=CARD)
        assert walked(draft).of(draft) == Draft(text=f"paid by •••• {CARD[-4:]}", disposition=f"•••• {CARD[-4:]}")
