"""Words of one long text, each with the words around it; and what reads single words for `lab predict`."""
