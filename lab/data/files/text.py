"""Text files are UTF-8; what else they may be is said in one sentence."""

from __future__ import annotations

from lab.errors import DataError

SIGNATURES = {b"PK\x03\x04": "a spreadsheet or a zip archive", b"\x89PNG": "an image", b"\xff\xd8\xff": "an image"}
SIGNATURES |= {b"RIFF": "a sound", b"%PDF": "a PDF", b"\x1f\x8b": "gzipped"}


def decoded(content: bytes, name: str, kind: str = "text") -> str:
    """Return the text of a file, without a byte order mark. Raises DataError where it is not UTF-8 or has no text.

    Args:
        content: of the file.
        name: of the file, for messages.
        kind: of file that is expected, for messages.
    """
    for signature, found in SIGNATURES.items():
        if content.startswith(signature):
            raise DataError(f"{name} is {found}; expected {kind} as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad = error.object  # without the byte order mark
        line = bad[: error.start].count(b"\n") + 1
        raise DataError(
            f"{name} is not UTF-8: line {line} has the byte 0x{bad[error.start]:02X}; save it as UTF-8"
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{name} is not text: line {line} has a byte 0; expected {kind} as UTF-8")
    if not text.strip():
        raise DataError(f"{name} is empty")
    return text
