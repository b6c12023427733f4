"""Nothing is lost: checkpoints, when they are saved, and the proof that a resumed run is the same."""
