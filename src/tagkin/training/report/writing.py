"""Writes the two files of a report."""

import json
from pathlib import Path

from tagkin.errors import TaggerError
from tagkin.files import atomic_file
from tagkin.training.report.content import TaggerReport
from tagkin.training.report.page import render_html

REPORT_JSON = "report.json"
REPORT_HTML = "report.html"


def write_report(report: TaggerReport, folder: Path) -> tuple[Path, Path]:
    """Writes ``report.json`` and ``report.html``, each in one step.

    Returns:
        Their paths.

    Raises:
        TaggerError: The folder can't be written.
    """
    texts = {
        REPORT_JSON: json.dumps(report.to_dict(), ensure_ascii=False, indent=1, allow_nan=False),
        REPORT_HTML: render_html(report),
    }
    try:
        for name, text in texts.items():
            with atomic_file(folder / name) as file:
                # A tag may hold half a surrogate pair, which UTF-8 can't.
                file.write_text(text + "\n", "utf-8", errors="replace")
    except OSError as error:
        raise TaggerError(
            f"can't write the report in {folder}: {error}. Free some space or check the permissions"
        ) from error
    return folder / REPORT_JSON, folder / REPORT_HTML
