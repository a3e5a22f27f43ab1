"""Every sentence that the bot or the page says, in English and Chinese, and how names are called aloud."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ctxhub.client import Origin, Tenant

Lang = Literal["en", "zh"]
LANGS: tuple[Lang, ...] = ("en", "zh")
HTML_LANG: dict[Lang, str] = {"en": "en", "zh": "zh-CN"}

#: What the bot and the adapter say.
SENTENCES: dict[str, dict[Lang, str]] = {
    "hello": {"en": "Hello! I am the assistant here.", "zh": "您好！我是智能助手。"},
    "welcome": {
        "en": "Welcome! We go on here where you left off.",
        "zh": "您好！我们接着刚才的继续。",
    },
    "already": {"en": "We already have:", "zh": "我们已经知道："},
    "already_more": {"en": "… and {count} more, listed beside this chat.", "zh": "……还有 {count} 项，见旁边的列表。"},
    "fact": {"en": "{label}: {value}", "zh": "{label}：{value}"},
    "menu": {"en": "What can I do for you?", "zh": "请问有什么可以帮您？"},
    "topic": {"en": "This is about: {kind}.", "zh": "正在办理：{kind}。"},
    "ask": {"en": "Please tell me: {label}.", "zh": "请告诉我：{label}。"},
    "confirm": {
        "en": "I have noted “{label}: {value}”. Is that right?",
        "zh": "我这里记的是“{label}：{value}”，对吗？",
    },
    "noted": {"en": "Noted: {facts}.", "zh": "已记下：{facts}。"},
    "between": {"en": "; ", "zh": "；"},
    "left_out": {"en": "All right, we leave that for later.", "zh": "好的，这一项以后再说。"},
    "ask_afresh": {"en": "All right, I forget that.", "zh": "好的，我去掉这一项。"},
    "lost": {"en": "Sorry, I did not understand that.", "zh": "抱歉，我没有听懂。"},
    "secret_accepted": {"en": "Thank you, that is right.", "zh": "谢谢，验证通过。"},
    "secret_refused": {"en": "That was not right.", "zh": "输入有误。"},
    "secret_unchecked": {
        "en": "We can't check that just now; we leave it for later.",
        "zh": "暂时无法核对，这一项以后再说。",
    },
    "complete": {"en": "I have all that is needed for: {kind}.", "zh": "“{kind}”所需的信息已经齐全。"},
    "complete_so_far": {
        "en": "That is all for now for: {kind}. Left for later: {labels}.",
        "zh": "“{kind}”暂时就这些。以后再补：{labels}。",
    },
    "what_next": {
        "en": "A colleague can take it from here, or tell me what else you need.",
        "zh": "接下来可以由人工客服为您办理，您也可以告诉我还需要什么。",
    },
    "handing_over": {
        "en": "I am bringing in a colleague. All that you told us goes along: you won't have to say it again.",
        "zh": "正在为您转接人工客服。您说过的都会一并转过去，不用再说一遍。",
    },
    "handing_over_stuck": {
        "en": "I don't get any further here, so I am bringing in a colleague. "
        "All that you told us goes along: you won't have to say it again.",
        "zh": "这个问题我处理不了，正在为您转接人工客服。您说过的都会一并转过去，不用再说一遍。",
    },
    "closed": {"en": "Nobody is there just now.", "zh": "现在没有客服值班。"},
    "closed_until": {
        "en": "Nobody is there just now. We open again {when}.",
        "zh": "现在没有客服值班，{when}恢复服务。",
    },
    "callback_offer": {"en": "Shall we call you then?", "zh": "需要我们届时给您回电吗？"},
    "callback_promised": {
        "en": "We will call you {when} or soon after, until {until} at the latest.",
        "zh": "我们会在{when}至{until}之间给您回电。",
    },
    "callback_not": {
        "en": "I can't promise a call just now. You can write here at any time.",
        "zh": "现在无法安排回电，您可以随时在这里留言。",
    },
    "no_number": {
        "en": "I know of no number of yours to call. You can write here at any time.",
        "zh": "我们没有您的电话号码，无法回电。您可以随时在这里留言。",
    },
    "in_line": {
        "en": "You are in line; a colleague will answer here.",
        "zh": "正在排队，客服会在这里回复您。",
    },
    "stayed": {"en": "All right, you are with me again.", "zh": "好的，继续由我为您服务。"},
    "back": {"en": "You are with the assistant again.", "zh": "现在又由智能助手为您服务。"},
    "unmet": {
        "en": "Sorry, nobody was free just now. Meanwhile I am here for you.",
        "zh": "抱歉，暂时没有空闲的客服。我先继续为您服务。",
    },
    "busy": {
        "en": "A colleague is already working on that for you. Anything you add here goes to them.",
        "zh": "这件事已有同事正在为您处理，您补充的内容他们也能看到。",
    },
    "goodbye": {"en": "Thank you. If there is anything else, just write.", "zh": "谢谢！如还有需要，随时留言。"},
    "token_bad": {
        "en": "That link can't be used any more, so we begin afresh.",
        "zh": "这个链接已经失效，我们重新开始。",
    },
    "degraded": {
        "en": "Something on our side does not answer just now. Please try again in a moment.",
        "zh": "我们的系统暂时没有响应，请稍后再试。",
    },
    "away": {
        "en": "I can't look anything up just now. Please go on writing: "
        "your messages are kept, and I answer as soon as I can.",
        "zh": "我暂时查不到资料。您可以继续留言，内容都会保存，恢复后马上回复您。",
    },
    "place_kept": {
        "en": "You keep your place in the line: the first colleague who is free writes to you here.",
        "zh": "您排队的位置已保留，人工客服一有空就会在这里回复您。",
    },
    "place_stays": {
        "en": "Your place in the telephone line can't come along: it is kept as long as you stay on the phone.",
        "zh": "电话里的排队位置不能转到这里，只要您不挂断电话，位置就会保留。",
    },
    "notice_waiting": {"en": "Waiting for a colleague", "zh": "正在等候人工客服"},
    "notice_agent": {"en": "A colleague has joined", "zh": "人工客服已加入"},
    "notice_bot": {"en": "The assistant has taken over again", "zh": "已转回智能助手"},
    "notice_again": {"en": "The colleague had to leave; waiting for another", "zh": "客服暂时离开，正在等候另一位"},
}

#: The texts of the bot's buttons, which are also understood when typed.
BUTTONS: dict[str, dict[Lang, str]] = {
    "person": {"en": "Talk to a person", "zh": "转人工"},
    "skip": {"en": "Skip this", "zh": "跳过"},
    "yes": {"en": "Yes", "zh": "是的"},
    "no": {"en": "No", "zh": "不对"},
    "menu": {"en": "Something else", "zh": "其他事情"},
    "done": {"en": "That is all, finish", "zh": "办完了，结束"},
    "callback": {"en": "Please call me back", "zh": "请给我回电"},
    "stay": {"en": "Go on with the assistant", "zh": "继续用智能助手"},
}

#: The page's own words.
PAGE: dict[str, dict[Lang, str]] = {
    "title": {"en": "Chat with us", "zh": "在线客服"},
    "conversation": {"en": "Conversation", "zh": "会话"},
    "message": {"en": "Your message", "zh": "您的消息"},
    "secret": {"en": "Secret answer; it is not shown and not kept", "zh": "保密输入，不显示也不保存"},
    "not_kept": {
        "en": "We can't take that just now. It was not kept: please enter it again in a moment.",
        "zh": "暂时无法接收，内容没有保存，请稍后重新输入。",
    },
    "placeholder": {"en": "Write a message…", "zh": "请输入消息…"},
    "send": {"en": "Send", "zh": "发送"},
    "replies": {"en": "Quick replies", "zh": "快捷回复"},
    "facts": {"en": "What we know", "zh": "我们已知的信息"},
    "facts_hint": {
        "en": "You said it once: it goes along to whoever helps you.",
        "zh": "您只需说一次，谁为您服务都能看到。",
    },
    "no_facts": {"en": "Nothing yet.", "zh": "暂时没有。"},
    "unsure": {"en": "to be confirmed", "zh": "待确认"},
    "withheld": {"en": "shown once you have proved who you are", "zh": "验证身份后显示"},
    "also": {"en": "also: {values}", "zh": "另有：{values}"},
    "customer": {"en": "You", "zh": "您"},
    "bot": {"en": "Assistant", "zh": "智能助手"},
    "agent": {"en": "Colleague", "zh": "人工客服"},
    "system": {"en": "Notice", "zh": "提示"},
    "status_bot": {"en": "Assistant", "zh": "智能助手"},
    "status_waiting": {"en": "Waiting for a colleague", "zh": "等候人工客服"},
    "status_agent": {"en": "A colleague is here", "zh": "人工客服为您服务"},
    "offline": {"en": "No connection. We keep trying.", "zh": "连接已断开，正在重试。"},
    "unsent": {"en": "Not sent.", "zh": "未发送。"},
    "again": {"en": "Send again", "zh": "重新发送"},
    "kept": {"en": "Kept. We pass it on as soon as we can.", "zh": "已为您保存，恢复后立即转达。"},
    "away": {
        "en": "Answers take a little longer just now. We keep your messages.",
        "zh": "现在回复稍慢，您的留言我们都会保存。",
    },
    "other_lang": {"en": "中文", "zh": "English"},
}

_CHANNELS: dict[str, dict[Lang, str]] = {
    "ivr": {"en": "by phone menu", "zh": "电话语音菜单"},
    "voice": {"en": "by phone", "zh": "电话"},
    "chat": {"en": "in a chat", "zh": "在线聊天"},
    "app": {"en": "in the app", "zh": "手机应用"},
    "web": {"en": "on the web site", "zh": "网站"},
    "wechat": {"en": "on WeChat", "zh": "微信"},
    "whatsapp": {"en": "on WhatsApp", "zh": "WhatsApp"},
    "sms": {"en": "by text message", "zh": "短信"},
    "email": {"en": "by e-mail", "zh": "电子邮件"},
    "desk": {"en": "at the service desk", "zh": "服务台"},
    "store": {"en": "in the store", "zh": "门店"},
    "here": {"en": "in this chat", "zh": "本次聊天"},
}
_PARTIES: dict[str, dict[Lang, str]] = {
    "customer": {"en": "You", "zh": "您"},
    "bot": {"en": "Assistant", "zh": "智能助手"},
    "agent": {"en": "Colleague", "zh": "人工客服"},
    "system": {"en": "Our records", "zh": "我们的记录"},
}


def say(name: str, lang: Lang, **values: str) -> str:
    """Return a sentence with its values put in."""
    return SENTENCES[name][lang].format(**values)


def button(name: str, lang: Lang) -> str:
    """Return the text of a button."""
    return BUTTONS[name][lang]


def page_words(lang: Lang) -> dict[str, str]:
    """Return the page's own words in one language."""
    return {name: said[lang] for name, said in PAGE.items()}


def label_of_fact(name: str, tenant: Tenant, lang: Lang) -> str:
    """Return how a fact is called: as declared, else the last part of its name."""
    spec = tenant.facts.get(name)
    last_part = re.split(r"[./]", name.strip("./"))[-1].replace("_", " ")
    return in_language(spec.say if spec else {}, lang) or last_part or name


def label_of_kind(kind: str, tenant: Tenant, lang: Lang) -> str:
    """Return how a kind of journey is called: as declared, else its own name."""
    return in_language(tenant.kind(kind).say, lang) or kind.replace("_", " ")


def in_language(said: Mapping[str, str], lang: Lang) -> str | None:
    """Return what is said in a language, in whatever region's form; else in any other language."""
    same = (text for spoken, text in said.items() if primary(spoken) == lang)
    return next(same, next(iter(said.values()), None))


def primary(language: str) -> str:
    """Return a language without its region or script."""
    return language.lower().split("-")[0]


def value_aloud(value: Any) -> str:
    """Return a fact's value as it is shown: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def whence(origin: Origin | None, interaction_id: str, lang: Lang) -> str:
    """Say where a fact came from."""
    if origin is None:
        return ""
    who = _PARTIES[origin.party][lang]
    if origin.channel is None:
        return who
    here = origin.interaction_id == interaction_id
    channel = _CHANNELS.get("here" if here else origin.channel, {}).get(lang, origin.channel)
    return f"{who}, {channel}" if lang == "en" else f"{who}，{channel}"


def language_of(asked: str | None, accepted: str | None, spoken: Iterable[str]) -> Lang:
    """Choose a language: the one asked for, else the best accepted, among those that the tenant and we speak."""
    ours = [lang for lang in LANGS if lang in {primary(language) for language in spoken}] or list(LANGS)
    wanted = [asked] if asked else []
    wanted += _by_preference(accepted or "")
    return next((lang for language in wanted for lang in ours if lang == primary(language)), ours[0])


def _by_preference(accepted: str) -> list[str]:
    """Return the languages of an Accept-Language header, most wanted first."""
    weighed = []
    for part in accepted.split(","):
        language, _, weight = part.strip().partition(";q=")
        weighed.append((-_weight(weight), language))
    return [language for weight, language in sorted(weighed, key=lambda pair: pair[0]) if weight < 0]


def _weight(text: str) -> float:
    """Read a weight; what can't be read weighs nothing."""
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
