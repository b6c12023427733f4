"""The findings of a report: what a careful reviewer would ask."""
