"""Parts of networks over sequences: attention, positions, tags and transcripts of steps, tokens drawn one by one."""
