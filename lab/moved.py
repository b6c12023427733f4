"""Names of `lab` that moved or changed, old to new, so that what earlier versions recorded stays valid."""

MOVED = {
    "lab.data.images": "lab.data",
    "lab.encoders.conv": "lab.encoders",
    "lab.encoders.mlp": "lab.encoders",
    "lab.encoders.recurrent": "lab.encoders",
    "lab.encoders.resnet": "lab.encoders",
}

SETTINGS = {"trainer.early_stopping.monitor": "trainer.early_stopping.metric"}
"""Settings that had another name in version 0.1.0, by dotted names. Only the last part may differ."""

ROLES_BEFORE_0_2 = {
    "repeats": ["seed"],
    "budget": {"trainer.max_epochs": "epochs"},
    "stops": ["trainer.early_stopping"],
    "indifferent": [
        *("name", "description", "device", "threads", "checkpoint", "reference"),
        *("trainer.log_every", "trainer.pictures_every"),
    ],
}
"""Roles of settings (`lab.config.roles`) for runs of version 0.1.0, which did not record them."""
