"""How one file is read: a picture or a sound, in any common form. What examples are made of them is said elsewhere."""
