"""Names of `lab` that moved, old to new, so that what earlier versions recorded stays valid."""

MOVED = {
    "lab.encoders.conv": "lab.encoders",
    "lab.encoders.mlp": "lab.encoders",
    "lab.encoders.recurrent": "lab.encoders",
    "lab.encoders.resnet": "lab.encoders",
}
