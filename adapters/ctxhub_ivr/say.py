"""What is said aloud, in English and Chinese, and the words understood from the caller."""

from __future__ import annotations

import re
from typing import Any, Literal

from ctxhub.client import Kind, Tenant

Command = Literal["human", "later", "menu", "link", "pin", "next", "yes", "no", "other"]

_SENTENCES: dict[str, dict[str, str]] = {
    "en": {
        "welcome": "Welcome.",
        "welcome_back": "Welcome back.",
        "continue_choice": "To go on where you were, press one.",
        "nothing_to_go_on": "There is nothing to go on with.",
        "wait_choice": "To go on in the chat instead of waiting here, press 2. We send you a link.",
        "place_kept": "When you go on there, you keep your place.",
        "place_not_kept": "Your place in this line can't come along: it is kept as long as you stay on the phone.",
        "thanks": "Thank you.",
        "kind": "For {kind}, press {key}.",
        "more_kinds": "For more, press 9.",
        "pin_choice": "To go on where you were, press star and enter your PIN.",
        "link_choice": "To go on in the chat, press the pound key.",
        "human_choice": "To speak to a human, or for a complaint, press 0.",
        "human_alone": "To speak to a human, press 0.",
        "complaint_choice": "For a complaint, press {key}.",
        "other_choice": "For something else, press 9.",
        "not_understood": "Sorry, we did not understand.",
        "pin": "Please enter your PIN, then press the pound key.",
        "who_account": "Please enter your account number, then press the pound key. Without it, press star.",
        "who_card": "Please enter your card number, then press the pound key. Without it, press star.",
        "who_code": "Please enter the code that you were given, then press the pound key. Without it, press star.",
        "pin_wrong": "That was not right.",
        "pin_away": "We can't check a PIN just now.",
        "known": "We already have {label}: {value}.",
        "noted": "Noted, {label}: {value}.",
        "about": "About {kind}.",
        "resume": "To go on with {kind}, press {key}.",
        "step": "We are at: {step}.",
        "ask": "Please tell us: {label}.",
        "confirm": "We have {label}: {value}. Is that right? Press 1 for yes, 2 for no.",
        "fact_keys": "Press star to leave it for later, star 0 for a human, star 1 for the menu, star 2 for a link.",
        "fact_keys_no_link": "Press star to leave it for later, star 0 for a human, star 1 for the menu.",
        "all_noted": "That is all we need for now.",
        "some_left": "We leave the rest for later.",
        "anything_else": "For something else, press 1. If that is all, press 3.",
        "link_offer": "For a link to go on in the chat, press 2.",
        "link_sent": "We have sent you a text message with a link to the chat, where we know all that you told us.",
        "link_failed": "We can't send a text message to this number just now.",
        "code": "You can also open {address} and enter the code {code}.",
        "sms": "Go on here: {link}",
        "queue": "We connect you now. What you have told us goes along.",
        "closed": "Nobody is there just now.",
        "closed_until": "Nobody is there just now. We open again {when}.",
        "callback_choice": "To be called back then, press 1. To wait all the same, stay on the line.",
        "callback_promised": "We will call you {when} or soon after.",
        "callback_not": "We can't promise a call to this number just now.",
        "nobody": "Nobody can take your call just now.",
        "back": "We go on together.",
        "goodbye": "Thank you, and goodbye.",
        "degraded": "One moment please, we connect you.",
        "alone": "Please go on. We note all that you say.",
        "degraded_alone": "We are sorry, we can't go on just now. Please call again a little later.",
        "yes": "yes",
        "no": "no",
        "and": ", ",
    },
    "zh": {
        "welcome": "您好，欢迎致电。",
        "welcome_back": "您好，欢迎回来。",
        "continue_choice": "继续之前的办理，请按1。",
        "nothing_to_go_on": "没有可以继续的内容。",
        "wait_choice": "不想在电话里等候，可以按2，我们会发短信链接，请您到在线聊天继续。",
        "place_kept": "您在聊天里继续时，排队的位置会保留。",
        "place_not_kept": "这里的排队位置不能转到聊天，只要您不挂断电话，位置就会保留。",
        "thanks": "谢谢您。",
        "kind": "{kind}，请按{key}。",
        "more_kinds": "更多服务，请按9。",
        "pin_choice": "继续之前的办理，请按星号键并输入密码。",
        "link_choice": "转到在线聊天，请按井号键。",
        "human_choice": "人工服务或投诉，请按0。",
        "human_alone": "人工服务，请按0。",
        "complaint_choice": "投诉，请按{key}。",
        "other_choice": "办理其他业务，请按9。",
        "not_understood": "对不起，我们没有听清。",
        "pin": "请输入您的密码，按井号键结束。",
        "who_account": "请输入您的账号，按井号键结束。没有请按星号键。",
        "who_card": "请输入您的卡号，按井号键结束。没有请按星号键。",
        "who_code": "请输入您收到的接续码，按井号键结束。没有请按星号键。",
        "pin_wrong": "密码不正确。",
        "pin_away": "现在无法核对密码。",
        "known": "我们已经有了{label}：{value}。",
        "noted": "已记下，{label}：{value}。",
        "about": "关于{kind}。",
        "resume": "继续办理{kind}，请按{key}。",
        "step": "现在进行到：{step}。",
        "ask": "请告诉我们：{label}。",
        "confirm": "我们记录的{label}：{value}。对吗？对请按1，不对请按2。",
        "fact_keys": "以后再说请按星号键，人工服务请按星号键和0，主菜单请按星号键和1，聊天链接请按星号键和2。",
        "fact_keys_no_link": "以后再说请按星号键，人工服务请按星号键和0，主菜单请按星号键和1。",
        "all_noted": "目前需要的信息都齐了。",
        "some_left": "其余的以后再说。",
        "anything_else": "办理其他业务，请按1。没有其他需要，请按3。",
        "link_offer": "要收到在线聊天的链接，请按2。",
        "link_sent": "我们已经给您发了短信链接，您说过的内容都会带到聊天里。",
        "link_failed": "现在无法给这个号码发短信。",
        "code": "您也可以打开{address}，输入代码{code}。",
        "sms": "请点击继续：{link}",
        "queue": "正在为您转接，您说过的内容会一并转过去。",
        "closed": "现在没有人工客服值班。",
        "closed_until": "现在没有人工客服值班，{when}恢复服务。",
        "callback_choice": "需要我们届时回电请按1。继续等候请不要挂机。",
        "callback_promised": "我们会在{when}或稍后给您回电。",
        "callback_not": "现在无法安排给这个号码回电。",
        "nobody": "现在没有人能接听您的电话。",
        "back": "我们继续。",
        "goodbye": "感谢来电，再见。",
        "degraded": "请稍等，正在为您转接。",
        "alone": "请您继续，您说的内容我们都会记下。",
        "degraded_alone": "非常抱歉，现在无法继续，请稍后再拨。",
        "yes": "是",
        "no": "否",
        "and": "、",
    },
}

# A whole utterance is one of these. While a fact is asked only these count, and none that is a likely answer.
_WHOLE: dict[Command, str] = {
    "later": "later|ask me later|not now|skip|以后|以后再说|待会|待会儿|等会儿|稍后|下次|跳过",
    "human": "human|a human|operator|speak to a human|complaint|人工|转人工|人工服务|投诉|我要投诉",
    "menu": "menu|main menu|菜单|主菜单",
    "link": "link|a link please|send a link|send me a link|链接|发链接|发个链接|发短信",
    "yes": "yes|yeah|yep|right|correct|that's right|yes please|ok|okay|是|是的|对|对的|好|好的|没错",
    "no": "no|nope|wrong|that's wrong|no thanks|no thank you|不|不是|不对|错|错了|没有|没有了|不用|不用了",
}
_COMMANDS: dict[str, Command] = {words: command for command, listed in _WHOLE.items() for words in listed.split("|")}

# In a menu they may also stand within a sentence; Latin ones as whole words, so that no PIN is heard in `pink`.
_WITHIN: dict[Command, re.Pattern[str]] = {
    "human": re.compile(r"\b(human|agent|operator|representative|complain|complaint)\b|人工|投诉"),
    "pin": re.compile(r"\bpin\b|密码"),
    "link": re.compile(r"\b(link|chat)\b|链接|短信|聊天"),
    "next": re.compile(r"\b(next|more)\b|下一页|更多"),
    "other": re.compile(r"\b(something else|another)\b|其他|别的"),
    "menu": re.compile(r"\bmenu\b|菜单"),
}
_COMPLAINS = re.compile(r"\b(complain|complaint)\b|投诉")
_PUNCTUATION = re.compile(r"[^\w\s'’]+")


def sentence(language: str, name: str, **values: Any) -> str:
    """Return a sentence in the nearest language that is spoken here."""
    return _SENTENCES[_spoken(language)][name].format(**values)


def spoken_value(value: Any, language: str) -> str:
    """Put a fact's value into words; a text is said as it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return sentence(language, "yes" if value else "no")
    if isinstance(value, list):
        return sentence(language, "and").join(spoken_value(part, language) for part in value)
    if isinstance(value, dict):
        return sentence(language, "and").join(f"{name}: {spoken_value(part, language)}" for name, part in value.items())
    return "" if value is None else str(value)


def fact_label(tenant: Tenant, name: str, language: str) -> str:
    """Call a fact the way the tenant does, else by its name as far as that can be spoken."""
    spec = tenant.facts.get(name)
    return (translated(spec.say, language) if spec else None) or speakable(name)


def kind_label(kind: Kind, language: str) -> str:
    """Call a kind of journey the way the tenant does, else by its name."""
    return translated(kind.say, language) or speakable(kind.kind)


def translated(say: dict[str, str], language: str) -> str | None:
    """Choose among a tenant's translations: this very language, else one that shares its first part."""
    near = [text for tag, text in say.items() if tag.split("-")[0].lower() == language.split("-")[0].lower()]
    return say.get(language) or next(iter(near), None)


def speakable(name: str) -> str:
    """Read a technical name as words."""
    return " ".join(re.split(r"[._/\s]+", name)).strip() or name


def command_in_answer(speech: str) -> Command | None:
    """Understand a whole utterance as a command; anything longer is an answer."""
    return _COMMANDS.get(normal(speech))


def command_in_menu(speech: str) -> Command | None:
    """Understand a command, also within a sentence, where no free answer is expected."""
    words = normal(speech)
    return _COMMANDS.get(words) or next((command for command, p in _WITHIN.items() if p.search(words)), None)


def complains(speech: str) -> bool:
    """Tell whether the caller speaks of a complaint."""
    return bool(_COMPLAINS.search(normal(speech)))


def normal(text: str) -> str:
    """Bring an utterance to the form in which it is compared."""
    return " ".join(_PUNCTUATION.sub(" ", text.casefold().replace("_", " ")).split()).replace("’", "'")


def _spoken(language: str) -> str:
    """Return which of our languages stands for a tag such as `zh-CN` or `cmn-Hans-CN`."""
    return "zh" if language.split("-")[0].lower() in ("zh", "cmn", "yue") else "en"
