"""Every sentence that the app's adapter says, in English and Chinese, and how names are called."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ctxhub.client import Origin, Tenant

Lang = Literal["en", "zh"]
LANGS: tuple[Lang, ...] = ("en", "zh")
HTML_LANG: dict[Lang, str] = {"en": "en", "zh": "zh-CN"}
COMPLAINT = "complaint"

Said = dict[str, dict[Lang, str]]

#: What the adapter says in its answers.
SENTENCES: Said = {
    "neutral": {"en": "A matter that you began", "zh": "您之前开始办理的事项"},
    COMPLAINT: {"en": "A complaint", "zh": "投诉"},
    "notice_waiting": {"en": "Waiting for a colleague", "zh": "正在等候人工客服"},
    "notice_agent": {"en": "A colleague has joined", "zh": "人工客服已加入"},
    "notice_over": {"en": "The colleague has finished", "zh": "人工服务已结束"},
    "notice_again": {"en": "The colleague had to leave; waiting for another", "zh": "客服暂时离开，正在等候另一位"},
    "notice_nobody": {"en": "Nobody was free just now", "zh": "暂时没有空闲的客服"},
    "handed_over": {"en": "You came here to go on with this.", "zh": "您正要继续办理这件事。"},
    "at_hand": {"en": "You are at this just now.", "zh": "您正在办理这件事。"},
    "important": {"en": "This should not wait.", "zh": "这件事需要尽快办理。"},
    "resting": {"en": "You left this unfinished.", "zh": "这件事还没有办完。"},
    "recent": {"en": "You were at this lately.", "zh": "您最近办理过这件事。"},
    "degraded": {
        "en": "Our system does not answer just now. What you see may be out of date.",
        "zh": "系统暂时没有响应，显示的内容可能不是最新的。",
    },
}

#: The pages behind a resume link.
RESUME: Said = {
    "title": {"en": "Go on where you left off", "zh": "从上次的地方继续"},
    "lead": {
        "en": "What you already told us is kept. You won't have to say it again.",
        "zh": "您说过的我们都记着，不用再说一遍。",
    },
    "go_on": {"en": "Go on", "zh": "继续"},
    "in_app": {"en": "Open in the app", "zh": "在手机应用中打开"},
    "home": {"en": "Begin here", "zh": "重新开始"},
    "unknown_title": {"en": "This link does not work", "zh": "链接无效"},
    "unknown": {
        "en": "Please check that you have the whole link, or open the app and begin there.",
        "zh": "请检查链接是否完整，或直接打开手机应用办理。",
    },
    "expired_title": {"en": "This link is too old", "zh": "链接已过期"},
    "expired": {
        "en": "Links like this one are good for a short time only. Open the app, or ask us for a new link.",
        "zh": "此类链接仅在短时间内有效。请打开手机应用，或请我们重新发送。",
    },
    "used_title": {"en": "This link has been used", "zh": "链接已被使用"},
    "used": {
        "en": "It is good once, on one device. If that was not you, call us. "
        "Otherwise open the app, or ask us for a new link.",
        "zh": "每个链接只能在一台设备上使用一次。如非本人操作，请致电我们；否则请打开手机应用，或请我们重新发送。",
    },
    "again_title": {"en": "Please try once more", "zh": "请再试一次"},
    "again": {
        "en": "Open the link again and press the button there. Your browser must allow cookies for this.",
        "zh": "请重新打开链接，然后点击页面上的按钮。浏览器需要允许使用 Cookie。",
    },
    "away_title": {"en": "Just a moment", "zh": "请稍候"},
    "away": {
        "en": "Our system does not answer just now. The link stays good: please try again in a moment.",
        "zh": "系统暂时没有响应。链接仍然有效，请稍后再试。",
    },
}

#: The page's own words.
PAGE: Said = {
    "title": {"en": "My matters", "zh": "我的事项"},
    "loading": {"en": "One moment…", "zh": "请稍候……"},
    "login_title": {"en": "Log in", "zh": "登录"},
    "login_why": {"en": "Log in, and go on where you left off.", "zh": "登录后，从上次的地方继续。"},
    "login_more": {"en": "Log in to see all that belongs to this.", "zh": "登录后可查看全部内容。"},
    "account": {"en": "Customer number", "zh": "客户号"},
    "pin": {"en": "PIN", "zh": "密码"},
    "login": {"en": "Log in", "zh": "登录"},
    "logout": {"en": "Leave", "zh": "退出"},
    "login_refused": {
        "en": "That is not right. Please check both and try again.",
        "zh": "客户号或密码有误，请核对后重试。",
    },
    "login_away": {
        "en": "Nobody can check that just now. Please try again in a moment.",
        "zh": "暂时无法验证，请稍后再试。",
    },
    "promises": {"en": "What we promised you", "zh": "我们答应您的"},
    "due": {"en": "by {when}", "zh": "{when} 前"},
    "due_soon": {"en": "due soon", "zh": "即将到期"},
    "overdue": {"en": "late, we are on it", "zh": "已超时，正在处理"},
    "elsewhere": {"en": "Going on elsewhere", "zh": "正在其他渠道进行"},
    "since": {"en": "since {when}", "zh": "{when} 开始"},
    "with_agent": {"en": "with a colleague", "zh": "人工客服正在服务"},
    "matters": {"en": "Under way", "zh": "办理中"},
    "no_matters": {"en": "Nothing is under way.", "zh": "没有正在办理的事项。"},
    "step_of": {"en": "Step {n} of {m}", "zh": "第 {n} 步，共 {m} 步"},
    "missing": {"en": "Still needed: {names}", "zh": "还需要：{names}"},
    "between": {"en": ", ", "zh": "、"},
    "with_us": {"en": "Nothing needed from you: we are on it.", "zh": "您无需再提供信息，我们正在处理。"},
    "worked_on": {"en": "A colleague is working on this now.", "zh": "客服正在处理此事。"},
    "go_on": {"en": "Go on", "zh": "继续办理"},
    "not_now": {"en": "Not now", "zh": "暂不办理"},
    "new": {"en": "Something new", "zh": "办理新事项"},
    "form_known": {"en": "We already have", "zh": "我们已经知道"},
    "form_kept": {"en": "we have it", "zh": "已有记录"},
    "form_ask": {"en": "Please add", "zh": "请补充"},
    "form_confirm": {"en": "Is this right? Change it if not.", "zh": "请核对，如有误请修改。"},
    "form_secret": {"en": "Not shown and not kept.", "zh": "不显示，也不保存。"},
    "secret_refused": {"en": "That was not right.", "zh": "输入有误。"},
    "secret_unchecked": {"en": "We can't check that just now.", "zh": "暂时无法核对。"},
    "form_full": {"en": "All that is needed is there.", "zh": "所需信息已齐全。"},
    "save": {"en": "Save", "zh": "保存"},
    "close": {"en": "Close", "zh": "关闭"},
    "facts": {"en": "What we know", "zh": "我们已知的信息"},
    "facts_hint": {
        "en": "You said it once: it goes along to whoever helps you.",
        "zh": "您只需说一次，谁为您服务都能看到。",
    },
    "no_facts": {"en": "Nothing yet.", "zh": "暂时没有。"},
    "withheld": {"en": "shown once you have proved who you are", "zh": "验证身份后显示"},
    "unsure": {"en": "to be confirmed", "zh": "待确认"},
    "help": {"en": "Talk to us", "zh": "联系我们"},
    "human": {"en": "Talk to a person", "zh": "转人工"},
    "cancel_human": {"en": "Stop waiting", "zh": "取消等候"},
    "chat": {"en": "Go on in the chat", "zh": "转到在线客服"},
    "call": {"en": "Call us", "zh": "致电我们"},
    "waiting": {"en": "Waiting for a colleague", "zh": "正在等候人工客服"},
    "place": {"en": "You are number {n} in line.", "zh": "您前面还有 {before} 位。"},
    "next": {"en": "You are next.", "zh": "您是下一位。"},
    "closed_until": {
        "en": "We are back {when}. Your place is kept.",
        "zh": "我们将于 {when} 上班，您的排队位置会保留。",
    },
    "agent_here": {"en": "A colleague is here", "zh": "人工客服为您服务"},
    "conversation": {"en": "Conversation", "zh": "会话"},
    "message": {"en": "Your message", "zh": "您的消息"},
    "send": {"en": "Send", "zh": "发送"},
    "you": {"en": "You", "zh": "您"},
    "colleague": {"en": "Colleague", "zh": "人工客服"},
    "offline": {
        "en": "No connection. We keep trying; what you see may be out of date.",
        "zh": "连接已断开，正在重试，显示的内容可能不是最新的。",
    },
    "failed": {"en": "That did not work. Please try again.", "zh": "操作未成功，请重试。"},
    "used_link": {"en": "That link can't be used any more.", "zh": "这个链接已经失效。"},
    "other_lang": {"en": "中文", "zh": "English"},
}

_CHANNELS: Said = {
    "ivr": {"en": "phone menu", "zh": "电话语音菜单"},
    "voice": {"en": "phone", "zh": "电话"},
    "chat": {"en": "chat", "zh": "在线聊天"},
    "app": {"en": "app", "zh": "手机应用"},
    "web": {"en": "web site", "zh": "网站"},
    "wechat": {"en": "WeChat", "zh": "微信"},
    "whatsapp": {"en": "WhatsApp", "zh": "WhatsApp"},
    "sms": {"en": "text message", "zh": "短信"},
    "email": {"en": "e-mail", "zh": "电子邮件"},
    "desk": {"en": "service desk", "zh": "服务台"},
    "store": {"en": "store", "zh": "门店"},
}
_PARTIES: Said = {
    "customer": {"en": "You", "zh": "您"},
    "bot": {"en": "Assistant", "zh": "智能助手"},
    "agent": {"en": "Colleague", "zh": "人工客服"},
    "system": {"en": "Our records", "zh": "我们的记录"},
}


def say(name: str, lang: Lang) -> str:
    """Return a sentence."""
    return SENTENCES[name][lang]


def words(said: Said, lang: Lang) -> dict[str, str]:
    """Return a page's words in one language."""
    return {name: spoken[lang] for name, spoken in said.items()}


def label_of_fact(name: str, tenant: Tenant, lang: Lang) -> str:
    """Return how a fact is called: as declared, else the last part of its name."""
    spec = tenant.facts.get(name)
    last_part = re.split(r"[./]", name.strip("./"))[-1].replace("_", " ")
    return in_language(spec.say if spec else {}, lang) or last_part or name


def label_of_kind(kind: str, tenant: Tenant, lang: Lang) -> str:
    """Return how a kind of journey is called: as declared, else its own name; a complaint needs no declaring."""
    declared = in_language(tenant.kind(kind).say, lang)
    return declared or (say(COMPLAINT, lang) if kind == COMPLAINT else kind.replace("_", " "))


def label_of_step(step: str | None, kind: str, tenant: Tenant, lang: Lang) -> str | None:
    """Return how a step is called: as declared, else its own name."""
    declared = next((one.say for one in tenant.kind(kind).steps if one.step == step), {})
    return in_language(declared, lang) or (step.replace("_", " ") if step else None)


def label_of_channel(channel: str, lang: Lang) -> str:
    """Return how a channel is called."""
    return _CHANNELS.get(channel, {}).get(lang, channel)


def whence(origin: Origin | None, lang: Lang) -> str:
    """Say where a fact came from."""
    if origin is None:
        return ""
    who = _PARTIES[origin.party][lang]
    if origin.channel is None:
        return who
    channel = label_of_channel(origin.channel, lang)
    return f"{who}, {channel}" if lang == "en" else f"{who}，{channel}"


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


def language_of(asked: str | None, accepted: str | None, spoken: Iterable[str]) -> Lang:
    """Choose a language that the tenant and we speak: the one asked for, else the best accepted, else the tenant's."""
    ours = [lang for language in spoken for lang in LANGS if lang == primary(language)] or list(LANGS)
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
