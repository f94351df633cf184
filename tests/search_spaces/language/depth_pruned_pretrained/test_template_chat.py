"""How a model of one's own is asked, and when its response is right."""

from types import SimpleNamespace

import pytest

from search_spaces.language.depth_pruned_llm.chat import Exchange
from search_spaces.language.depth_pruned_pretrained.template_chat import TemplateChat, last_number

MATHS = Exchange("maths", "How many are 1,000 and 200?", "They are 1,200.")
TRIVIA = Exchange("trivia", "What is the capital of France?", "Paris")
TALE = Exchange("tale", "Tell one.", "Once upon a time.")

BARE = SimpleNamespace(chat_template=None)
CHAT = TemplateChat(BARE, {"maths": "number", "tale": "any"})


@pytest.mark.parametrize(
    ("exchange", "response", "is_right"),
    [
        (TRIVIA, "It is paris, of course!", True),
        (TRIVIA, "It is Parish.", False),
        (TRIVIA, " ... ", None),
        (MATHS, "1000 + 200 = 1200", True),
        (MATHS, "1200, not 1300", False),
        (MATHS, "a lot", None),
        (TALE, "Long ago there was a king.", True),
        (TALE, "", None),
    ],
)
def test_right_is_what_the_rule_of_the_task_says(exchange, response, is_right):
    assert CHAT.is_right(exchange, response) is is_right


@pytest.mark.parametrize(
    ("text", "number"),
    [("-3.5 degrees", -3.5), ("from 7 to 12,000.", 12_000.0), ("#### 42", 42.0), ("none", None)],
)
def test_the_last_number_is_read(text, number):
    assert last_number(text) == number


def test_without_a_template_the_instruction_stands_alone():
    assert CHAT.ask(TRIVIA) == "What is the capital of France?\n"
    assert "A right response is: Paris" in CHAT.ask_to_rewrite(TRIVIA)


def test_a_template_is_filled_up_to_where_the_response_begins():
    def fill(messages, *, tokenize, add_generation_prompt):
        assert not tokenize
        assert add_generation_prompt
        return f"<{messages[0]['role']}>{messages[0]['content']}<assistant>"

    tokenizer = SimpleNamespace(chat_template="a template", apply_chat_template=fill)
    asked = TemplateChat(tokenizer).ask(TRIVIA)
    assert asked == "<user>What is the capital of France?<assistant>"
