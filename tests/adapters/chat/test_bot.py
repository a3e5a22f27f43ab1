"""The bot's decisions, over plain values."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ctxhub_chat import bot
from ctxhub_chat.bot import Found, Heard, Memory, Message, Question, Scene, Understood

from ctxhub.client import Answer, Assurance, JourneyView, Kind, Target, Worker

from .scenes import NOON, TENANT, a_fact, a_journey, a_scene, an_offer, answers

ASKING = Memory(asks="from_city", about="jr_train", topic="jr_train", fence=1)
CONFIRMING = Memory(asks="from_city", purpose="confirm", value="Bonn", about="jr_train", topic="jr_train", fence=1)
QUESTION = Question("jr_train", "train_ticket", "from_city", about="jr_train")


def understood(text: str, memory: Memory = ASKING, scene: Scene | None = None, **beside: object) -> Understood:
    """What a message comes to in a chat about a train ticket."""
    scene = scene or a_scene(a_journey("train_ticket", "from_city", "to_city", "travel_date"))
    return bot.understand(Message(text, **beside), memory, scene)  # type: ignore[arg-type]


def values(heard: Understood) -> list[tuple[str, object, str | None]]:
    """The facts that a message came to, each with the journey or kind it goes to."""
    return [(fact.data["name"], fact.data["value"], fact.journey_id or fact.kind) for fact in heard.facts]


# What a text does with the question just asked


def test_a_free_text_is_the_value_of_the_one_fact_asked_for() -> None:
    heard = understood("San Diego")
    assert heard.act == "answer"
    assert heard.facts == (Heard("fact.stated", {"name": "from_city", "value": "San Diego"}, "jr_train"),)


def test_a_free_text_is_only_a_text_where_somebody_looked_for_facts_and_found_none() -> None:
    assert understood("San Diego", facts=()) == Understood("lost")


@pytest.mark.parametrize("text", ["Which station is that?", "从哪里出发？", "x" * 201, "   "])
def test_a_question_or_a_long_text_answers_nothing(text: str) -> None:
    assert understood(text).act == "lost"


def test_yes_is_an_answer_where_a_value_is_asked_for() -> None:
    assert values(understood("是")) == [("from_city", "是", "jr_train")]


def test_thanks_and_greetings_answer_nothing_and_are_no_misunderstanding() -> None:
    assert [understood(text).act for text in ("Thank you!", "你好", "hello")] == ["chitchat"] * 3


@pytest.mark.parametrize("text", ["skip", "Skip this", "跳过", "I don't know.", "以后再说"])
def test_a_question_can_be_left_for_later(text: str) -> None:
    assert understood(text) == Understood("skip")


def test_what_is_left_for_later_is_not_asked_again() -> None:
    memory = bot.left_out(ASKING, "skip")
    scene = a_scene(a_journey("train_ticket", "from_city", "to_city"))
    question = bot.next_question(scene.view.journeys[0], answers(from_city="ask", to_city="ask"), memory, scene)
    assert question is not None
    assert question.name == "to_city"


@pytest.mark.parametrize("text", ["Yes", "yes, that's right", "是的", "对，没错", "Correct!"])
def test_yes_confirms_the_value_that_was_read_back(text: str) -> None:
    heard = understood(text, CONFIRMING)
    assert heard.facts == (Heard("fact.confirmed", {"name": "from_city", "value": "Bonn"}, "jr_train"),)


@pytest.mark.parametrize("text", ["No", "不对", "no!", "错了"])
def test_no_rejects_the_value_that_was_read_back(text: str) -> None:
    heard = understood(text, CONFIRMING)
    assert heard.facts == (Heard("fact.rejected", {"name": "from_city", "value": "Bonn"}, "jr_train"),)


@pytest.mark.parametrize(("text", "value"), [("No, it's Berlin", "Berlin"), ("不对，应该是柏林", "柏林")])
def test_no_with_the_right_value_behind_it_states_that(text: str, value: str) -> None:
    assert understood(text, CONFIRMING).facts == (
        Heard("fact.stated", {"name": "from_city", "value": value}, "jr_train"),
    )


def test_yes_with_more_facts_beside_it_does_both() -> None:
    heard = understood("Yes, and I travel on Monday", CONFIRMING, facts=(Found("travel_date", "Monday"),))
    assert [fact.verb for fact in heard.facts] == ["fact.stated", "fact.confirmed"]


def test_a_new_value_beside_the_text_stands_for_itself() -> None:
    heard = understood("No, Berlin", CONFIRMING, facts=(Found("from_city", "Berlin"),))
    assert values(heard) == [("from_city", "Berlin", "jr_train")]


def test_a_question_of_a_journey_that_has_ended_since_is_void() -> None:
    heard = understood("San Diego", ASKING, a_scene())
    assert heard == Understood("lost")


# Facts and intents find their journeys


def test_facts_go_to_the_present_journey_where_it_needs_them() -> None:
    heard = understood("On Monday", facts=(Found("travel_date", "Monday", 0.9),))
    assert heard.facts == (
        Heard("fact.stated", {"name": "travel_date", "value": "Monday", "confidence": 0.9}, "jr_train"),
    )


def test_a_fact_that_another_kind_needs_starts_its_journey() -> None:
    heard = understood("Two nights", facts=(Found("nights", "2"),))
    assert (values(heard), heard.starts) == ([("nights", "2", "hotel")], ("hotel",))


def test_a_fact_that_an_open_journey_needs_turns_to_it() -> None:
    scene = a_scene(a_journey("train_ticket", "from_city"), a_journey("hotel", "nights"))
    heard = understood("Two nights", scene=scene, facts=(Found("nights", "2"),))
    assert (values(heard), heard.starts, heard.turns_to) == ([("nights", "2", "jr_hotel")], (), "jr_hotel")


def test_a_fact_that_no_kind_needs_belongs_to_the_customer() -> None:
    heard = understood("I'm vegetarian", facts=(Found("diet", "vegetarian"),))
    assert (values(heard), heard.starts) == ([("diet", "vegetarian", None)], ())


def test_an_intent_starts_its_kind_and_takes_the_facts_beside_it() -> None:
    heard = understood("A room on Monday", intent=("hotel", 0.9), facts=(Found("travel_date", "Monday"),))
    assert (values(heard), heard.starts) == ([("travel_date", "Monday", "hotel")], ("hotel",))


def test_an_intent_resumes_the_open_journey_of_its_kind() -> None:
    scene = a_scene(a_journey("train_ticket"), a_journey("hotel", "nights"))
    heard = understood("About the room", scene=scene, intent=("hotel", 0.9), facts=())
    assert (heard.starts, heard.turns_to, heard.act) == ((), "jr_hotel", "told")


def test_an_intent_for_the_present_journey_changes_nothing() -> None:
    heard = understood("The ticket", intent=("train_ticket", 1.0), facts=())
    assert (heard.starts, heard.turns_to, heard.act) == ((), None, "told")


def test_a_suspended_journey_is_taken_up_again_by_its_intent() -> None:
    scene = a_scene(a_journey("train_ticket", state="suspended"))
    assert understood("The ticket", scene=scene, intent=("train_ticket", 1.0)).turns_to == "jr_train"


def test_an_intent_that_begins_with_a_kind_means_that_kind() -> None:
    assert understood("A room", intent=("hotel.reserve", 0.9), facts=()).starts == ("hotel",)
    assert understood("A room", intent=("hotels", 0.9), facts=()).starts == ()


def test_an_unsure_intent_is_told_but_starts_nothing() -> None:
    heard = understood("Hm", intent=("hotel", 0.4), facts=())
    assert (heard.starts, heard.intent) == ((), ("hotel", 0.4))


def test_with_several_new_kinds_the_wanted_one_is_started_last() -> None:
    heard = understood(
        "…", Memory(), a_scene(), intent=("hotel", 1.0), facts=(Found("from_city", "Bonn"), Found("nights", "2"))
    )
    assert heard.starts == ("train_ticket", "hotel")


@pytest.mark.parametrize("text", ["A hotel room", "酒店", "I need a hotel room for tonight"])
def test_the_name_of_a_kind_starts_it_where_nothing_was_asked(text: str) -> None:
    assert understood(text, Memory(), a_scene()).starts == ("hotel",)


def test_within_an_answer_only_the_bare_name_of_a_kind_counts() -> None:
    assert understood("from where I have a hotel room").act == "answer"
    assert understood("a hotel room").starts == ("hotel",)


def test_an_answer_found_beside_the_text_turns_to_nothing_though_a_kind_is_called_like_it() -> None:
    heard = understood("A hotel room", facts=(Found("from_city", "A hotel room"),))
    assert (values(heard), heard.starts) == ([("from_city", "A hotel room", "jr_train")], ())


# Asking for a person, being stuck, being done


@pytest.mark.parametrize(
    "text",
    ["human", "Talk to a person", "I want to speak to an agent please", "转人工", "请帮我转人工客服。", "我要找客服"],
)
def test_a_customer_who_asks_for_a_person_is_understood(text: str) -> None:
    assert understood(text).act == "person"


@pytest.mark.parametrize("text", ["My agent booked it", "人工湖附近", "two persons", "A person of interest"])
def test_words_that_only_sound_like_it_do_not_call_a_person(text: str) -> None:
    assert understood(text).act != "person"


def test_the_intent_human_asks_for_a_person() -> None:
    assert understood("please", intent=("human", 1.0), facts=()).act == "person"


def test_the_bot_is_stuck_at_the_second_misunderstanding_in_a_row() -> None:
    assert bot.why_hand_off("lost", Memory(misses=0)) is None
    assert bot.why_hand_off("lost", Memory(misses=1)) == "not understood"
    assert bot.why_hand_off("person", Memory()) == "asked for a person"


def test_understanding_anything_ends_the_count() -> None:
    scene = a_scene(a_journey("train_ticket", "from_city"))
    missed = bot.reply(Understood("lost"), QUESTION, ASKING, scene)
    assert missed.memory.misses == 1
    assert bot.reply(Understood("chitchat"), QUESTION, missed.memory, scene).memory.misses == 0


def test_being_done_ends_a_journey_that_misses_nothing_and_no_other() -> None:
    text = "That is all, finish"
    assert understood(text, Memory(), a_scene(a_journey("train_ticket"))).ends == "jr_train"
    assert understood(text, Memory(), a_scene(a_journey("train_ticket", "to_city"))).ends is None
    assert understood("Thanks, that is all I need.", Memory(), a_scene(a_journey("train_ticket"))).ends is None


# What to ask next


def test_facts_are_asked_from_the_step_where_the_journey_stands() -> None:
    journey = a_journey("train_ticket", step="time")
    assert bot.names_to_check(journey, a_scene().tenant) == ["travel_date", "from_city", "to_city"]
    assert bot.names_to_check(a_journey("train_ticket"), a_scene().tenant)[0] == "from_city"


def test_only_what_the_hub_lets_ask_is_asked() -> None:
    journey = a_journey("train_ticket", "travel_date")
    scene = a_scene(journey)
    verdicts = answers(from_city="known", to_city="withheld", travel_date="ask")
    asked = bot.next_question(journey, verdicts, Memory(), scene)
    assert asked == Question("jr_train", "train_ticket", "travel_date", about="jr_train", moves_to="time")
    assert bot.next_question(journey, answers(from_city="known"), Memory(), scene) is None


def test_what_a_journey_does_not_miss_is_not_asked_whatever_the_verdict() -> None:
    journey = a_journey("train_ticket", "to_city")
    asked = bot.next_question(journey, answers(from_city="ask", to_city="ask"), Memory(), a_scene(journey))
    assert asked is not None
    assert asked.name == "to_city"


def test_what_must_be_confirmed_is_read_back_from_where_it_belongs() -> None:
    journey = a_journey("train_ticket", step="route")
    scene = a_scene(journey, facts={"from_city": a_fact("Bonn", journey_id=None)})
    answer = Answer(name="from_city", verdict="confirm", value="Bonn")
    assert bot.next_question(journey, [answer], Memory(), scene) == Question(
        "jr_train", "train_ticket", "from_city", purpose="confirm", value="Bonn", about=None
    )


def test_other_journeys_follow_if_they_moved_lately_and_do_not_rest() -> None:
    def other(kind: str, **more: object) -> JourneyView:
        return a_journey(kind, journey_id=f"jr_{kind}", **more)

    scene = a_scene(
        a_journey("train_ticket"),
        other("old", updated_at=NOON - timedelta(days=2)),
        other("resting", state="suspended"),
        other("fresh"),
    )
    assert [journey.kind for journey in bot.agenda(scene)] == ["train_ticket", "fresh"]


# What is said


def test_the_greeting_names_what_is_known_line_by_line_and_asks_for_the_rest() -> None:
    scene = a_scene(
        a_journey("train_ticket", "from_city"),
        facts={"travel_date": a_fact("8 March"), "to_city": a_fact("Fresno")},
    )
    known, question = bot.greeting(QUESTION, scene).lines
    assert known.text.splitlines()[1:] == ["We already have:", "travel date: 8 March", "destination: Fresno"]
    assert (question.asks, question.text.splitlines()) == (
        "from_city",
        ["This is about: a train ticket.", "Please tell me: departure city."],
    )


def test_whoever_came_out_of_a_line_hears_that_the_place_came_along_and_is_asked_nothing() -> None:
    reply = bot.greeting(None, a_scene(handoffs=[an_offer()]))
    [line] = reply.lines
    assert line.text.splitlines()[-1].startswith("You keep your place in the line")
    assert (line.asks, reply.memory.waiting) == (None, "ho_1")


def test_whose_place_could_not_come_along_is_told_to_stay_on_the_phone() -> None:
    stays = bot.greeting(None, a_scene(handoffs=[an_offer(interaction_id="in_call")])).lines
    assert "Your place in the telephone line can't come along" in "\n".join(line.text for line in stays)
    gone = bot.greeting(None, a_scene(handoffs=[an_offer(interaction_id="in_call", state="accepted")])).lines
    assert "place" not in "\n".join(line.text for line in gone)


def test_a_withheld_fact_is_not_told() -> None:
    scene = a_scene(facts={"card": a_fact(None, withheld=True)})
    assert bot.known_lines(scene) == []


def test_many_known_facts_are_cut_with_their_number_told() -> None:
    scene = a_scene(facts={f"f{n}": a_fact(str(n)) for n in range(40)})
    assert bot.known_lines(scene)[-1] == "… and 10 more, listed beside this chat."


def test_a_stranger_gets_the_same_menu_whomever_the_hub_takes_them_for() -> None:
    claimed = Assurance(level=1, method="visitor")
    menus = [bot.greeting(None, a_scene(steering=steering, assurance=claimed)).lines for steering in ([], ["hotel"])]
    assert menus[0] == menus[1]


def test_whoever_is_surely_known_gets_the_menu_with_what_the_hub_steers_to_first() -> None:
    (line,) = bot.greeting(None, a_scene(steering=["hotel"], assurance=Assurance(level=2, method="login"))).lines
    assert line.buttons == ("a hotel room", "a train ticket", "Talk to a person")
    assert line.asks is None


def test_the_topic_is_named_once() -> None:
    scene = a_scene(a_journey("train_ticket", "from_city"))
    first = bot.reply(Understood("told"), QUESTION, Memory(), scene)
    second = bot.reply(Understood("told"), QUESTION, first.memory, scene)
    assert "This is about: a train ticket." in first.lines[0].text
    assert "This is about" not in second.lines[0].text


def test_a_fact_declared_as_a_question_is_asked_in_its_own_words() -> None:
    question = Question("jr_hotel", "hotel", "nights", about="jr_hotel")
    reply = bot.reply(Understood("told"), question, Memory(topic="jr_hotel"), a_scene(a_journey("hotel", "nights")))
    assert reply.lines[0].text == "How many nights will you stay?"


def test_facts_heard_are_read_back_in_chinese() -> None:
    scene = a_scene(a_journey("train_ticket", "from_city"), lang="zh")
    heard = Understood("told", (Heard("fact.stated", {"name": "to_city", "value": "北京"}, "jr_train"),))
    (line,) = bot.reply(heard, QUESTION, ASKING, scene).lines
    assert line.text.splitlines() == ["已记下：目的地：北京。", "请告诉我：出发城市。"]
    assert line.buttons == ("跳过", "转人工")


def test_a_confirmation_offers_yes_and_no() -> None:
    question = QUESTION._replace(purpose="confirm", value="Bonn")
    reply = bot.reply(Understood("told"), question, ASKING, a_scene(a_journey("train_ticket")))
    assert reply.lines[0].text == "I have noted “departure city: Bonn”. Is that right?"
    assert reply.lines[0].buttons == ("Yes", "No", "Talk to a person")
    assert (reply.memory.purpose, reply.memory.value) == ("confirm", "Bonn")


def test_when_nothing_is_missing_a_person_or_something_else_is_offered() -> None:
    (line,) = bot.reply(Understood("told"), None, ASKING, a_scene(a_journey("train_ticket"))).lines
    assert line.text.startswith("I have all that is needed for: a train ticket.")
    assert line.buttons == ("Talk to a person", "Something else", "That is all, finish")


def test_what_was_left_for_later_is_named_at_the_end() -> None:
    memory = Memory(skipped=("from_city",))
    (line,) = bot.reply(Understood("told"), None, memory, a_scene(a_journey("train_ticket", "from_city"))).lines
    assert "Left for later: departure city." in line.text
    assert "That is all, finish" not in line.buttons


def test_something_else_shows_the_menu_and_asks_nothing() -> None:
    reply = bot.reply(Understood("menu"), QUESTION, ASKING, a_scene(a_journey("train_ticket", "from_city")))
    assert reply.lines[0].text == "What can I do for you?"
    assert (reply.memory.asks, reply.question) == (None, None)


# While a person is called, and after


def test_waiting_is_an_open_offer_to_people_not_to_a_channel() -> None:
    assert bot.waits(a_scene(handoffs=[an_offer()]).view, "in_chat") == "ho_1"
    assert bot.waits(a_scene(handoffs=[an_offer(Target(channel="app"))]).view, "in_chat") is None
    assert bot.waits(a_scene(handoffs=[an_offer(interaction_id="in_call")]).view, "in_chat") is None
    assert bot.waits(a_scene(handoffs=[an_offer(state="accepted")]).view, "in_chat") is None


def test_while_waiting_facts_are_noted_and_nothing_is_asked() -> None:
    heard = Understood("told", (Heard("fact.stated", {"name": "to_city", "value": "Fresno"}, "jr_train"),))
    reply = bot.while_waiting(heard, "ho_1", ASKING, a_scene())
    assert reply.lines[0].text.splitlines()[0] == "Noted: destination: Fresno."
    assert (reply.memory.asks, reply.memory.waiting, reply.lines[0].buttons) == (
        None,
        "ho_1",
        ("Go on with the assistant",),
    )


def test_the_bot_owes_a_word_once_the_floor_came_back() -> None:
    memory = Memory(fence=1)
    returned = a_scene(fence=3)
    assert bot.owes(returned.view, returned.mine, memory) == "back"
    assert bot.owes(returned.view, returned.mine, Memory(fence=3)) is None


def test_the_bot_owes_nothing_while_the_floor_has_never_moved() -> None:
    fresh = a_scene(fence=1)
    assert bot.owes(fresh.view, fresh.mine, Memory()) is None


def test_the_bot_owes_a_word_when_nobody_came() -> None:
    memory = Memory(fence=1, waiting="ho_1")
    alone, waiting = a_scene(), a_scene(handoffs=[an_offer()])
    assert bot.owes(alone.view, alone.mine, memory) == "unmet"
    assert bot.owes(waiting.view, waiting.mine, memory) is None


def test_the_bot_owes_nothing_while_a_person_has_the_floor_or_the_chat_is_over() -> None:
    held, over = a_scene(holder={"party": "agent"}, fence=2), a_scene(state="ended", fence=3)
    assert bot.owes(held.view, held.mine, Memory(fence=1)) is None
    assert bot.owes(over.view, over.mine, Memory(fence=1)) is None


def test_taking_up_goes_on_with_the_question_and_remembers_its_fence() -> None:
    reply = bot.taking_up("back", QUESTION, Memory(fence=1, misses=1), a_scene(a_journey(), fence=3))
    assert reply.lines[0].text.startswith("You are with the assistant again.")
    assert (reply.lines[0].asks, reply.memory.fence, reply.memory.misses) == ("from_city", 3, 0)


def test_taking_up_begins_with_what_a_person_left_to_say() -> None:
    bots = Target(bot="shop")
    left = an_offer(bots, state="accepted", say="Your refund is on its way.")
    elsewhere = an_offer(bots, state="accepted", say="This was for the call.", interaction_id="in_call")
    waiting = an_offer(bots, say="Nobody took this up.")
    scene = a_scene(a_journey(), fence=3, handoffs=[left, elsewhere, waiting])
    lines = bot.taking_up("back", QUESTION, Memory(fence=1), scene).lines
    assert lines[0].text.splitlines()[0] == "Your refund is on its way."
    unmet = bot.taking_up("unmet", QUESTION, Memory(fence=1), scene).lines
    assert "refund" not in unmet[0].text


# A complaint


MANY = [Kind(kind=f"kind_{n}", say={"en": f"task {n}", "zh": f"业务{n}"}) for n in range(9)]
GRIEVANCE = Kind(kind="grievance", complaint=True, say={"en": "a complaint", "zh": "投诉"})
WITH_COMPLAINTS = TENANT.but(journeys=[GRIEVANCE, *TENANT.journeys, *MANY])


def test_every_menu_offers_a_complaint_last_before_the_person() -> None:
    for steering in ([], ["kind_8"]):
        buttons = bot._menu_line(a_scene(tenant=WITH_COMPLAINTS, steering=steering)).buttons
        assert buttons[-2:] == ("a complaint", "Talk to a person")
        assert len(buttons) == 7


@pytest.mark.parametrize(
    "text",
    ["I want to complain", "complaint!", "I'd like to make a complaint about the fees", "我要投诉", "投诉", "我想投诉"],
)
def test_a_customer_who_complains_begins_a_complaint_whatever_was_asked(text: str) -> None:
    scene = a_scene(a_journey("train_ticket", "from_city"), tenant=WITH_COMPLAINTS)
    assert understood(text, scene=scene).starts == ("grievance",)


@pytest.mark.parametrize("text", ["Complains", "no complaints so far", "上次的投诉很快就处理了"])
def test_words_that_only_sound_like_it_begin_none(text: str) -> None:
    assert bot.kind_wanted(Message(text), ASKING, WITH_COMPLAINTS) is None


def test_without_a_kind_for_complaints_nothing_begins() -> None:
    assert understood("complaint").starts == ()


# What a colleague works on


COLLEAGUE = Worker(party="agent", id="ann", interaction_id="in_call", since=NOON)


def busy_scene(**more: object) -> Scene:
    """A chat about nothing yet, of a customer whose hotel room a colleague on the phone works on."""
    hotel = a_journey("hotel", "nights", worker=COLLEAGUE)
    return a_scene(hotel, **{"journey_id": None} | more)


def test_what_a_colleague_works_on_in_a_call_is_not_taken_up_nor_begun_again() -> None:
    wants = understood("a hotel room", Memory(), busy_scene())
    assert (wants.act, wants.starts, wants.turns_to) == ("busy", (), None)
    assert bot.reply(wants, None, Memory(), busy_scene()).lines[0].text.startswith("A colleague is already working")


def test_a_fact_for_it_goes_there_and_the_bot_does_not_turn_to_it() -> None:
    wants = understood("two", Memory(), busy_scene(), facts=(Found("nights", 2),))
    assert (values(wants), wants.turns_to, wants.starts) == ([("nights", 2, "jr_hotel")], None, ())


def test_the_bot_asks_nothing_for_it() -> None:
    assert bot.agenda(busy_scene()) == []
    mine = a_journey("hotel", "nights", worker=Worker(party="bot", interaction_id="in_chat", since=NOON))
    assert bot.agenda(a_scene(mine)) == [mine]


def test_what_the_colleague_gave_to_the_chat_goes_on_there() -> None:
    assert bot.agenda(busy_scene(journey_id="jr_hotel")) != []
