"""What the bot does: decisions over values, without hub, page or clock.

A turn goes in two steps. `understand` says what a message comes to: facts, journeys to start, an act. Once the hub
has been told, `reply` or one of its siblings says what to answer, given the context as it then stands, and the one
question that the hub lets the bot ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from ctxhub.client import Answer, ContextView, InteractionView, JourneyView, Kind, QueueView, Tenant
from ctxhub_chat import hours, words
from ctxhub_chat.say import Lang, button, label_of_fact, label_of_kind, say, value_aloud

Act = Literal[
    "person", "callback", "stay", "done", "menu", "skip", "yes", "no", "told", "answer", "chitchat", "lost", "busy"
]
Purpose = Literal["ask", "confirm"]
Verb = Literal["fact.stated", "fact.confirmed", "fact.rejected"]

STUCK_AFTER = 2
FIRST_FENCE = 1
INTENT_FROM = 0.5
_RECENTLY = timedelta(days=1)
_MOST_LINES = 30
_MOST_KINDS = 6
DISCLOSED_FROM = 2


class Memory(BaseModel):
    """What the bot must remember from one turn to the next; kept on the timeline with the turn.

    `about` is the journey that the asked fact belongs to, `topic` the journey last announced, `fence` the one
    that the bot last spoke with, `waiting` the handoff that it offered.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    asks: str | None = None
    purpose: Purpose = "ask"
    value: Any = None
    about: str | None = None
    topic: str | None = None
    misses: int = 0
    skipped: tuple[str, ...] = ()
    waiting: str | None = None
    fence: int = 0

    def but(self, **changes: Any) -> Memory:
        """Return the same memory with some fields changed."""
        return self.model_copy(update=changes)

    @property
    def without_question(self) -> Memory:
        """Return the memory with nothing asked."""
        return self.but(asks=None, purpose="ask", value=None, about=None)


class Found(NamedTuple):
    """A fact found beside a text."""

    name: str
    value: Any
    confidence: float = 1.0


class Message(NamedTuple):
    """What the customer sent; `facts` is None where nobody looked for any."""

    text: str
    facts: tuple[Found, ...] | None = None
    intent: tuple[str, float] | None = None


class Heard(NamedTuple):
    """A fact to tell: of an open journey, or of the one of a kind that is about to start, or of the customer."""

    verb: Verb
    data: dict[str, Any]
    journey_id: str | None = None
    kind: str | None = None


class Understood(NamedTuple):
    """What a message comes to: `starts` are kinds of journeys, `turns_to` and `ends` are journeys."""

    act: Act
    facts: tuple[Heard, ...] = ()
    starts: tuple[str, ...] = ()
    turns_to: str | None = None
    intent: tuple[str, float] | None = None
    ends: str | None = None


class Question(NamedTuple):
    """The one question to ask next; `moves_to` is the step it belongs to, where the journey is not there yet."""

    journey_id: str
    kind: str
    name: str
    purpose: Purpose = "ask"
    value: Any = None
    about: str | None = None
    moves_to: str | None = None


class Line(NamedTuple):
    """One message of the bot's, with the buttons under it and the fact it asks for."""

    text: str
    buttons: tuple[str, ...] = ()
    asks: str | None = None


class Reply(NamedTuple):
    """What the bot answers, and what it remembers."""

    lines: tuple[Line, ...]
    memory: Memory
    question: Question | None = None


class Scene(NamedTuple):
    """Where a chat stands as the bot looks at it."""

    view: ContextView
    mine: InteractionView
    tenant: Tenant
    lang: Lang


# What a message comes to


def understand(message: Message, memory: Memory, scene: Scene) -> Understood:
    """Say what a message comes to, with every fact in its place."""
    wanted = kind_wanted(message, memory, scene.tenant)
    memory = _still_asked(memory, scene)
    act = "busy" if _is_busy(wanted, scene) else _act(message, memory, wanted)
    placed = [_placed(found, wanted, scene) for found in message.facts or ()]
    facts = (*placed, *_answered(act, message, memory))
    starts = _to_start(facts, wanted, scene)
    return Understood(
        act=act,
        facts=facts,
        starts=starts,
        turns_to=_turn_to(facts, wanted, starts, scene),
        intent=message.intent,
        ends=_to_end(act, scene),
    )


def kind_wanted(message: Message, memory: Memory, tenant: Tenant) -> str | None:
    """Return the declared kind of journey that an intent, a button or plain words name."""
    if message.intent is not None and message.intent[1] >= INTENT_FROM:
        return _kind_of_intent(message.intent[0], tenant)
    if any(found.name == memory.asks for found in message.facts or ()):
        return None  # it answers the question, even where a kind has the same name as the answer
    if tenant.complaint is not None and words.complains(message.text):
        return tenant.complaint.kind
    spoken = words.plain(message.text)
    labels = {words.plain(label): kind.kind for kind in tenant.journeys for label in kind.say.values()}
    if spoken in labels or message.facts is not None or memory.asks is not None:
        return labels.get(spoken)
    return next((kind for label, kind in labels.items() if len(label) > 1 and label in spoken), None)


def _is_busy(kind: str | None, scene: Scene) -> bool:
    """Tell whether a colleague works elsewhere on the one journey of a kind that is open."""
    mine = [journey for journey in open_journeys(scene) if journey.kind == kind]
    return bool(mine) and all(worked_on_elsewhere(journey, scene) for journey in mine)


def _kind_of_intent(name: str, tenant: Tenant) -> str | None:
    """Return the kind that an intent means: its name, or the longest that the name begins with, up to a dot."""
    meant = [kind.kind for kind in tenant.journeys if f"{name}.".startswith(f"{kind.kind}.")]
    return max(meant, key=len, default=None)


def _still_asked(memory: Memory, scene: Scene) -> Memory:
    """Forget a question whose journey has ended since."""
    gone = memory.about is not None and all(j.journey_id != memory.about for j in scene.view.journeys)
    return memory.without_question if gone else memory


def _act(message: Message, memory: Memory, wanted: str | None) -> Act:
    """Say what the customer does with a message."""
    found = {fact.name for fact in message.facts or ()}
    if not found and words.wants_person(message.text, message.intent[0] if message.intent else None):
        return "person"
    pressed = _pressed(message.text) if not found else None
    if pressed is not None:
        return pressed
    if memory.asks is not None and memory.asks not in found:
        to_question = _act_on_question(message, memory)
        return to_question or ("told" if found or wanted else _act_of_words(message, memory))
    return "told" if found or wanted else _act_of_words(message, memory)


def _pressed(text: str) -> Act | None:
    """Return the act of a button that needs no question."""
    acts: tuple[Act, ...] = ("callback", "stay", "done", "menu")
    return next((act for act in acts if words.is_button(text, act)), None)


def _act_on_question(message: Message, memory: Memory) -> Act | None:
    """Return what a text does with the question just asked, where that is plain."""
    if words.skips(message.text):
        return "skip"
    if memory.purpose != "confirm":
        return None
    if words.disagrees(message.text):
        return "no"
    return "yes" if words.agrees(message.text) else None


def _act_of_words(message: Message, memory: Memory) -> Act:
    """Say what a text does that brought no facts."""
    if words.greets(message.text):
        return "chitchat"
    open_question = memory.asks is not None and memory.purpose == "ask" and message.facts is None
    if open_question and words.may_be_answer(message.text):
        return "answer"
    return "chitchat" if words.assents(message.text) else "lost"


def _answered(act: Act, message: Message, memory: Memory) -> tuple[Heard, ...]:
    """Return what an answer says about the fact that was asked for."""
    if memory.asks is None or act not in ("yes", "no", "answer"):
        return ()
    if act == "yes":
        return (Heard("fact.confirmed", {"name": memory.asks, "value": memory.value}, memory.about),)
    said = message.text.strip() if act == "answer" else words.after_no(message.text)
    if said and message.facts is None:
        return (Heard("fact.stated", {"name": memory.asks, "value": said}, memory.about),)
    return (Heard("fact.rejected", {"name": memory.asks, "value": memory.value}, memory.about),)


def _placed(found: Found, wanted: str | None, scene: Scene) -> Heard:
    """Put a found fact in the journey that needs it: the wanted, the present, an open one, else a new one."""
    data = {"name": found.name, "value": found.value, "confidence": found.confidence}
    needing = [kind.kind for kind in scene.tenant.journeys if found.name in kind.needs]
    open_ = open_journeys(scene)
    if wanted in needing and all(journey.kind != wanted for journey in open_):
        return Heard("fact.stated", data, kind=wanted)
    best_first = sorted(open_, key=lambda journey: journey.kind != wanted)
    home = next((journey for journey in best_first if journey.kind in needing), None)
    if home is not None:
        return Heard("fact.stated", data, home.journey_id)
    return Heard("fact.stated", data, kind=needing[0] if needing else None)


def _to_start(facts: Iterable[Heard], wanted: str | None, scene: Scene) -> tuple[str, ...]:
    """Return the kinds of journeys to start; the wanted one last, since the last one is what the chat is about."""
    kinds = [fact.kind for fact in facts if fact.kind is not None and fact.kind != wanted]
    is_new = wanted is not None and all(journey.kind != wanted for journey in open_journeys(scene))
    return tuple(dict.fromkeys([*kinds, wanted] if wanted is not None and is_new else kinds))


def _turn_to(facts: Sequence[Heard], wanted: str | None, starts: Sequence[str], scene: Scene) -> str | None:
    """Return the open journey that the customer turned to, where it is not the present one."""
    present = scene.mine.journey_id
    open_ = {journey.journey_id: journey for journey in open_journeys(scene)}
    if wanted is not None:
        mine = [journey for journey in open_.values() if journey.kind == wanted]
        home = next((journey for journey in mine if not worked_on_elsewhere(journey, scene)), None)
        stays = home is None or (home.journey_id == present and home.state == "active" and not starts)
        return None if home is None or stays else home.journey_id
    told_of = [open_[fact.journey_id] for fact in facts if fact.journey_id in open_]
    homes = [journey.journey_id for journey in told_of if not worked_on_elsewhere(journey, scene)]
    if starts or not homes or present in homes:
        return None
    return homes[-1]


def _to_end(act: Act, scene: Scene) -> str | None:
    """Return the journey that the customer calls done: only one that misses nothing."""
    journey = current_journey(scene.view, scene.mine.interaction_id)
    return journey.journey_id if act == "done" and journey is not None and not journey.missing else None


# Where things stand


def current_journey(view: ContextView, interaction_id: str) -> JourneyView | None:
    """Return the journey that an interaction is about."""
    about = next((one.journey_id for one in view.interactions if one.interaction_id == interaction_id), None)
    return next((journey for journey in view.journeys if journey.journey_id == about), None)


def open_journeys(scene: Scene) -> list[JourneyView]:
    """Return the open journeys in sight, the present one first, then the freshest."""
    freshest = sorted(scene.view.journeys, key=lambda journey: journey.updated_at, reverse=True)
    return sorted(freshest, key=lambda journey: journey.journey_id != scene.mine.journey_id)


def worked_on_elsewhere(journey: JourneyView, scene: Scene) -> bool:
    """Tell whether a colleague works on a journey in another interaction, so that the bot keeps its hands off it."""
    busy = journey.worker
    elsewhere = busy is not None and busy.interaction_id != scene.mine.interaction_id and busy.party == "agent"
    return elsewhere and journey.journey_id != scene.mine.journey_id


def agenda(scene: Scene) -> list[JourneyView]:
    """Return the journeys to go on with: the present one, then others that moved lately and do not rest."""
    since = scene.mine.started_at - _RECENTLY
    present = scene.mine.journey_id
    return [
        journey
        for journey in open_journeys(scene)
        if not worked_on_elsewhere(journey, scene)
        and (journey.journey_id == present or (journey.state == "active" and journey.updated_at >= since))
    ]


def names_to_check(journey: JourneyView, tenant: Tenant) -> list[str]:
    """Return the facts that a journey needs, from the step where it stands; what comes before that step, last."""
    kind = tenant.kind(journey.kind)
    steps = [step.step for step in kind.steps]
    at = steps.index(journey.step) if journey.step in steps else 0
    ahead = [name for step in kind.steps[at:] + kind.steps[:at] for name in step.facts]
    return list(dict.fromkeys(ahead))


def next_question(journey: JourneyView, answers: Iterable[Answer], memory: Memory, scene: Scene) -> Question | None:
    """Return the first question that the hub lets the bot ask and that the customer has not left for later."""
    for answer in answers:
        if answer.name in memory.skipped:
            continue
        if answer.verdict == "ask" and answer.name in journey.missing:
            return _question(journey, answer, scene)
        if answer.verdict == "confirm":
            return _question(journey, answer, scene)
    return None


def _question(journey: JourneyView, answer: Answer, scene: Scene) -> Question:
    """Put an answer of the hub's into a question to the customer."""
    step = _step_of(answer.name, journey, scene.tenant.kind(journey.kind))
    known = scene.view.facts.get(answer.name)
    return Question(
        journey_id=journey.journey_id,
        kind=journey.kind,
        name=answer.name,
        purpose="confirm" if answer.verdict == "confirm" else "ask",
        value=answer.value if answer.verdict == "confirm" else None,
        about=known.journey_id if known and answer.verdict == "confirm" else journey.journey_id,
        moves_to=step if step != journey.step else None,
    )


def _step_of(name: str, journey: JourneyView, kind: Kind) -> str | None:
    """Return the step that needs a fact: where the journey stands, if it does, else the first."""
    needing = [step.step for step in kind.steps if name in step.facts]
    return journey.step if journey.step in needing else next(iter(needing), journey.step)


def waits(view: ContextView, interaction_id: str) -> str | None:
    """Return the handoff by which a chat waits for a person, if it does."""
    mine = (h for h in view.handoffs if h.interaction_id == interaction_id and h.state == "offered")
    return next((h.handoff_id for h in mine if h.to.channel is None and h.kind == "live"), None)


def why_hand_off(act: Act, memory: Memory) -> str | None:
    """Return the reason for bringing in a person, if there is one."""
    if act == "person":
        return "asked for a person"
    return "not understood" if act == "lost" and memory.misses + 1 >= STUCK_AFTER else None


def owes(view: ContextView, mine: InteractionView, memory: Memory) -> Literal["back", "unmet"] | None:
    """Tell whether the bot has to speak up by itself: it got the floor back, or nobody came."""
    if mine.state != "open" or mine.holder.party != "bot" or waits(view, mine.interaction_id):
        return None
    if memory.fence < mine.fence > FIRST_FENCE:
        return "back"
    return "unmet" if memory.waiting is not None else None


# What to answer


def greeting(question: Question | None, scene: Scene) -> Reply:
    """Open the chat: with what is known already, and the first thing that is not."""
    known = known_lines(scene)
    hello = say("welcome" if known else "hello", scene.lang)
    memory = Memory(fence=scene.mine.fence)
    here = waits(scene.view, scene.mine.interaction_id)
    if here is not None:
        kept = [hello, *known, say("place_kept", scene.lang)]
        return Reply((Line("\n".join(kept)),), memory.but(waiting=here))
    stays = [say("place_stays", scene.lang)] if _waits_elsewhere(scene) else []
    return _reply([hello, *known, *stays], question, memory, scene, apart=bool(known or stays))


def _waits_elsewhere(scene: Scene) -> bool:
    """Tell whether the customer still waits where this chat was come from, since that place could not come along."""
    waiting = [handoff for handoff in scene.view.handoffs if handoff.state == "offered" and handoff.to.queue]
    return any(handoff.interaction_id != scene.mine.interaction_id for handoff in waiting)


def reply(understood: Understood, question: Question | None, memory: Memory, scene: Scene) -> Reply:
    """Answer a message: what was understood, and what comes next."""
    act = understood.act
    memory = memory.but(misses=memory.misses + 1 if act == "lost" else 0, waiting=None)
    opening = _opening(understood, scene)
    if act == "done":
        return _closing(opening, memory, scene)
    return _reply(opening, None if act == "menu" else question, memory, scene, menu=act == "menu")


def may_be_secret(text: str, understood: Understood) -> bool:
    """Tell whether a text may be the secret that is asked for, rather than something the customer says."""
    return understood.act == "answer" or any(sign.isdigit() for sign in text)


def after_secret(
    outcome: Literal["accepted", "refused", "unchecked"], question: Question | None, memory: Memory, scene: Scene
) -> Reply:
    """Say what became of a secret answer, and what comes next."""
    return _reply([say(f"secret_{outcome}", scene.lang)], question, memory, scene)


def left_out(memory: Memory, act: Act) -> Memory:
    """Remember what the customer leaves for later."""
    if act != "skip" or memory.asks is None:
        return memory
    return memory.but(skipped=(*memory.skipped, memory.asks))


def answered(memory: Memory, understood: Understood) -> Memory:
    """Remember that a question has been dealt with, where several messages are gone into one after another."""
    return memory if understood.act in ("chitchat", "lost") else memory.without_question


def taking_up(why: Literal["back", "unmet"], question: Question | None, memory: Memory, scene: Scene) -> Reply:
    """Go on by itself, after a person gave the floor back or nobody came; first with what that person left to say."""
    opening = (entrusted(scene) if why == "back" else None) or say(why, scene.lang)
    return _reply([opening], question, memory.but(misses=0, waiting=None), scene)


def entrusted(scene: Scene) -> str | None:
    """Return what a person left for the bot to say first as he gave it the chat; None where he left nothing."""
    ours = [
        handoff
        for handoff in scene.view.handoffs
        if handoff.state == "accepted" and handoff.to.bot and handoff.interaction_id == scene.mine.interaction_id
    ]
    return ours[-1].say if ours else None


def handing_over(reason: str, handoff_id: str, queue: QueueView | None, memory: Memory, scene: Scene) -> Reply:
    """Tell the customer that a person is coming, with everything that was said."""
    stuck = "handing_over_stuck" if reason == "not understood" else "handing_over"
    closed = hours.closed_lines(queue, scene.tenant, scene.lang)
    text = "\n".join(closed or [say(stuck, scene.lang)])
    memory = memory.without_question.but(misses=0, waiting=handoff_id, fence=scene.mine.fence)
    calls = ["callback"] if closed and hours.window_of(queue) else []
    return Reply((Line(text, _buttons(scene.lang, *calls, "stay")),), memory)


def calling_back(said: str, memory: Memory, scene: Scene) -> Reply:
    """Tell the customer what became of the wish to be called back."""
    remembered = memory.without_question.but(misses=0, waiting=None, fence=scene.mine.fence)
    return Reply((Line(said, _menu_line(scene).buttons),), remembered)


def while_waiting(understood: Understood, handoff_id: str, memory: Memory, scene: Scene) -> Reply:
    """Take what the customer adds while waiting for a person."""
    text = "\n".join([*_noted(understood, scene), say("in_line", scene.lang)])
    memory = memory.without_question.but(waiting=handoff_id, fence=scene.mine.fence)
    return Reply((Line(text, (button("stay", scene.lang),)),), memory)


def known_lines(scene: Scene) -> list[str]:
    """Return what we already have, one line a fact."""
    shown = [(name, fact) for name, fact in scene.view.facts.items() if not fact.withheld]
    if not shown:
        return []
    lines = [_fact(name, fact.value, scene) for name, fact in shown[:_MOST_LINES]]
    more = [say("already_more", scene.lang, count=str(len(shown) - _MOST_LINES))] if len(shown) > _MOST_LINES else []
    return [say("already", scene.lang), *lines, *more]


def _opening(understood: Understood, scene: Scene) -> list[str]:
    """Say what became of the message."""
    by_act = {"skip": "left_out", "lost": "lost", "stay": "stayed", "done": "goodbye", "busy": "busy"}
    if understood.act in by_act:
        return [*_noted(understood, scene), say(by_act[understood.act], scene.lang)]
    rejected = any(fact.verb == "fact.rejected" for fact in understood.facts)
    return _noted(understood, scene) + ([say("ask_afresh", scene.lang)] if rejected else [])


def _noted(understood: Understood, scene: Scene) -> list[str]:
    """Say which facts were understood."""
    told = [fact.data for fact in understood.facts if fact.verb == "fact.stated"]
    facts = say("between", scene.lang).join(_fact(fact["name"], fact["value"], scene) for fact in told)
    return [say("noted", scene.lang, facts=facts)] if told else []


def _fact(name: str, value: Any, scene: Scene) -> str:
    """Return a fact as one line."""
    label = label_of_fact(name, scene.tenant, scene.lang)
    return say("fact", scene.lang, label=label, value=value_aloud(value))


def _reply(
    opening: list[str], question: Question | None, memory: Memory, scene: Scene, menu: bool = False, apart: bool = False
) -> Reply:
    """Put an opening and the next line together, in two messages where the opening is long."""
    line = _next_line(question, memory, scene, menu)
    topic = question.journey_id if question else memory.topic
    remembered = memory.without_question.but(topic=topic, fence=scene.mine.fence)
    if question is not None:
        asked = {"asks": question.name, "purpose": question.purpose, "value": question.value, "about": question.about}
        remembered = remembered.but(**asked)
    if apart:
        return Reply((Line("\n".join(opening)), line), remembered, question)
    return Reply((line._replace(text="\n".join([*opening, line.text])),), remembered, question)


def _next_line(question: Question | None, memory: Memory, scene: Scene, menu: bool) -> Line:
    """Return what comes next: the question, else that all is there, else the menu."""
    if question is not None:
        return _question_line(question, memory, scene)
    journey = current_journey(scene.view, scene.mine.interaction_id)
    if journey is None or menu or not scene.tenant.kind(journey.kind).needs:
        return _menu_line(scene)
    return _complete_line(journey, memory, scene)


def _question_line(question: Question, memory: Memory, scene: Scene) -> Line:
    """Return a question with its buttons, after its topic where that is new."""
    lang, label = scene.lang, label_of_fact(question.name, scene.tenant, scene.lang)
    new_topic = question.journey_id != memory.topic
    topic = [say("topic", lang, kind=label_of_kind(question.kind, scene.tenant, lang))] if new_topic else []
    if question.purpose == "confirm":
        asking = say("confirm", lang, label=label, value=value_aloud(question.value))
        return Line("\n".join([*topic, asking]), _buttons(lang, "yes", "no", "person"), question.name)
    asking = label if label.endswith(("?", "？")) else say("ask", lang, label=label)
    return Line("\n".join([*topic, asking]), _buttons(lang, "skip", "person"), question.name)


def _buttons(lang: Lang, *names: str) -> tuple[str, ...]:
    return tuple(button(name, lang) for name in names)


def _complete_line(journey: JourneyView, memory: Memory, scene: Scene) -> Line:
    """Say that all is there, or all that the customer wanted to tell now."""
    lang, kind = scene.lang, label_of_kind(journey.kind, scene.tenant, scene.lang)
    left = [label_of_fact(name, scene.tenant, lang) for name in journey.missing if name in memory.skipped]
    done = say("complete_so_far", lang, kind=kind, labels=", ".join(left)) if left else say("complete", lang, kind=kind)
    names = ["person", *(["menu"] if len(scene.tenant.journeys) > 1 else []), *([] if left else ["done"])]
    return Line(f"{done}\n{say('what_next', lang)}", _buttons(lang, *names))


def _menu_line(scene: Scene) -> Line:
    """Offer the kinds of journeys, to whom is surely known the open ones first; always the one for complaints.

    Whoever only claims to be somebody would learn from the order what that one has to do with us.
    """
    surely = scene.mine.assurance.level >= DISCLOSED_FROM
    steered: list[str] = scene.view.steering.get("journeys", []) if surely else []
    kinds = sorted((kind.kind for kind in scene.tenant.journeys), key=lambda kind: kind not in steered)
    complaint = scene.tenant.complaint
    always = [complaint.kind] if complaint else []
    offered = [*[kind for kind in kinds if kind not in always][: _MOST_KINDS - len(always)], *always]
    labels = [label_of_kind(kind, scene.tenant, scene.lang) for kind in offered]
    return Line(say("menu", scene.lang), (*labels, button("person", scene.lang)))


def _closing(opening: list[str], memory: Memory, scene: Scene) -> Reply:
    """Say goodbye; the chat stays open for whatever comes to mind."""
    remembered = memory.without_question.but(fence=scene.mine.fence)
    return Reply((Line("\n".join(opening), _menu_line(scene).buttons),), remembered)
