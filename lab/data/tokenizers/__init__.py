"""How a text becomes token ids, and token ids a text: one tokenizer per file. Data sets that use them are in `sets`."""
