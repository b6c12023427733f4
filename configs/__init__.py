"""The lab's own experiments, by family; `sweeps` are for `wandb sweep`."""
