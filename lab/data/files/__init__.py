"""How one file is read: a picture, a sound, a text or a csv, in any common form. What examples are made of them is said
elsewhere."""
