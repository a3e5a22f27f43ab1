"""What a customer's few fixed words mean: buttons, yes and no, skipping, greetings, asking for a person."""

from __future__ import annotations

import re

from ctxhub_chat.say import BUTTONS

_PERSON_INTENTS = frozenset({"human", "agent", "person", "handoff", "talk_to_human", "talk_to_agent", "转人工", "人工"})
_SOMEBODY = r"(human|agent|representative|operator|advisor|real person|person|somebody|someone|colleague)"
_PERSON = re.compile(
    rf"^(a |an |the )?(live |real |human )?{_SOMEBODY}( please)?$"
    rf"|^({_SOMEBODY} )?help me please$"
    rf"|\b(talk|speak|chat|connect|transfer|switch|put)\b.{{0,20}}\b(to|with|through)\b.{{0,20}}\b{_SOMEBODY}\b"
    r"|^(请|帮我|我要|我想)?(转|接|找|要)?(一下|个)?(人工|真人|客服)(客服|服务|坐席)?(吧|谢谢)?$"
    r"|(转接?|找|接通?|换)(一下|个)?(人工|真人|客服)",
)
_COMPLAINS = re.compile(
    r"^(i (want|would like|wish) to |i'd like to |please )?(complain|((make|file|raise|lodge) )?(a |an )?complaint)\b"
    r"|^(我|我要|我想|请|要)?(要|想)?(进行|提|提出)?(个|一个)?投诉",
)
_YES = ("yes", "yeah", "yep", "correct", "right", "that's right", "that is right", "sure", "ok", "okay", "exactly")
_YES_ZH = ("是的", "是", "对的", "对", "没错", "正确", "好的", "可以", "嗯", "确认")
_NO = ("no", "nope", "wrong", "incorrect", "not right", "that's wrong", "that is wrong")
_NO_ZH = ("不是的", "不是", "不对", "错了", "不正确", "没有", "不", "否")
_SKIP = ("skip", "later", "i don't know", "i do not know", "don't know", "not sure", "no idea", "pass")
_SKIP_ZH = ("跳过", "稍后", "以后再说", "不知道", "不清楚", "先不说", "没想好")
_GREETING = ("hi", "hello", "hey", "good morning", "good evening", "thanks", "thank you", "thank you very much", "bye")
_GREETING_ZH = ("你好", "您好", "在吗", "谢谢", "多谢", "辛苦了", "再见", "拜拜")
_ASSENT = ("great", "good", "perfect", "fine", "alright", "all right", "sounds good", "that sounds good", "cool")
_ASSENT_ZH = ("好", "行", "不错", "明白", "知道了", "没问题", "不客气")
_AROUND = " \t\r\n.,;:!?…\"'()。，；：！？、“”‘’（）~～"
_LONGEST_ANSWER = 200


def plain(text: str) -> str:
    """Return a text as it is compared: one line, no capitals, nothing around it."""
    return re.sub(r"\s+", " ", text.casefold().replace("\u2019", "'")).strip(_AROUND)


def is_button(text: str, name: str) -> bool:
    """Tell whether a text is that of a button, in whatever language."""
    return plain(text) in {plain(label) for label in BUTTONS[name].values()}


def wants_person(text: str, intent: str | None) -> bool:
    """Tell whether the customer asks for a person, in so many words or by intent."""
    if intent is not None and intent.casefold() in _PERSON_INTENTS:
        return True
    return is_button(text, "person") or bool(_PERSON.search(plain(text)))


def complains(text: str) -> bool:
    """Tell whether a text begins by wanting to complain."""
    return bool(_COMPLAINS.search(plain(text)))


def agrees(text: str) -> bool:
    """Tell whether a text begins with yes."""
    return is_button(text, "yes") or _opens(text, _YES + _YES_ZH) is not None


def disagrees(text: str) -> bool:
    """Tell whether a text begins with no."""
    return is_button(text, "no") or _opens(text, _NO + _NO_ZH) is not None


def after_no(text: str) -> str:
    """Return what follows a no, such as the right value; empty where nothing does."""
    opening = _opens(text, _NO + _NO_ZH)
    rest = text.strip(_AROUND)[len(opening or "") :].strip(_AROUND)
    return re.sub(r"^(it's|it is|it should be|应该是|是)\s*", "", rest, flags=re.IGNORECASE) if opening else ""


def skips(text: str) -> bool:
    """Tell whether the customer leaves a question for later."""
    return is_button(text, "skip") or plain(text) in _SKIP + _SKIP_ZH


def greets(text: str) -> bool:
    """Tell whether a text is a greeting or thanks, which answers nothing."""
    return _opens(text, _GREETING + _GREETING_ZH) is not None


def assents(text: str) -> bool:
    """Tell whether a text is only a sign of agreement."""
    return _opens(text, _YES + _YES_ZH + _ASSENT + _ASSENT_ZH + _NO) is not None


def may_be_answer(text: str) -> bool:
    """Tell whether a text can be taken as the answer to a question: something short that asks nothing back."""
    return 0 < len(text.strip()) <= _LONGEST_ANSWER and not text.strip().endswith(("?", "？"))


def _opens(text: str, words: tuple[str, ...]) -> str | None:
    """Return the longest of the words that a text begins with, standing by itself."""
    said = plain(text)
    for word in sorted(words, key=len, reverse=True):
        if said == word or (said.startswith(word) and said[len(word)] in _AROUND):
            return word
    return None
