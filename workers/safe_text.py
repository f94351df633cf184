"""Makes any text fit to be sent and stored."""


def safe_text(text: str, limit: int, *, keep: str = "head") -> str:
    """At most `limit` characters of `text`, its `head` or its `tail`, without NUL or surrogates.

    A database's text column takes neither; both turn up in the output of crashed programs.
    """
    encodable = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")
    if len(encodable) <= limit:
        return encodable
    return encodable[:limit] if keep == "head" else encodable[-limit:]
