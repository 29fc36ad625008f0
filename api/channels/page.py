"""Channels as a page for a browser, with the figure of :mod:`api.channels.figure` and the tables.

The page is one file that needs no network: plotly's program is in it.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from api.channels.figure import channel_figure
from api.channels.tables import hop_table, void_table
from api.whole_files import page_file, written_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from api.channels.report import ChannelReport
    from api.channels.scene import Scene
    from api.channels.style import Labels

_SCRIPT: Final = """
(function () {
  const plot = document.getElementById('{plot_id}');
  const texts = [], which = [];
  plot.data.forEach(function (trace, number) {
    const meta = trace.meta;
    if (!meta || !meta.words) return;
    const text = [];
    meta.of.forEach(function (word) { for (let k = 0; k < meta.each; k++) text.push(meta.words[word]); });
    texts.push(text);
    which.push(number);
  });
  if (which.length) Plotly.restyle(plot, {hovertext: texts}, which);
})();
"""


def channel_page(report: ChannelReport, scene: Scene, labels: Labels, path: str | Path) -> Path:
    """Write a page that shows voids and channels in three dimensions.

    Parameters
    ----------
    report : api.channels.report.ChannelReport
    scene : Scene
        From :func:`api.channels.scene.make_scene`.
    labels : Labels
    path : str or pathlib.Path
        HTML file to write.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UsageError
        The file cannot be written, or is not named as a page.
    """
    target = page_file(path)
    from plotly.io import to_html

    body = to_html(
        channel_figure(report, scene, labels),
        full_html=False,
        include_plotlyjs=True,
        config={"displaylogo": False, "responsive": True},
        default_height="80vh",
        post_script=_SCRIPT,
    )
    with written_whole(target) as part:
        part.write_text(_page(report, labels, body), encoding="utf-8")
    return target


_STYLE: Final = """
body{margin:0;overflow-x:hidden;font:15px/1.45 system-ui,sans-serif;color:#22313f;background:#fff}
header,section{padding:10px 24px}h1{font-size:22px;margin:6px 0 2px}h2{font-size:16px;margin:14px 0 4px}
p{margin:2px 0}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:3px 12px 3px 0;text-align:left;border-bottom:1px solid #dde3e8;font-size:14px}
th{font-weight:600}.flag{color:#a04000}
"""


def _page(report: ChannelReport, labels: Labels, body: str) -> str:
    title = escape(labels.title)
    words = "".join(f"<p>{escape(line)}</p>" for line in labels.lines)
    flags = "".join(f'<p class="flag">{escape(flag.code)}: {escape(flag.reason)}</p>' for flag in report.flags)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body><header><h1>{title}</h1>{words}{flags}</header>\n{body}\n"
        f"<section><h2>Hops</h2>{_table(hop_table(report))}<h2>Voids</h2>{_table(void_table(report))}</section>"
        "</body></html>\n"
    )


def _table(table: tuple[Sequence[tuple[str, bool]], Sequence[Sequence[str]]]) -> str:
    headings, rows = table
    head = "".join(f"<th>{escape(heading)}</th>" for heading, _ in headings)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{lines}</table>" if rows else "<p>none</p>"


__all__ = ["channel_page"]
