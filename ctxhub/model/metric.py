"""Metrics: what the counters come to, each with its definition, its n, its interval, and what is not known yet.

A metric that can't be computed from what channels tell says so and why. None is ever made up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from ctxhub.model.measure import Times, Totals, wilson
from ctxhub.model.value import Instant, Name, Value

ENOUGH = 30
SECONDS_PER_QUESTION = 12
HUMAN = frozenset({"queue", "agent"})
_OFFERS = ("accepted", "declined", "expired", "cancelled", "left")
_LOST = ("declined", "expired", "cancelled", "left")

Status = Literal["ok", "provisional", "too_few", "not_instrumented"]
Kind = Literal["share", "count", "times", "steps"]
#: One sentence in each language of the desk.
Sentence = Mapping[str, str]


class Window(Value):
    """The days that numbers are of, both included, in the tenant's own time zone."""

    first: date
    last: date
    time_zone: str = "UTC"

    def ends_at(self) -> datetime:
        """Return when its last day is over."""
        return datetime.combine(self.last + timedelta(days=1), time(), ZoneInfo(self.time_zone))

    def shown(self) -> dict[str, str]:
        """Show it."""
        return {"from": self.first.isoformat(), "to": self.last.isoformat(), "time_zone": self.time_zone}


class Seen(NamedTuple):
    """What was counted, and which places tell what they ask: what they don't tell can't be counted."""

    totals: Totals
    instrumented: Mapping[str, bool]

    @property
    def asking(self) -> frozenset[str]:
        """The places that tell what they ask."""
        return frozenset(place for place, tells in self.instrumented.items() if tells)


class Share(NamedTuple):
    """So many of so many; `left_out` more where nobody tells what is asked."""

    hits: int
    n: int
    left_out: int = 0


class Measured(NamedTuple):
    """What a metric comes to, of one kind."""

    share: Share | None = None
    amount: int | None = None
    times: Times | None = None
    steps: Mapping[str, int] | None = None
    assumed: Mapping[str, int] | None = None


class Metric(Value):
    """A metric: its definition, and what it comes to in a window."""

    id: Name
    version: int
    kind: Kind
    name: str
    formula: str
    status: Status
    why: str | None = None
    unit: str
    value: float | None = None
    numerator: int | None = None
    n: int | None = None
    interval: tuple[float, float] | None = None
    left_out: int = 0
    times: dict[str, Any] | None = None
    steps: dict[str, int] | None = None
    assumed: dict[str, int] | None = None
    window: dict[str, str]
    matures_at: Instant | None = None


class Definition(NamedTuple):
    """What a metric means; `measure` computes it, or `why` says what is missing for it."""

    id: str
    kind: Kind
    unit: str
    name: Sentence
    formula: Sentence
    measure: Callable[[Seen], Measured | None] | None = None
    why: Sentence = {}
    matures: timedelta = timedelta(0)
    version: int = 1


_NOBODY_TELLS = {
    "en": "no channel in it tells what it asks (`question.asked`)",
    "zh": "其中没有渠道上报它问了什么（question.asked）",
}
_REASKS_COME = timedelta(days=1)


def measured(definition: Definition, seen: Seen, window: Window, now: datetime, language: str = "en") -> Metric:
    """Return a metric as it stands now, in the words of a language."""
    found = definition.measure(seen) if definition.measure is not None else None
    matures_at = window.ends_at() + definition.matures
    why = definition.why or _NOBODY_TELLS
    shown = {} if found is None else _shown(found)
    return Metric(
        id=definition.id,
        version=definition.version,
        kind=definition.kind,
        name=definition.name[language],
        formula=definition.formula[language],
        status=_status(found, now < matures_at),
        why=why[language] if found is None else None,
        unit=definition.unit,
        window=window.shown(),
        matures_at=matures_at if found is not None and now < matures_at else None,
        **shown,
    )


def _status(found: Measured | None, early: bool) -> Status:
    """Return how far a number can be trusted."""
    if found is None:
        return "not_instrumented"
    n = found.share.n if found.share is not None else found.times.n if found.times is not None else ENOUGH
    return "too_few" if n < ENOUGH else "provisional" if early else "ok"


def _shown(found: Measured) -> dict[str, Any]:
    """Show what a metric comes to."""
    if found.share is not None:
        return _shown_share(found.share)
    if found.times is not None:
        mean = found.times.mean
        return {"value": None if mean is None else round(mean, 3), "n": found.times.n, "times": found.times.shown()}
    shown: dict[str, Any] = {"value": found.amount, "steps": dict(found.steps) if found.steps else None}
    return shown | {"assumed": dict(found.assumed) if found.assumed else None}


def _shown_share(share: Share) -> dict[str, Any]:
    """Show a share with its interval; of nothing there is neither."""
    counted = {"numerator": share.hits, "n": share.n, "left_out": share.left_out}
    if not share.n:
        return counted
    low, high = wilson(share.hits, share.n)
    return counted | {"value": round(share.hits / share.n, 6), "interval": (round(low, 6), round(high, 6))}


# What is computed


def _asked_again(seen: Seen) -> Measured | None:
    """Measure hops after which the receiver asked again, of those that brought facts to a place that tells."""
    hits = seen.totals.sum("hops_repeated", None, None, seen.asking)
    n, known = seen.totals.sum("hops_known", None, None, seen.asking), seen.totals.sum("hops_known")
    return None if known and not n else Measured(Share(hits, n, known - n))


def _repeated(seen: Seen) -> Measured | None:
    """Measure repeats among facts asked for."""
    n = seen.totals.sum("asked", None, seen.asking, "ask")
    if not n and seen.instrumented and not seen.asking:
        return None
    return Measured(Share(seen.totals.sum("repeats", None, None, None, seen.asking), n))


def _saved(seen: Seen) -> Measured:
    """Measure questions that were not asked; what a question costs is an assumption, and marked as one."""
    saved = seen.totals.sum("saved")
    assumed = {"seconds_per_question": SECONDS_PER_QUESTION, "seconds": saved * SECONDS_PER_QUESTION}
    return Measured(amount=saved, assumed=assumed)


def _survived(seen: Seen) -> Measured:
    """Measure facts that arrived."""
    return Measured(Share(seen.totals.sum("survived"), seen.totals.sum("had")))


def _accepted(seen: Seen) -> Measured:
    """Measure offers to humans that were accepted, of those decided."""
    decided = [seen.totals.sum("decided", None, HUMAN, outcome) for outcome in _OFFERS]
    return Measured(Share(decided[0], sum(decided)))


def _funnel(seen: Seen) -> Measured:
    """Measure how far offers to humans came."""
    steps = {
        "offered": seen.totals.sum("handoffs", "offered", None, HUMAN),
        "accepted": seen.totals.sum("decided", None, HUMAN, "accepted"),
        "shown": seen.totals.sum("handoffs", "shown", None, HUMAN),
        "worked": seen.totals.sum("legs"),
        **{state: seen.totals.sum("decided", None, HUMAN, state) for state in _LOST},
    }
    return Measured(steps=steps)


def _of_times(what: str) -> Callable[[Seen], Measured]:
    """Return what measures durations of a kind."""
    return lambda seen: Measured(times=seen.totals.times(what))


def _transferred(seen: Seen) -> Measured:
    """Measure agents' work that ended by a transfer to another human."""
    return Measured(Share(seen.totals.sum("legs", None, "transferred"), seen.totals.sum("legs")))


def _continued(seen: Seen) -> Measured | None:
    """Measure switches that lost nothing: facts were there and none of them was asked for again."""
    way = (None, None, seen.asking, "switch")
    n, switches = seen.totals.sum("hops", *way), seen.totals.sum("hops", None, None, None, "switch")
    if switches and not n:
        return None
    hits = seen.totals.sum("hops_known", *way) - seen.totals.sum("hops_repeated", *way)
    return Measured(Share(hits, n, switches - n))


def _redeemed(seen: Seen) -> Measured:
    """Measure tokens to another channel that were used in time, of those decided."""
    decided = [seen.totals.sum("decided", None, "channel", outcome) for outcome in _OFFERS]
    return Measured(Share(decided[0], sum(decided)))


def _taken_up(seen: Seen) -> Measured:
    """Measure offers to resume that were taken, of those answered."""
    taken = seen.totals.sum("resume", "taken")
    return Measured(Share(taken, taken + seen.totals.sum("resume", "declined")))


def _kept(seen: Seen) -> Measured:
    """Measure promises kept in time, of those due or settled."""
    return Measured(Share(seen.totals.sum("promises", "kept"), seen.totals.sum("promises")))


def _completed(seen: Seen) -> Measured:
    """Measure journeys completed, of those that ended."""
    done = seen.totals.sum("journeys", None, "completed")
    return Measured(Share(done, done + seen.totals.sum("journeys", None, "abandoned")))


def _resolved(seen: Seen) -> Measured:
    """Measure what agents themselves call resolved."""
    return Measured(Share(seen.totals.sum("outcomes", None, "resolved"), seen.totals.sum("outcomes")))


_NO_SURVEYS = {"en": "surveys are not run by the hub", "zh": "中枢不做满意度调查"}
_NO_ISSUES = {
    "en": "interactions are not matched to issues yet: without that a second contact can't be told from a new wish",
    "zh": "尚未把多次来访归并为同一问题：不归并就分不清是重复来访还是新诉求",
}
_NO_EPISODES = {
    "en": "interactions that follow from one another are not closed as one episode yet",
    "zh": "前后相承的多次交互尚未归并为一次服务过程",
}

#: Every metric that this hub names, those it can't compute included.
DEFINITIONS = (
    Definition(
        "rqr.handoff", "share", "share",
        {"en": "Repeat-question rate", "zh": "重复询问率"},
        {"en": "hops after which the receiver asked for a fact in sight ÷ hops that brought at least one fact in "
               "sight; a hop is a handoff, transfer, return or switch of channel; only places that tell what they "
               "ask; counted on the day of the hop",
         "zh": "转接后接手方又问了已知信息的次数 ÷ 至少带来一条可用信息的转接次数；转接包括转交、转派、交还和换渠道；"
               "只算会上报提问的位置；按转接当天计"},
        _asked_again, matures=_REASKS_COME,
    ),
    Definition(
        "rqr.slot", "share", "share",
        {"en": "Repeated questions", "zh": "重复提问占比"},
        {"en": "known facts asked for with purpose `ask`, once per holder of the floor and name ÷ facts asked for with "
               "purpose `ask`",
         "zh": "明知仍问的信息项（同一接待方同一项只计一次）÷ 以 ask 为目的询问的全部信息项"},
        _repeated,
    ),
    Definition(
        "questions.saved", "count", "questions",
        {"en": "Questions saved", "zh": "省去的提问"},
        {"en": "answers `known` to `asks`, once per interaction and name; time saved assumes 12 seconds for each",
         "zh": "`asks` 回答“已知”的信息项，每次交互每项只计一次；节省时间按每问 12 秒假定"},
        _saved,
    ),
    Definition(
        "facts.survival", "share", "share",
        {"en": "Facts carried", "zh": "随路信息到达率"},
        {"en": "facts in the receiver's sight at a handoff ÷ facts in the sender's sight just then; what the receiver "
               "may not see counts as not carried",
         "zh": "转接时接手方可见的信息项 ÷ 当时移交方可见的信息项；接手方无权看到的算未到达"},
        _survived,
    ),
    Definition(
        "handoff.accept", "share", "share",
        {"en": "Handoffs accepted", "zh": "转接接受率"},
        {"en": "offers to a queue or agent that were accepted ÷ such offers decided (accepted, declined, expired, "
               "cancelled, left), each by what first became of it",
         "zh": "转给队列或坐席后被接受的 ÷ 已有结果的（接受、拒绝、超时、取消、客户离开），各按首个结果计"},
        _accepted,
    ),
    Definition(
        "handoff.wait", "times", "seconds",
        {"en": "Wait for an agent", "zh": "等待坐席时长"},
        {"en": "from the beginning of the wait to the first acceptance by an agent",
         "zh": "从开始等待到坐席首次接受"},
        _of_times("accept"),
    ),
    Definition(
        "handoff.funnel", "steps", "handoffs",
        {"en": "Handoff funnel", "zh": "转接漏斗"},
        {"en": "handoffs to a queue or agent: offered, accepted, context shown, agent's work ended; and lost on the "
               "way. Requests and first answers are not told, so they are left out",
         "zh": "转给队列或坐席的：发出、接受、看到上下文、处理结束，以及中途流失；请求和首次应答没有上报，故不列"},
        _funnel,
    ),
    Definition(
        "aht", "times", "seconds",
        {"en": "Handle time", "zh": "平均处理时长"},
        {"en": "from an agent's acceptance to the end of that agent's work, hold and wrap-up included",
         "zh": "从坐席接受到该坐席处理结束，含保持和小结"},
        _of_times("handle"),
    ),
    Definition(
        "time.to_context", "times", "seconds",
        {"en": "Time to context", "zh": "见到上下文用时"},
        {"en": "from acceptance to the receipt that the agent was shown the context",
         "zh": "从接受到坐席端回执“已显示上下文”"},
        _of_times("context"),
    ),
    Definition(
        "transfer.rate", "share", "share",
        {"en": "Transfers", "zh": "转派率"},
        {"en": "agents' work that ended by a transfer to another human ÷ agents' work that ended; a bot's handoff to a "
               "human is none",
         "zh": "坐席处理后又转给其他人工的 ÷ 坐席处理结束的；机器人转人工不算"},
        _transferred,
    ),
    Definition(
        "switch.continuity", "share", "share",
        {"en": "Switches without a break", "zh": "换渠道不断线"},
        {"en": "switches of channel (another channel within 30 minutes, surely the same customer) with facts in sight "
               "and none of them asked for again ÷ switches",
         "zh": "换渠道（30 分钟内换到别的渠道且确认是同一客户）后信息可用且没有再问的 ÷ 全部换渠道"},
        _continued, matures=_REASKS_COME,
    ),
    Definition(
        "resume.rate", "share", "share",
        {"en": "Links used", "zh": "续办链接使用率"},
        {"en": "tokens to another channel redeemed before they lapsed ÷ such tokens redeemed, lapsed or taken back",
         "zh": "过期前被使用的跨渠道令牌 ÷ 已使用、过期或收回的"},
        _redeemed,
    ),
    Definition(
        "resume.accept", "share", "share",
        {"en": "Offers to resume taken", "zh": "续办邀请接受率"},
        {"en": "journeys resumed in another interaction ÷ these and those the customer declined to resume, each once "
               "per interaction and journey",
         "zh": "在另一次交互中继续的事项 ÷ 继续的与客户不愿继续的之和，每次交互每件事只计一次"},
        _taken_up,
    ),
    Definition(
        "promise.kept", "share", "share",
        {"en": "Promises kept", "zh": "承诺兑现率"},
        {"en": "promises kept by their time ÷ promises kept, broken or overdue, each by what first became of it",
         "zh": "按时兑现的承诺 ÷ 已兑现、未兑现或逾期的承诺，各按首个结果计"},
        _kept,
    ),
    Definition(
        "journey.completed", "share", "share",
        {"en": "Journeys completed", "zh": "事项办成率"},
        {"en": "journeys completed ÷ journeys completed or abandoned", "zh": "办成的事项 ÷ 办成与放弃的事项"},
        _completed,
    ),
    Definition(
        "resolution.agent", "share", "share",
        {"en": "Resolved, say agents", "zh": "坐席自报解决率"},
        {"en": "work completed with the outcome `resolved` ÷ work completed with any outcome; self-reported, not "
               "first-contact resolution",
         "zh": "以 resolved 结束的 ÷ 填了处理结果的；坐席自报，不是首次解决率"},
        _resolved,
    ),
    Definition(
        "fcr.ops", "share", "share", {"en": "First-contact resolution", "zh": "首次解决率"},
        {"en": "matured issues with exactly one customer-initiated episode and not unresolved ÷ matured issues opened",
         "zh": "观察期满且只来过一次、未标为未解决的问题 ÷ 观察期满的问题"}, why=_NO_ISSUES,
    ),
    Definition(
        "repeat.contact", "share", "share", {"en": "Repeat contacts", "zh": "重复来访率"},
        {"en": "episodes that follow an earlier one of the same issue within the window ÷ episodes",
         "zh": "窗口期内因同一问题再次来访的 ÷ 全部来访"}, why=_NO_ISSUES,
    ),
    Definition(
        "contain.verified", "share", "share", {"en": "Containment", "zh": "自助解决率"},
        {"en": "self-service episodes that ended there, goal reached or no contact within 24 hours ÷ such episodes",
         "zh": "在自助中办结（达成目标或 24 小时内未再来）的 ÷ 全部自助服务过程"}, why=_NO_EPISODES,
    ),
    Definition(
        "handoff.rate", "share", "share", {"en": "Handoffs to humans", "zh": "转人工率"},
        {"en": "self-service episodes with an offer to a human ÷ self-service episodes",
         "zh": "转过人工的自助服务过程 ÷ 全部自助服务过程"}, why=_NO_EPISODES,
    ),
    Definition(
        "switch.rate", "share", "share", {"en": "Switches of channel", "zh": "换渠道率"},
        {"en": "episodes on two or more channels ÷ episodes", "zh": "跨两个及以上渠道的 ÷ 全部服务过程"},
        why=_NO_EPISODES,
    ),
    Definition(
        "handoff.context_ready", "share", "share", {"en": "Context before the first word", "zh": "先见上下文再开口"},
        {"en": "accepted handoffs whose context was shown before the agent's first message ÷ accepted handoffs",
         "zh": "坐席首条消息前已显示上下文的 ÷ 已接受的转接"},
        why={"en": "an agent's first message is not related to the receipt yet", "zh": "尚未把坐席首条消息与回执对应"},
    ),
    Definition(
        "auth.carry", "share", "share", {"en": "Identification carried", "zh": "身份核验沿用率"},
        {"en": "legs that went on with an earlier identification ÷ legs that needed that level",
         "zh": "沿用已有核验的 ÷ 需要该核验等级的"},
        why={"en": "channels don't tell which level a step needs", "zh": "渠道没有上报某一步需要的核验等级"},
    ),
    Definition(
        "rqr.restated", "share", "share", {"en": "Facts said again", "zh": "客户重复说出的信息"},
        {"en": "facts told again with an equal value in the same issue ÷ facts told",
         "zh": "同一问题中再次说出且值相同的 ÷ 客户说出的信息项"}, why=_NO_ISSUES,
    ),
    Definition(
        "csat", "share", "share", {"en": "Satisfaction", "zh": "满意度"},
        {"en": "ratings 4 and 5 ÷ ratings", "zh": "4 分和 5 分 ÷ 全部评分"}, why=_NO_SURVEYS,
    ),
    Definition(
        "ces2", "share", "share", {"en": "Ease", "zh": "客户费力度"},
        {"en": "answers 5 to 7 to “made it easy” ÷ answers", "zh": "“办事轻松”选 5 至 7 分的 ÷ 全部回答"},
        why=_NO_SURVEYS,
    ),
)  # fmt: skip
