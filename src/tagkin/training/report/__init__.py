"""The report of a training: what was measured, as JSON and as one page that needs nothing else."""

from tagkin.training.report.build import Splits, build_report
from tagkin.training.report.content import TaggerReport
from tagkin.training.report.examples import thumbnail
from tagkin.training.report.page import render_html
from tagkin.training.report.writing import REPORT_HTML, REPORT_JSON, write_report

__all__ = [
    "REPORT_HTML",
    "REPORT_JSON",
    "Splits",
    "TaggerReport",
    "build_report",
    "render_html",
    "thumbnail",
    "write_report",
]
