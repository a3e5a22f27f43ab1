"""Values as they are said aloud: what speech synthesis reads well stays in digits, what it would garble is spelled.

Quantities, amounts, dates and times are left in digits with their words, in the order of the language: every voice
reads those. Ids, codes and telephone numbers are spelled digit by digit in groups; of a masked or a very long number
only the end is said. Nothing that leaves here is markup.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

Tongue = Literal["en", "zh"]

LONG_NUMBER = 12
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_SIZES = {5: (5,), 6: (3, 3), 9: (3, 3, 3), 10: (3, 3, 4), 11: (3, 4, 4)}
_COMMA = {"en": ", ", "zh": "，"}
_LIST_COMMA = {"en": ", ", "zh": "、"}
_WORDS: dict[str, dict[Tongue, str]] = {
    "yes": {"en": "yes", "zh": "是"},
    "no": {"en": "no", "zh": "否"},
    "none": {"en": "none", "zh": "无"},
    "minus": {"en": "minus ", "zh": "负"},
    "plus": {"en": "plus ", "zh": "加"},
    "and": {"en": " and ", "zh": "和"},
    "link": {"en": " a link ", "zh": "链接"},
    "ending": {"en": "ending in {digits}", "zh": "尾号 {digits}"},
    "at": {"en": " at ", "zh": " 艾特 "},
    "dot": {"en": " dot ", "zh": " 点 "},
    "percent": {"en": " percent", "zh": "百分之"},
}


class Currency(NamedTuple):
    """How an amount of money is called: one, several, its hundredth part in English; in Chinese."""

    one: str
    many: str
    part: tuple[str, str] | None
    zh: str


_CENTS = ("cent", "cents")
CURRENCIES: dict[str, Currency] = {
    "USD": Currency("dollar", "dollars", _CENTS, "美元"),
    "EUR": Currency("euro", "euros", _CENTS, "欧元"),
    "GBP": Currency("pound", "pounds", ("penny", "pence"), "英镑"),
    "JPY": Currency("yen", "yen", None, "日元"),
    "CNY": Currency("yuan", "yuan", None, "元"),
    "HKD": Currency("Hong Kong dollar", "Hong Kong dollars", _CENTS, "港元"),
    "TWD": Currency("Taiwan dollar", "Taiwan dollars", None, "新台币"),
    "SGD": Currency("Singapore dollar", "Singapore dollars", _CENTS, "新加坡元"),
    "AUD": Currency("Australian dollar", "Australian dollars", _CENTS, "澳元"),
    "CAD": Currency("Canadian dollar", "Canadian dollars", _CENTS, "加元"),
    "CHF": Currency("franc", "francs", None, "瑞士法郎"),
    "KRW": Currency("won", "won", None, "韩元"),
    "INR": Currency("rupee", "rupees", None, "卢比"),
}
_SIGNS = {
    "$": "USD", "us$": "USD", "dollar": "USD", "dollars": "USD", "美元": "USD", "€": "EUR", "euro": "EUR",
    "euros": "EUR", "欧元": "EUR", "£": "GBP", "pounds": "GBP", "英镑": "GBP", "yen": "JPY", "日元": "JPY", "円": "JPY",
    "rmb": "CNY", "元": "CNY", "块": "CNY", "yuan": "CNY", "人民币": "CNY", "hk$": "HKD", "港元": "HKD", "港币": "HKD",
    "₩": "KRW", "₹": "INR",
}  # fmt: skip
_YEN_OR_YUAN = {"¥", "￥"}

_NUMBER = r"[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_SIGN = r"[A-Za-z]{2,7}|(?:US|HK)?\$|[€£¥￥₩₹]|美元|欧元|英镑|日元|円|人民币|港元|港币|元|块"
_PLAIN_NUMBER = re.compile(rf"^{_NUMBER}$")
_PERCENT = re.compile(rf"^({_NUMBER}) ?[%％]$")
_AMOUNT = re.compile(rf"^(?P<before>{_SIGN})? ?(?P<number>{_NUMBER}) ?(?P<after>{_SIGN})?$")
_INSTANT = re.compile(r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_TIME = re.compile(r"^(\d{1,2}):(\d{2})(?::\d{2})?$")
_EMAIL = re.compile(r"^[\w.+-]+@[\w-]+(?:\.[\w-]+)+$")
_MASKED = re.compile(r"^[\d*•●＊xX \-]*[*•●＊xX]{2}[ \-]*(\d{2,6})$")
_ELEMENTS = "a|audio|b|br|break|div|em|emphasis|i|img|p|phoneme|prosody|s|say-as|script|span|speak|strong|sub|u|voice"
_TAG = re.compile(rf"</?(?:{_ELEMENTS})(?:\s[^<>]{{0,200}})?/?>", re.IGNORECASE)
_DIGITS = re.compile(r"^\+?\(?\d(?:[ \-().]{0,2}\d)+\)?$")
_CODE = re.compile(r"^(?=[^\d]*\d)[A-Za-z0-9]+(?:[-_/.][A-Za-z0-9]+)*$")
_LONG_RUN = re.compile(r"(?<![\d.,])\d{5,}(?![\d]|[.,]\d)")
_URL = re.compile(r"\b(?:https?://|www\.)[^\s，。；、]+", re.IGNORECASE)
_BRACKETS = re.compile(r"\s*[()\[\]{}（）【】「」『』《》〈〉⟦⟧]+\s*")
_MARKUP = re.compile(r"[<>＜＞*#`~|\\^=\"“”„]+")
_UNSPOKEN = {"Cc", "Cf", "Cs", "Co", "Cn", "So", "Sk", "Zl", "Zp"}
_DOUBLED = re.compile(r"(?:\s*[,，]\s*)+(?=[.。!?！？;；:：,，]|$)")

_QUANTITIES = re.compile(
    r"(?:^|_)(amount|price|total|sum|count|quantity|balance|fee|limit|income|age|number_of|salary|rate|percentage)(?:_|$)"
    r"|[金余数差]额|金额|数量|人数|年龄|收入|费用"
)
_CODES = re.compile(
    r"(?:^|_)(id|no|nr|number|code|account|phone|mobile|tel|card|pin|zip|postcode|reference|ref|ticket|order|serial|iban"
    r"|imei|tracking|digits|passport|licence|license|plate|policy)(?:_|$)|号|码"
)
_LASTS = re.compile(r"last_?(?:4|four|digits)|_tail$|^tail$|尾号|后四位|末四位")
_PHONES = re.compile(r"(?:^|_)(phone|mobile|tel|telephone|callback)(?:_|$)|手机|电话")


class Aloud(NamedTuple):
    """How values are said to one caller: in which language, in which country's money, in which zone's time."""

    tongue: Tongue
    region: str | None = None
    zone: ZoneInfo | None = None

    def value(self, value: Any, name: str = "") -> str:
        """Say a value of a fact by its name."""
        if isinstance(value, bool) or value is None:
            return self._word("none" if value is None else "yes" if value else "no")
        if isinstance(value, int | float):
            return self._number(value, _plain_name(name))
        if isinstance(value, str):
            known = self._known(value.strip(), _plain_name(name))
            return self.text(value) if known is None else self.plain(known)
        return self._several(value, name)

    def text(self, text: str) -> str:
        """Say what somebody wrote: as plain words, with long numbers spelled."""
        return self.plain(_LONG_RUN.sub(lambda run: self._spelled_run(run[0]), text))

    def plain(self, text: str) -> str:
        """Return a text without what no voice can say: markup, brackets, links, signs."""
        text = _TAG.sub(" ", _URL.sub(self._word("link"), text))
        text = re.sub(r"\s*[&＆]\s*", self._word("and"), text.replace("_", " "))
        text = _MARKUP.sub(" ", _BRACKETS.sub(_COMMA[self.tongue], text))
        kept = "".join(" " if unicodedata.category(c) in _UNSPOKEN else c for c in text)
        one_line = re.sub(r"\s*，\s*", "，", " ".join(kept.split()))
        return _DOUBLED.sub("", one_line).strip(" ,，")

    def day(self, day: date) -> str:
        """Say a date."""
        if self.tongue == "zh":
            return f"{day.year}年{day.month}月{day.day}日"
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"

    def day_of_the_year(self, day: date) -> str:
        """Say a date of these days, without its year."""
        return f"{day.month}月{day.day}日" if self.tongue == "zh" else f"{day.day} {_MONTHS[day.month - 1]}"

    def clock(self, at: time) -> str:
        """Say a time of day."""
        if self.tongue == "zh":
            hour = at.hour if at.hour <= 12 else at.hour - 12
            return f"{_part_of_day(at.hour)}{hour}点" + (f"{at.minute}分" if at.minute else "")
        hour = (at.hour - 1) % 12 + 1
        return f"{hour}{f':{at.minute:02}' if at.minute else ''} {'am' if at.hour < 12 else 'pm'}"

    def spelled(self, digits: str) -> str:
        """Spell a number digit by digit, in groups."""
        return _COMMA[self.tongue].join(" ".join(group) for group in _groups(digits))

    def ending(self, digits: str) -> str:
        """Say only the end of a number."""
        return self._word("ending").format(digits=" ".join(digits))

    def _word(self, name: str) -> str:
        """Return one of our own words."""
        return _WORDS[name][self.tongue]

    def _several(self, value: Any, name: str) -> str:
        """Say a list, or an object, which may be an amount of money."""
        if isinstance(value, dict):
            if value.keys() == {"amount", "currency"} and _is_amount(value["amount"], value["currency"]):
                return self._amount(Decimal(str(value["amount"]).replace(",", "")), value["currency"])
            parts = [f"{self.text(str(key))} {self.value(part, str(key))}" for key, part in value.items()]
        else:
            parts = [self.value(part, name) for part in value]
        return _LIST_COMMA[self.tongue].join(part.strip() for part in parts if part.strip())

    def _number(self, value: float, name: str) -> str:
        """Say a number: as a quantity, or spelled where its name says that it is a code."""
        digits = str(value)
        if isinstance(value, int) and value >= 0 and _is_code(name):
            return self._digits(digits, name)
        return self._quantity(digits if "e" in digits else str(Decimal(digits)))

    def _quantity(self, number: str, grouped: bool = False) -> str:
        """Say how many; of four digits, which may be a year, the thousands are set apart only when asked for."""
        bare = number.replace(",", "").replace("−", "-")
        sign = self._word("minus") if bare.startswith("-") else ""
        whole, _, rest = bare.lstrip("-").partition(".")
        apart = self.tongue == "en" and whole.isdecimal() and (grouped or "," in number or 4 < len(whole) < 100)
        return sign + (f"{int(whole):,}" if apart else whole) + (f".{rest}" if rest else "")

    def _known(self, text: str, name: str) -> str | None:
        """Say a text by what it looks like; None where it looks like nothing but words."""
        masked = _MASKED.match(text)
        if masked:
            return self.ending(masked[1])
        for say in (self.when, self._as_percent, self._as_amount, self._as_address):
            said = say(text)
            if said:
                return said
        if _PLAIN_NUMBER.match(text) and not _spells(text, name):
            return self._quantity(text)
        if _DIGITS.match(text):
            return self._digits(text, name)
        return self._code(text) if _CODE.match(text) and not _is_word(text) else None

    def when(self, text: str) -> str | None:
        """Say a date, a time or an instant; None where it is none."""
        try:
            if _DATE.match(text):
                return self.day(date.fromisoformat(text))
            if _INSTANT.match(text):
                at = datetime.fromisoformat(text)
                here = at.astimezone(self.zone) if self.zone and at.tzinfo else at
                return self._on(self.day(here.date()), here.time())
            found = _TIME.match(text)
            return self.clock(time(int(found[1]), int(found[2]))) if found else None
        except (ValueError, OverflowError):
            return None

    def _on(self, day: str, at: time) -> str:
        """Say a day and a time on it."""
        return f"{day}{self.clock(at)}" if self.tongue == "zh" else f"{day} at {self.clock(at)}"

    def _as_percent(self, text: str) -> str | None:
        """Say a percentage; None where it is none."""
        found = _PERCENT.match(text)
        if found is None:
            return None
        said = self._quantity(found[1])
        return self._word("percent") + said if self.tongue == "zh" else said + self._word("percent")

    def _as_amount(self, text: str) -> str | None:
        """Say an amount of money; None where it is none."""
        found = _AMOUNT.match(text)
        sign = (found["before"] or found["after"]) if found else None
        currency = self._currency(sign) if sign else None
        if found is None or currency is None or (found["before"] and found["after"]):
            return None
        return self._amount(Decimal(found["number"].replace(",", "").replace("−", "-")), currency)

    def _currency(self, sign: str) -> str | None:
        """Return which money a sign or a word means."""
        if sign in _YEN_OR_YUAN:
            return "CNY" if self.region == "CN" or (self.tongue == "zh" and self.region is None) else "JPY"
        return _SIGNS.get(sign.lower()) or (sign.upper() if sign.upper() in CURRENCIES else None)

    def _amount(self, amount: Decimal, code: str) -> str:
        """Say an amount of money."""
        currency, number = CURRENCIES[code.upper()], f"{amount:f}"
        if self.tongue == "zh":
            return self._quantity(number) + currency.zh
        whole, _, rest = number.partition(".")
        if currency.part is None or len(rest) != 2:
            return f"{self._quantity(number, True)} {currency.one if number == '1' else currency.many}"
        said = f"{self._quantity(whole, True)} {currency.one if whole == '1' else currency.many}"
        return said if rest == "00" else f"{said} and {int(rest)} {currency.part[int(rest) != 1]}"

    def _as_address(self, text: str) -> str | None:
        """Say an e-mail address; None where it is none."""
        if not _EMAIL.match(text):
            return None
        return text.replace("@", self._word("at")).replace(".", self._word("dot"))

    def _digits(self, text: str, name: str) -> str:
        """Spell a number: a telephone's in full, of a very long one or of what is the end of one only the end."""
        digits = re.sub(r"\D", "", text)
        if _LASTS.search(name):
            return self.ending(digits[-6:])
        if text.startswith("+") or _PHONES.search(name):
            return self._phone(digits, text.startswith("+"))
        return self._spelled_run(digits)

    def _phone(self, digits: str, international: bool) -> str:
        """Spell a telephone number; of China's the country is left out."""
        if international and digits.startswith("86") and len(digits) == 13:
            return self.spelled(digits[2:])
        if international and digits.startswith("1") and len(digits) == 11:
            return self._word("plus") + "1" + _COMMA[self.tongue] + self.spelled(digits[1:])
        return (self._word("plus") if international else "") + self.spelled(digits)

    def _spelled_run(self, digits: str) -> str:
        """Spell a run of digits; of one as long as a card's or an account's only the end."""
        return self.ending(digits[-4:]) if len(digits) >= LONG_NUMBER else self.spelled(digits)

    def _code(self, text: str) -> str:
        """Spell a code of letters and digits; where it has joints there are pauses."""
        if sum(c.isdigit() for c in text) >= LONG_NUMBER:
            return self.ending(re.sub(r"\D", "", text)[-4:])
        parts = [" ".join(self._part(run) for run in _runs(part)) for part in re.split(r"[-_/.]", text)]
        return _COMMA[self.tongue].join(parts)

    def _part(self, run: str) -> str:
        """Spell a run of digits or a few letters; more letters are a word."""
        return run if len(run) > 3 and run.isalpha() else " ".join(run.upper())


def _plain_name(name: str) -> str:
    """Return a fact's name in one form: `orderId`, `order.id` and `order-id` are `order_id`."""
    return re.sub(r"[^0-9a-z\u0080-\uffff]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def _is_code(name: str) -> bool:
    """Tell whether a fact's name speaks of a code rather than a quantity."""
    return not _QUANTITIES.search(name) and bool(_CODES.search(name) or _LASTS.search(name))


def _spells(text: str, name: str) -> bool:
    """Tell whether a text of digits is spelled: by its name, else by its length."""
    if _QUANTITIES.search(name) or "," in text or "." in text:
        return False
    return _is_code(name) or len(text) > 4 or (len(text) > 1 and text.startswith("0"))


def _is_amount(amount: Any, currency: Any) -> bool:
    """Tell whether these are an amount and a kind of money that we know."""
    known = isinstance(currency, str) and currency.upper() in CURRENCIES
    plain = isinstance(amount, int | float) and not isinstance(amount, bool) and "e" not in str(amount)
    return known and (plain or (isinstance(amount, str) and bool(_PLAIN_NUMBER.match(amount)) and "−" not in amount))


def _is_word(text: str) -> bool:
    """Tell whether a text of letters and digits is rather a name, such as that of a model."""
    runs = _runs(text)
    return len(runs) > 1 and len(runs[0]) > 3 and runs[0].isalpha() and not re.search(r"[-_/.]", text)


def _runs(text: str) -> list[str]:
    """Part letters from digits."""
    return re.findall(r"\d+|[A-Za-z]+", text)


def _groups(digits: str) -> list[str]:
    """Part a number the way people say it: 3-4-4, 3-3-4, 3-3-3, else by fours with no digit left alone."""
    sizes = _SIZES.get(len(digits)) or _fours(len(digits))
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    return [digits[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def _fours(length: int) -> tuple[int, ...]:
    """Part a length by fours; a last one alone takes one from its neighbour."""
    whole, rest = divmod(length, 4)
    if rest == 1 and whole:
        return (*[4] * (whole - 1), 3, 2)
    return (*[4] * whole, *([rest] if rest else []))


def _part_of_day(hour: int) -> str:
    """Return what part of the day an hour belongs to, in Chinese."""
    starts = ((18, "晚上"), (13, "下午"), (12, "中午"), (6, "上午"), (0, "凌晨"))
    return next(word for start, word in starts if hour >= start)
