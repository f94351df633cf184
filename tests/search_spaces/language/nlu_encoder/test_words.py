import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.language.nlu_encoder.words import NGRAMS_PER_WORD, ngram_hashes, word_spans


def words_of(text):
    return [text[start:end] for start, end in word_spans(text)]


def test_splits_numbers_units_and_clitics():
    assert words_of("set l'éclairage to 20.5°") == ["set", "l'", "éclairage", "to", "20.5", "°"]
    assert words_of("5stunden-timer, 30%!") == ["5", "stunden", "timer", "30", "%"]
    assert words_of("свет на 7") == ["свет", "на", "7"]


@given(st.text(max_size=40))
def test_spans_are_apart_and_in_order(text):
    end_before = 0
    for start, end in word_spans(text):
        assert end_before <= start < end <= len(text)
        end_before = end


@given(st.text(alphabet="abcdefgäñш0123456789", min_size=1, max_size=30))
def test_hashes_fit_and_fill_from_the_front(word):
    hashes = ngram_hashes(word)
    assert hashes.shape == (NGRAMS_PER_WORD,)
    filled = hashes != 0
    assert filled[0]
    assert filled.sum() == min(len(word) + 1, NGRAMS_PER_WORD)
    assert not filled[filled.sum() :].any()
    assert ((hashes >= 0) & (hashes < 2**31)).all()


def test_relatives_share_ngrams_and_numbers_of_one_length_are_alike():
    assert set(ngram_hashes("lampe")) & set(ngram_hashes("lampen")) - {0}
    assert np.array_equal(ngram_hashes("37"), ngram_hashes("82"))
    assert not np.array_equal(ngram_hashes("37"), ngram_hashes("370"))


def test_hashes_are_the_same_on_every_machine():
    assert ngram_hashes("on").tolist()[:4] == [1559894957, 442498771, 114626191, 0]
