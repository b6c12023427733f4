"""Parts of networks over sequences and trees: attention, positions, tags, transcripts, tokens drawn one by one."""
