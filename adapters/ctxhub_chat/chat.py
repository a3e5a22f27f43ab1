"""One chat, turn by turn: joins what arrives, what the hub knows, and what the bot decides."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from weakref import WeakValueDictionary

from ctxhub.client import (
    AlreadyOffered,
    AskedCallback,
    AssuranceClaim,
    ContextHub,
    DoNotCall,
    Event,
    EventIdReused,
    Invalid,
    JourneyView,
    NotPossibleThen,
    NotTheHolder,
    OfferRequest,
    Secure,
    SecureAnswer,
    StaleFence,
    Target,
    Telling,
    Tenant,
    Told,
    Unavailable,
    Whose,
    WrongState,
)
from ctxhub_chat import bot, hours, translate
from ctxhub_chat.bot import Memory, Message, Question, Reply, Scene, Understood
from ctxhub_chat.say import say
from ctxhub_chat.secrets import Secrets
from ctxhub_chat.sessions import Session
from ctxhub_chat.translate import GREETING, Arriving, ChatAnswer, KeptMessage, Shown, Standing

DEFAULT_QUEUE = "service"
_RECENT = 60
_REST_OF_TURN = 200
_CAUGHT_UP_WITHIN = 1.5

#: One turn at a time in each chat; between processes the event ids see to it that a turn is taken once.
_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


class Outcome(NamedTuple):
    """What a turn comes to: what is said, and where the chat stands then."""

    messages: list[Shown]
    standing: Standing


class Chat:
    """A customer's chat, as its session leads to it; `session` follows where the customer moves."""

    def __init__(self, hub: ContextHub, tenant: Tenant, session: Session, secrets: Secrets) -> None:
        self.hub = hub
        self._secrets = secrets
        self._secure = secrets.asked_by(tenant)
        self.session = session
        self._tenant = tenant
        self._turn = _turns.setdefault(session.interaction_id, asyncio.Lock())

    async def bind(self) -> None:
        """Find a chat that began while the hub was away; all that was written in it meanwhile is told by then."""
        await self.caught_up()
        if self.session.is_begun:
            return
        started = await self.hub.interactions.start(translate.start_again(self.session))
        at = started.interaction.interaction_id
        self.session = self.session._replace(customer_id=started.customer_id, interaction_id=at)
        self._turn = _turns.setdefault(self.session.interaction_id, asyncio.Lock())

    async def caught_up(self) -> None:
        """Wait until the hub was told what was written while it was away; `Unavailable` if that takes long."""
        if self.hub.spool.pending_of(self.whose):
            try:
                async with asyncio.timeout(_CAUGHT_UP_WITHIN):
                    await self.hub.spool.drained(self.whose)
            except TimeoutError:
                state = self.hub.away.state
                raise Unavailable("something that was written before is still on its way", hub=state) from None

    @property
    def whose(self) -> Whose:
        """Whose it is: a customer's, or that of the chat that is yet to be found."""
        return self.session.customer_id if self.session.is_begun else translate.start_again(self.session)

    async def keep(self, arriving: Arriving) -> ChatAnswer:
        """Keep a message while the hub is away; the bot says once that it can't say more."""
        at = self.session.interaction_id or self.session.external_id
        spell = self.hub.away.spell
        events = translate.kept(arriving, at, self.session.lang, spell)
        await self.hub.spool.tell(self.whose, *events, now=False)
        return translate.kept_answer(arriving.session, self.session.lang, at, spell, now())

    async def open(self) -> Outcome:
        """Greet the customer once; return the whole conversation."""
        async with self._turn:
            scene = await self._caught_up(await self._look())
            if not translate.has_turns(scene.view, self._at):
                scene = await self._greet(scene)
        return self._everything(scene)

    async def hear(self, key: str, message: Message) -> Outcome:
        """Take a message and answer it; the same key again takes no effect and gets the same answer."""
        async with self._turn:
            before = await self._look()
            if key in {one.key for one in translate.kept_since(before.view, self._at)}:
                return self._everything(await self._caught_up(before))
            scene = await self._caught_up(before)
            if translate.said_in_turn(scene.view.recent, key, self._at) is None:
                return await self._answer(key, message, scene)
            if not translate.was_told(scene.view.recent, key, self._at):
                return self._said(key, scene)
            await self.hub.events.tell(self.session.customer_id, translate.received(key, message.text, self._at))
        return self._said(key, scene)

    async def hear_secret(self, key: str, keyed: str) -> Outcome:
        """Have the answer to a secret question checked; its result is told, and nothing else of it."""
        async with self._turn:
            scene = await self._caught_up(await self._look())
            if translate.said_in_turn(scene.view.recent, key, self._at) is not None:
                return self._said(key, scene)
            return await self._check(key, keyed, scene)

    async def _check(self, key: str, keyed: str, scene: Scene) -> Outcome:
        memory = translate.memory_of(scene.view, self._at)
        secure = self._secure.get(memory.asks or "")
        if secure is None or memory.asks is None or translate.status_of(scene.view, self._at) != "bot":
            raise Invalid("nothing secret is asked for just now")
        asked = {"interaction_id": self._at, "customer_id": self.session.customer_id, "prompt": memory.asks}
        answer = await self._secrets.check(secure, f"{key}@{self._at}", asked, keyed)
        if answer is not None:
            scene = await self._tell_checked(key, answer, secure, memory, scene)
        again = answer is not None and answer.outcome == "refused" and memory.misses == 0
        settled = memory if answer is not None and answer.outcome == "accepted" else bot.left_out(memory, "skip")
        memory = memory.but(misses=1) if again else settled.but(misses=0)
        outcome = answer.outcome if answer is not None else "unchecked"
        reply = bot.after_secret(outcome, await self._question(memory, scene), memory, scene)
        return self._said(key, await self._speak(key, reply, scene))

    async def _tell_checked(
        self, key: str, answer: SecureAnswer, secure: Secure, memory: Memory, scene: Scene
    ) -> Scene:
        """Tell the result; by a PIN or a code the customer is surely known, by a card number it is a claim."""
        raised: list[Telling] = []
        if answer.outcome == "accepted":
            await self._identify(answer, secure)
            raised = [] if secure.kind == "pan" else [translate.raised(key, secure.kind, self._at)]
        events = [*raised, *translate.checked(key, memory, answer, self._at)]
        told = await self.hub.events.tell(self.session.customer_id, *events)
        return await self._look(told.version)

    async def _identify(self, answer: SecureAnswer, secure: Secure) -> None:
        """Let the chat be that of the customer whom the tenant names."""
        if answer.customer_id is None or answer.customer_id == self.session.customer_id:
            return
        claim = AssuranceClaim(level=1 if secure.kind == "pan" else 2, method=secure.kind)
        await self.hub.interactions.identify(
            self.session.customer_id, self._at, to=answer.customer_id, assurance=claim
        )  # fmt: skip
        self.session = self.session._replace(customer_id=answer.customer_id)

    def _may_be_secret(self, message: Message, scene: Scene) -> bool:
        """Tell whether what came as words may be what is asked for in secret."""
        memory = translate.memory_of(scene.view, self._at)
        if memory.asks not in self._secure or translate.status_of(scene.view, self._at) != "bot":
            return False
        return bot.may_be_secret(message.text, bot.understand(message, memory, scene))

    async def take_up(self) -> None:
        """Let the bot speak up by itself where it got the floor back, or where nobody came."""
        async with self._turn:
            scene = await self._caught_up(await self._look())
            memory = translate.memory_of(scene.view, self._at)
            why = bot.owes(scene.view, scene.mine, memory)
            if why is None:
                return
            question = await self._question(memory, scene)
            mark = str(scene.mine.fence) if why == "back" else str(memory.waiting)
            await self._speak(f"+{why}.{mark}", bot.taking_up(why, question, memory, scene), scene)

    async def everything(self) -> Outcome:
        """Return the conversation so far, and where it stands."""
        return self._everything(await self._look())

    @property
    def _at(self) -> str:
        return self.session.interaction_id

    async def _look(self, min_version: int | None = None) -> Scene:
        """Read where the chat stands now."""
        view = await self.hub.contexts.read(
            self.session.customer_id, interaction_id=self._at, events=_RECENT, min_version=min_version
        )
        self.session = self.session._replace(customer_id=view.customer_id)
        return Scene(view, translate.interaction_of(view, self._at), self._tenant, self.session.lang)

    async def _caught_up(self, scene: Scene) -> Scene:
        """Go into what the customer wrote while the hub was away, and answer the last of it."""
        kept = translate.kept_since(scene.view, self._at)
        if not kept:
            return scene
        memory, understood = self._open_question(translate.memory_of(scene.view, self._at)), None
        for one in kept:
            understood = bot.understand(one.message, memory, scene)
            scene = await self._tell_kept(one, understood, scene)
            memory = bot.answered(bot.left_out(memory, understood.act), understood)
        assert understood is not None
        key = kept[-1].key
        reply = await self._decide(key, understood, memory, scene)
        return scene if reply is None else await self._speak(key, reply, scene)

    def _open_question(self, memory: Memory) -> Memory:
        """Return the memory without a question that no words may answer."""
        return memory.without_question if memory.asks in self._secure else memory

    async def _tell_kept(self, one: KeptMessage, understood: Understood, scene: Scene) -> Scene:
        """Tell what a kept message comes to; what somebody else made of it meanwhile stands."""
        events = translate.heard_later(one, understood, scene.mine)
        if not events:
            return scene
        try:
            told = await self.hub.events.tell(self.session.customer_id, *events)
        except EventIdReused:
            return await self._look()
        return await self._look(told.version)

    async def _greet(self, scene: Scene) -> Scene:
        question = await self._question(Memory(), scene)
        return await self._speak(GREETING, bot.greeting(question, scene), scene)

    async def _answer(self, key: str, message: Message, scene: Scene) -> Outcome:
        """Tell the hub what the customer said; answer it, unless a person has the floor or it was answered before."""
        if self._may_be_secret(message, scene):
            return await self._check(key, message.text.strip(), scene)
        memory = translate.memory_of(scene.view, self._at)
        understood = bot.understand(message, memory, scene)
        told = await self._tell_heard(key, message.text, understood, scene)
        scene = await self._look(told.version)
        before = await self._said_before(key, told)
        if before is not None:
            return Outcome(self._shown(before), self._standing(scene))
        reply = await self._decide(key, understood, bot.left_out(memory, understood.act), scene)
        if reply is not None:
            scene = await self._speak(key, reply, scene)
        return self._said(key, scene)

    async def _tell_heard(self, key: str, text: str, understood: Understood, scene: Scene) -> Told:
        """Tell what a message comes to; one that was told before, when it came to something else, is left at that."""
        events = translate.heard(key, text, understood, scene.mine)
        try:
            return await self.hub.events.tell(self.session.customer_id, *events)
        except EventIdReused:
            return await self.hub.events.tell(self.session.customer_id, translate.received(key, text, self._at))

    async def _said_before(self, key: str, told: Told) -> list[Event] | None:
        """Return what the bot answered when the message came for the first time, if it did."""
        if not told.results[0].duplicate:
            return None
        page = await self.hub.contexts.timeline(
            self.session.customer_id, after=told.results[0].version, limit=_REST_OF_TURN, interaction_id=self._at
        )
        return translate.said_in_turn(page.events, key, self._at)

    async def _decide(self, key: str, understood: Understood, memory: Memory, scene: Scene) -> Reply | None:
        """Decide what to say; None where a person has the floor."""
        if scene.mine.holder.party == "agent":
            return None
        if understood.act == "callback":
            return bot.calling_back(await self._call_back(key, scene), memory, scene)
        waiting = bot.waits(scene.view, self._at)
        if waiting is not None and understood.act != "stay":
            return bot.while_waiting(understood, waiting, memory, scene)
        if waiting is not None and not await self._cancelled(waiting):
            return None
        reason = bot.why_hand_off(understood.act, memory)
        if reason is not None:
            return await self._hand_over(key, reason, understood, memory, scene)
        question = None if understood.act in ("menu", "done") else await self._question(memory, scene)
        return bot.reply(understood, question, memory, scene)

    async def _cancelled(self, handoff_id: str) -> bool:
        """Take an offer back; tell whether it was still on offer."""
        try:
            await self.hub.handoffs.cancel(handoff_id)
        except WrongState:
            return False
        return True

    async def _hand_over(
        self, key: str, reason: str, understood: Understood, memory: Memory, scene: Scene
    ) -> Reply | None:
        """Offer the chat to the tenant's queue; None where somebody took the floor meanwhile."""
        queue = self._tenant.channels.get("chat", {}).get("queue", DEFAULT_QUEUE)
        request = OfferRequest(
            customer_id=self.session.customer_id,
            interaction_id=self._at,
            reason=reason,
            to=Target(queue=queue),
            fence=scene.mine.fence,
        )
        try:
            offered = await self.hub.handoffs.offer(request, key=f"{key}@{self._at}")
        except AlreadyOffered as already:
            return bot.while_waiting(understood, str(already.ids.get("handoff_id")), memory, scene)
        except StaleFence:
            return None
        return bot.handing_over(reason, offered.handoff.handoff_id, offered.queue, memory, scene)

    async def _call_back(self, key: str, scene: Scene) -> str:
        """Promise a call in the window that the queue can keep, instead of waiting; return what to say of it."""
        queue, lang = self._tenant.channels.get("chat", {}).get("queue", DEFAULT_QUEUE), scene.lang
        window = hours.window_of(await self.hub.queues.show(queue))
        if window is None:
            return say("callback_not", lang)
        waiting = bot.waits(scene.view, self._at)
        wanted = AskedCallback.model_validate({"from": window.from_, "until": window.until})
        request = OfferRequest(
            customer_id=self.session.customer_id, interaction_id=self._at, journey_id=scene.mine.journey_id,
            reason="asked to be called back", to=Target(queue=queue), kind="callback", callback=wanted,
        )  # fmt: skip
        try:
            offered = await self.hub.handoffs.offer(request, key=f"{key}@{self._at}:callback")
        except Invalid:
            return say("no_number", lang)
        except (AlreadyOffered, DoNotCall, NotPossibleThen):
            return say("callback_not", lang)
        if waiting is not None:
            await self._cancelled(waiting)
        return hours.promised_line(offered.handoff, self._tenant, lang)

    async def _question(self, memory: Memory, scene: Scene) -> Question | None:
        """Ask the hub, journey by journey, what may be asked; return the first such question."""
        for journey in bot.agenda(scene):
            question = await self._question_of(journey, memory, scene)
            if question is not None:
                return question
        return None

    async def _question_of(self, journey: JourneyView, memory: Memory, scene: Scene) -> Question | None:
        names = bot.names_to_check(journey, self._tenant)
        answers = await self.hub.asks.may_i_ask(
            self.session.customer_id, self._at, names, journey_id=journey.journey_id
        )
        return bot.next_question(journey, answers, memory, scene)

    async def _speak(self, key: str, reply: Reply, scene: Scene) -> Scene:
        """Say it, all or nothing, and return where the chat then stands; silent where somebody else has the floor.

        A turn that another process took meanwhile stands as that one told it.
        """
        events = translate.spoken(key, reply, scene.mine)
        try:
            told = await self.hub.events.tell(self.session.customer_id, *events)
        except (NotTheHolder, EventIdReused):
            return await self._look()
        return await self._look(told.version)

    def _everything(self, scene: Scene) -> Outcome:
        return Outcome(self._shown(scene.view.recent), self._standing(scene))

    def _said(self, key: str, scene: Scene) -> Outcome:
        said = translate.said_in_turn(scene.view.recent, key, self._at) or []
        return Outcome(self._shown(said), self._standing(scene))

    def _shown(self, events: Sequence[Event]) -> list[Shown]:
        return translate.conversation(events, self._at, self.session.lang)

    def _standing(self, scene: Scene) -> Standing:
        memory = translate.memory_of(scene.view, self._at)
        return translate.standing(scene.view, self._at, memory, self._tenant, self.session.lang, self._secure)


def now() -> datetime:
    """Return the time, for what is sealed."""
    return datetime.now(UTC)
