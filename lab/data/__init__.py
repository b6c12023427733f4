"""Batches, specs and the catalog. Data sets are in `sets`, one file per modality, and `generated`; models elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from lab.data.base import Batches, DataModule, DatasetInfo
    from lab.data.batch import Batch
    from lab.data.generated.adding import Adding
    from lab.data.generated.listops import ListOps
    from lab.data.generated.points import Points
    from lab.data.generated.scenes import Scenes
    from lab.data.generated.sprites import Sprites
    from lab.data.generated.stories import Stories
    from lab.data.generated.tagged import Tagged
    from lab.data.generated.tasks import TextTasks
    from lab.data.parallel.translations import Translations
    from lab.data.sets.audio import Sounds
    from lab.data.sets.images import Images
    from lab.data.sets.music import Music
    from lab.data.sets.pairs import Ratings
    from lab.data.sets.recorded import Recorded
    from lab.data.sets.sentences import Sentences
    from lab.data.sets.series import Series
    from lab.data.sets.tables import Table
    from lab.data.sets.texts import Text
    from lab.data.sets.treebank import Treebank
    from lab.data.spec import DataSpec, InputSpec
    from lab.data.spoken.mixtures import WordInNoise
    from lab.data.spoken.sequences import SpokenSequences
    from lab.data.words.contexts import WordContexts

__all__ = [
    "Adding",
    "Batch",
    "Batches",
    "DataModule",
    "DataSpec",
    "DatasetInfo",
    "Images",
    "InputSpec",
    "ListOps",
    "Music",
    "Points",
    "Ratings",
    "Recorded",
    "Scenes",
    "Sentences",
    "Series",
    "Sounds",
    "SpokenSequences",
    "Sprites",
    "Stories",
    "Table",
    "Tagged",
    "Text",
    "TextTasks",
    "Translations",
    "Treebank",
    "WordContexts",
    "WordInNoise",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Adding": "lab.data.generated.adding",
        "Batch": "lab.data.batch",
        "Batches": "lab.data.base",
        "DataModule": "lab.data.base",
        "DataSpec": "lab.data.spec",
        "DatasetInfo": "lab.data.base",
        "Images": "lab.data.sets.images",
        "InputSpec": "lab.data.spec",
        "ListOps": "lab.data.generated.listops",
        "Music": "lab.data.sets.music",
        "Points": "lab.data.generated.points",
        "Ratings": "lab.data.sets.pairs",
        "Recorded": "lab.data.sets.recorded",
        "Scenes": "lab.data.generated.scenes",
        "Sentences": "lab.data.sets.sentences",
        "Series": "lab.data.sets.series",
        "Sounds": "lab.data.sets.audio",
        "SpokenSequences": "lab.data.spoken.sequences",
        "Sprites": "lab.data.generated.sprites",
        "Stories": "lab.data.generated.stories",
        "Table": "lab.data.sets.tables",
        "Tagged": "lab.data.generated.tagged",
        "Text": "lab.data.sets.texts",
        "TextTasks": "lab.data.generated.tasks",
        "Translations": "lab.data.parallel.translations",
        "Treebank": "lab.data.sets.treebank",
        "WordContexts": "lab.data.words.contexts",
        "WordInNoise": "lab.data.spoken.mixtures",
    },
)
