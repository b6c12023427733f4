"""How a text becomes token ids, and token ids a text: one tokenizer per file; and words left out in training.
Data sets that use them are in `sets`."""
