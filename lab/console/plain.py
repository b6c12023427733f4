"""Text of others, made so that a terminal prints all of it and obeys none of it. Imports nothing."""


def plain(text: str) -> str:
    """Return the text with control characters written as escapes (`\\x1b`); line breaks and tabs are some of them."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
