"""The user's own texts: one long text, or texts that have a class each; and what reads such texts for `lab predict`."""
