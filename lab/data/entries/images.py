"""The image data sets."""

from __future__ import annotations

from lab.data.catalog import Dataset, RemoteFile

DIGITS = Dataset(
    name="digits",
    title="1,797 handwritten digits, 8x8, inside scikit-learn (Alpaydin & Kaynak 1998)",
    licence="CC BY 4.0",
    package="scikit-learn",
)
MNIST = Dataset(
    name="mnist",
    title="70,000 handwritten digits, 28x28 (LeCun et al. 1998)",
    licence="CC BY-SA 3.0",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    files=(
        RemoteFile(
            "train-images-idx3-ubyte.gz", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    ),
    stand_in="digits",
)
DATASETS = (MNIST, DIGITS)
