"""Documents are what Twilio's own library would write, and nothing said breaks out of them."""

from __future__ import annotations

from xml.etree import ElementTree

from ctxhub_ivr import twiml
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import Dial, Enqueue, Gather, VoiceResponse

HOSTILE = "<Say>&\"'</Gather><Hangup/>]]>\x00\x1b￿\ud800 北京🚌"


def canonical(document: bytes | str) -> str:
    return ElementTree.canonicalize(document, strip_text=True)


def a_gather(**more: object) -> Gather:
    return Gather(
        input="dtmf speech", action="https://h/x?n=1&a=b", method="POST", timeout=6, speech_timeout="auto",
        action_on_empty_result=True, language="zh-CN", **more,
    )  # fmt: skip


def test_a_question_is_a_gather_with_its_sentences_inside() -> None:
    theirs = VoiceResponse()
    gather = a_gather(finish_on_key="#", hints="San Diego, a b")
    gather.say("出发城市?", language="zh-CN")
    theirs.append(gather)
    prompts = [twiml.say("出发城市?", "zh-CN")]
    ours = twiml.gather("https://h/x?n=1&a=b", prompts, "zh-CN", hints=["San Diego", "a, b"], finishOnKey="#")
    assert canonical(twiml.document(ours)) == canonical(str(theirs))


def test_a_menu_takes_one_key_also_star_and_pound() -> None:
    theirs = VoiceResponse()
    theirs.append(a_gather(num_digits=1, finish_on_key=""))
    assert canonical(twiml.document(twiml.one_key("https://h/x?n=1&a=b", [], "zh-CN"))) == canonical(str(theirs))


def test_a_human_is_dialled_or_waited_for() -> None:
    uri, action = "sip:a@pbx?User-to-User=00ab%3Bencoding%3Dhex&x-ctx-token=T", "https://h/queue?n=2"
    theirs = VoiceResponse()
    dial = Dial(action=action, method="POST", answer_on_bridge=True, timeout=60)
    dial.sip(uri)
    theirs.append(dial)
    theirs.enqueue("support", action=action, method="POST")
    task = Enqueue(None, workflow_sid="WW1", action=action, method="POST")
    task.task('{"ctx_token": "T"}')
    theirs.append(task)
    ours = twiml.document(
        twiml.dial_sip(uri, action),
        twiml.enqueue("support", action),
        twiml.enqueue_task("WW1", '{"ctx_token": "T"}', action),
    )
    assert canonical(ours) == canonical(str(theirs))


def test_the_other_verbs_are_twilios() -> None:
    theirs = VoiceResponse()
    theirs.sms("Go on here: https://h/#T", to="+15550100")
    theirs.pause(length=2)
    theirs.redirect("https://h/voice?again=1", method="POST")
    theirs.hangup()
    ours = twiml.document(
        twiml.sms("Go on here: https://h/#T", "+15550100"),
        twiml.pause(2),
        twiml.redirect("https://h/voice?again=1"),
        twiml.hangup(),
    )
    assert canonical(ours) == canonical(str(theirs))


def test_what_is_said_never_becomes_markup() -> None:
    [said] = ElementTree.fromstring(twiml.document(twiml.say(HOSTILE, "en")))
    assert said.tag == "Say"
    assert len(said) == 0
    assert said.text == "<Say>&\"'</Gather><Hangup/>]]> 北京🚌"


def test_an_attribute_holds_anything() -> None:
    [verb] = ElementTree.fromstring(twiml.document(twiml.one_key(f"https://h/?a={HOSTILE}", [], "en", [HOSTILE])))
    assert verb.get("action") == "https://h/?a=<Say>&\"'</Gather><Hangup/>]]> 北京🚌"


@given(st.text(st.characters()))
def test_any_text_at_all_makes_a_document_that_can_be_read(text: str) -> None:
    [said] = ElementTree.fromstring(twiml.document(twiml.say(text, "en")))
    assert said.tag == "Say"


def test_a_sentence_that_nobody_would_listen_to_is_cut() -> None:
    [said] = ElementTree.fromstring(twiml.document(twiml.say("x" * 70_000, "en")))
    assert said.text == "x" * 2000
