"""Sounds that are put together from recordings: sequences of words, and words in noise. Recordings themselves are in
`sets`."""
