"""Where Python finds modules while the lab runs."""
