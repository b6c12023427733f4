"""What earlier versions of `generative` did not record."""

ROLES_BEFORE_0_2 = {"protocol": ["model.fid_samples"], "samples": ["model.nll_samples"]}
"""Roles of settings (`lab.config.roles`) for runs of version 0.1.0, which did not record them."""
