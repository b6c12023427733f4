"""Simple classifiers are those of scikit-learn, and learn from all examples as they are."""

from __future__ import annotations

import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import accuracy_score
from sklearn.naive_bayes import MultinomialNB
from torchmetrics.classification import MulticlassAccuracy

from lab.data import Images, Sentences
from lab.data.augment import Augment
from lab.data.loader import plain_batches, training_batches
from lab.data.sets.sentences import load_templates
from supervised.baselines import simple_classifiers
from tests.data.texts.test_sentences import texts_of

CPU = torch.device("cpu")


def test_augmentation_does_not_reach_simple_classifiers() -> None:
    found = []
    for augment in (None, Augment(shift=4, rotate=40)):
        data = Images(name="digits", train_size=200, augment=augment)
        data.prepare()
        found.append(simple_classifiers(data, lambda: {"accuracy": MulticlassAccuracy(10)}))
        assert data.augment is augment
    assert found[0] == found[1]


def test_simple_methods_see_all_examples() -> None:
    data = Images(name="digits", val_size=0, batch_size=512, augment=Augment(shift=2))
    data.prepare()
    counts = [sum(len(batch) for batch in some(data, CPU, 0)) for some in (plain_batches, training_batches)]
    assert counts == [1297, 1024], "a model sees the others in other epochs"


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
