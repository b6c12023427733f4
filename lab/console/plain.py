"""Text of others, made so that a terminal prints all of it and obeys none of it. Imports nothing."""


def plain(text: str) -> str:
    """Return the text with control characters written as escapes (`\\x1b`); line breaks and tabs are some of them."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def plain_lines(text: str) -> str:
    """Return a text of several lines with other control characters than line breaks and tabs written as escapes."""
    if text.isprintable():
        return text
    return "\n".join("\t".join(map(plain, line.split("\t"))) for line in text.split("\n"))
