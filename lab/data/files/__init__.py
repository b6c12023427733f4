"""How one file is read: a picture, a text or a csv, in any common form. `own` and `sets` make examples of them."""
