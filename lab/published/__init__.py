"""Published tables of results: what their rows say, and the runs that repeat them. How a run is judged by the published
figure of its own experiment is in `lab/runs/reference.py`."""
