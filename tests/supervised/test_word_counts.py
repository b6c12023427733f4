"""Simple classifiers of texts are those of scikit-learn."""

from __future__ import annotations

import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import accuracy_score
from sklearn.naive_bayes import MultinomialNB
from torchmetrics.classification import MulticlassAccuracy

from lab.data import Sentences
from lab.data.sets.sentences import load_templates
from supervised.baselines import simple_classifiers
from tests.data.texts.test_sentences import texts_of

CPU = torch.device("cpu")


def test_naive_bayes_is_that_of_scikit_learn() -> None:
    """On the texts themselves, whether or not words are dropped in training."""
    data = Sentences(name="templates", folds=2, fold=1, word_dropout=0.5)
    data.prepare()
    found = simple_classifiers(data, lambda: {"accuracy": MulticlassAccuracy(2, average="micro")})
    told, test = load_templates(), texts_of(data, data.test(CPU))
    place = {text: i for i, text in enumerate(told.texts)}
    kept = [i for i, text in enumerate(told.texts) if text not in {*test}]
    counter = CountVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, 2), binary=True)
    method = MultinomialNB().fit(counter.fit_transform([told.texts[i] for i in kept]), told.labels[kept])
    expected = accuracy_score(told.labels[[place[text] for text in test]], method.predict(counter.transform(test)))
    assert found["naive Bayes"]["test/accuracy"] == pytest.approx(expected)
    assert found["most frequent class"]["test/accuracy"] == 0.5
    assert found["logistic regression"]["test/accuracy"] > 0.95
