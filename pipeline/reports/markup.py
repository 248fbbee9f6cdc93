"""Pieces of HTML that the sections of a report are made of. Texts are escaped by whoever hands them over."""

from html import escape


def section(heading: str, content: str, name: str = "") -> str:
    """A section, or nothing where there is no content. name: what links within the page call it."""
    place = f' id="{name}"' if name else ""
    return f"<section{place}><h2>{heading}</h2>{content}</section>" if content else ""


def note(text: str) -> str:
    return f'<p class="soft">{text}</p>'


def table(headings: list[str], rows: list[list[str]], kind: str = "") -> str:
    """A table of cells that are HTML already. A heading that begins with # is of a column of numbers."""
    classes = [' class="n"' if heading.startswith("#") else "" for heading in headings]
    head = "".join(f'<th scope="col"{of}>{text.lstrip("#")}</th>' for of, text in zip(classes, headings, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{of}>{cell}</td>" for of, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in rows
    )
    opening = f'<table class="{kind}">' if kind else "<table>"
    return f'<div class="wide">{opening}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def list_values(values: dict[str, str], heading: str) -> str:
    """A table of names and texts, which are escaped here."""
    rows = [[escape(name), f"<code>{escape(text)}</code>"] for name, text in values.items()]
    return table([heading, "value"], rows, "values") if rows else ""


def break_name(name: str) -> str:
    """A name of ours, escaped, that may break after its underscores where a column is narrow. Not for a text that may
    hold a secret: in pieces nobody would find it.
    """
    return escape(name).replace("_", "_<wbr>")
