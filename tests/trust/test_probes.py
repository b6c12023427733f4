"""Libraries look for packages that may not be installed. A received folder with files of their names answers none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROBED = """
_jsonnet _winapi ale_py backports Box2D cloudpickle_fast colorama comet_ml cpuinfo cuda cupy cv2 cython
deepspeed dill docstring_parser envwrap flax flint fx2trt_oss gammatone gmpy gmpy2 google gym habana_frameworks
hydra hypothesis imageio_ffmpeg IPython ipywidgets isal jax jsonschema kaleido kubernetes librosa lightning
lightning_habana litlogger lz4 lzmaffi matplotlib mlflow monkeytype moviepy msvcrt mujoco neptune nt numba nvtx
omegaconf onnx onnx_tf onnxruntime onnxscript opt_einsum org pandas pesq polars psutil pyarrow pycocotools
pydantic pydot pygame pynvml pystoi regex ruamel scienceplots scikits shimmy sksparse snappy soundfile sympy
tabulate tensorboard tensorboardX tensorflow tensorrt tf2onnx toml torch2trt torch_fidelity torch_xla torchao
torchaudio torchcomms torchdistx torchrl torchvision tqdm_vscode transformers tree triton tvm typeshed_client
uarray wandb_core wandb_workspaces winreg xarray zstandard
""".split()  # noqa: SIM905  # a hundred lines otherwise
"""Modules that the lab's libraries were seen to look for, and more that such libraries look for."""

POINTS = ("torch.backends", "torch_dynamo_backends", "pytorch_lightning.callbacks_factory", "fsspec.specs")
"""Names under which libraries call what an installed package offers (entry points)."""


@pytest.fixture(autouse=True)
def received(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder in which everything leaves a trace when it is imported."""
    mark = tmp_path / "mark"
    monkeypatch.setenv("PLANTED", str(mark))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    leave = "import os\nwith open(os.environ['PLANTED'], 'a') as file:\n    print(__name__, file=file)\n"
    for name in (*PROBED, "sitecustomize", "usercustomize", "conftest", "planted"):
        Path(f"{name}.py").write_text(leave)
    for name in ("numpy-stubs", "torch-stubs", "psutil"):
        Path(name).mkdir()
        Path(name, "__init__.py").write_text(leave)
    Path("planted.pth").write_text("import planted\n")
    Path("matplotlibrc").write_text("backend: module://planted\n")
    info = Path("planted-1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("".join(f"[{name}]\nx = planted:main\n" for name in POINTS))
    yield
    assert not mark.exists(), mark.read_text()


def lab(*commands: str) -> None:
    """Run commands in a process that begins as `lab` does, without the working directory on its path."""
    script = f"""
import shlex, sys
sys.path[0] = {str(ROOT)!r}
from lab.cli.main import entry
for command in {commands!r}:
    sys.argv = ["lab", *shlex.split(command)]
    try:
        entry()
    except SystemExit as end:
        assert not end.code, command
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


WORKERS = "--env.num_envs=2 --agent.batch_size=32 --env.vectorization=async"


def test_nothing_is_imported() -> None:
    """Neither by agents of the lab's, several at once, with environments in processes of their own, nor by Lightning,
    which calls what installed packages offer, nor by the reader's own runs."""
    lab(
        f"run ppo-cartpole --fast-dev-run --seeds 0-1 {WORKERS}",
        "eval ppo-cartpole",
        "run cnn-mnist --fast-dev-run --data.name=digits --model.encoder=MLP",
        "report",
    )


def test_own_modules_beside_them_are_imported() -> None:
    Path("mine.py").write_text(
        "import gymnasium as gym\n"
        "from helpers import Encoder as Encoder\n"
        "class Wrapper(gym.Wrapper):\n"
        "    def reset(self, **given):\n"
        "        import helpers_of_a_worker\n"
        "        return super().reset(**given)\n"
        "gym.register('Task-v0', 'tasks:Task', max_episode_steps=20)\n"
    )
    Path("helpers.py").write_text("from lab.encoders import MLP\nclass Encoder(MLP):\n    pass\n")
    Path("helpers_of_a_worker.py").touch()
    Path("tasks.py").write_text("from gymnasium.envs.classic_control import CartPoleEnv as Task\n")
    Path("tensorboard.py").write_text("from lab.encoders import MLP\nclass Writer(MLP):\n    pass\n")
    Path("beside.py").write_text("import tensorboard\nclass Encoder(tensorboard.Writer):\n    pass\n")
    Path("mine.yaml").write_text(
        "extends: ppo-cartpole\nreference: null\nagent: {encoder: {class_path: mine.Encoder}}\n"
        "env: {id: 'mine:Task-v0', wrappers: [{class_path: mine.Wrapper}]}\n"
    )
    lab(
        f"run mine.yaml --fast-dev-run {WORKERS}",
        "eval mine",
        "run ppo-cartpole --fast-dev-run --agent.encoder=beside.Encoder",
    )


def test_planted_modules_leave_a_trace(tmp_path: Path) -> None:
    """They would, with the working directory on Python's path."""
    for name in ("_winapi", "msvcrt", "nt", "winreg"):  # with these, Python believes that it runs on Windows
        Path(f"{name}.py").unlink()
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "PYTHONSAFEPATH": ""}
    offered = (
        "from importlib.metadata import entry_points; [one.load() for one in entry_points(group='torch.backends')]"
    )
    for script in ("import torch", offered):
        subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
    found = (tmp_path / "mark").read_text().split()
    (tmp_path / "mark").unlink()
    assert {"sitecustomize", "planted"} < set(found)
