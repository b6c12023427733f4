"""The HTML page of `lab report`."""
