"use strict";
// Two further plots: each seed's headline figure beside the published figure and the target, and where a training step's time goes.
(() => {
  const plots = new Map();
  const compact = (element) => element.clientWidth < 560;
  const label = (group, element) => lab.plain(lab.groups[group].label, compact(element) ? 16 : 34);

  const room = (names) => 14 + 6.6 * Math.max(4, ...names.map((name) => name.length));

  const strip = (element) => {
    const { metric, rows } = lab.data(`strip-${element.dataset.strip}`);
    return () => {
      const shown = rows.filter((row) => lab.groupVisible(row.group));
      const soft = lab.colour("--soft");
      const found = [];
      const shapes = [];
      const ends = [];
      shown.forEach((row, at) => {
        const colour = lab.groupColour(row.group);
        const seen = row.runs.map((run, i) => [run, row.scores[i]]).filter(([run]) => lab.visible(run));
        ends.push(...row.scores, row.mean);
        if (row.published !== null) {
          const across = { y0: at - 0.46, y1: at + 0.46, layer: "below" };
          ends.push(row.published);
          if (row.spread) shapes.push({ ...across, type: "rect", x0: row.published - row.spread, x1: row.published + row.spread, line: { width: 0 }, fillcolor: lab.faint(soft, 0.13) });
          shapes.push({ ...across, type: "line", x0: row.published, x1: row.published, line: { color: soft, width: 1.5, dash: "dash" } });
          found.push({
            x: [row.published], y: [at - 0.4], mode: "markers", marker: { symbol: "triangle-down", size: 9, color: soft },
            hovertemplate: `published %{x:.6~g}${row.spread ? ` ± ${row.spread.toPrecision(4)}` : ""}<extra></extra>`,
          });
        }
        if (row.target !== null) {
          ends.push(row.target);
          found.push({
            x: [row.target], y: [at - 0.4], mode: "markers", marker: { symbol: "star-triangle-down", size: 9, color: colour },
            hovertemplate: "target %{x:.6~g}<extra></extra>",
          });
          shapes.push({ y0: at - 0.46, y1: at + 0.46, layer: "below", type: "line", x0: row.target, x1: row.target, line: { color: colour, width: 1.5, dash: "dot" } });
        }
        found.push({
          x: seen.map(([, score]) => score), y: seen.map((_, i) => at + (seen.length > 1 ? 0.34 * (i / (seen.length - 1) - 0.5) : 0)),
          customdata: seen.map(([run]) => run), text: seen.map(([run]) => lab.plain(lab.runs[run].name)),
          mode: "markers", marker: { color: lab.faint(colour, 0.7), size: 9 }, hovertemplate: "%{x:.6~g}, %{text}<extra></extra>",
        });
        found.push({
          x: [row.mean], y: [at], mode: "markers", marker: { color: colour, symbol: "line-ns-open", size: 17, line: { width: 3, color: colour } },
          ...(row.reach === null ? {} : { error_x: { array: [row.reach], color: colour, thickness: 2, width: 6 } }),
          hovertemplate: `mean %{x:.6~g}${row.reach === null ? "" : ` ± ${row.reach.toPrecision(3)}`}<extra></extra>`,
        });
      });
      // The interval of two or three seeds may be many times as wide as their scores: it is cut off, and not they squashed.
      const [least, most] = [Math.min(...ends), Math.max(...ends)];
      const reaches = shown.flatMap((row) => (row.reach === null ? [] : [row.mean - row.reach, row.mean + row.reach]));
      const within = reaches.map((end) => Math.max(least - (most - least), Math.min(most + (most - least), end)));
      const [low, high] = [Math.min(least, ...within), Math.max(most, ...within)];
      const pad = 0.06 * (high - low || Math.abs(high) || 1);
      const names = shown.map((row) => label(row.group, element));
      const height = 70 + 40 * shown.length;
      element.style.height = `${height}px`;
      Plotly.react(element, found, lab.layout({
        height, showlegend: false, hovermode: "closest", shapes, margin: { l: room(names), r: 16, t: 10, b: 40 },
        xaxis: { title: { text: lab.plain(metric ?? ""), font: { size: 11, color: soft }, standoff: 6 }, zeroline: false, range: [low - pad, high + pad] },
        yaxis: { tickvals: shown.map((_, at) => at), ticktext: names, automargin: false, range: [shown.length - 0.5, -0.5], fixedrange: true, showgrid: false, zeroline: false, tickfont: { color: lab.colour("--ink") } },
      }), lab.config);
      element.removeAllListeners?.("plotly_click");
      element.on("plotly_click", ({ points: [{ customdata }] }) => { if (customdata !== undefined) location.hash = `run-${customdata}`; });
    };
  };

  const shares = (element) => {
    const rows = lab.data("shares");
    const parts = [...new Set(rows.flatMap((row) => Object.keys(row.parts)))];
    return () => {
      const shown = rows.filter((row) => lab.groupVisible(row.group));
      const found = parts.map((part, i) => ({
        type: "bar", orientation: "h", name: lab.plain(part), y: shown.map((_, at) => at), x: shown.map((row) => 100 * (row.parts[part] ?? 0)),
        marker: { color: lab.colour(`--p${i % 6}`) }, hovertemplate: "%{x:.1f} %<extra>%{fullData.name}</extra>",
      }));
      const names = shown.map((row) => label(row.group, element));
      const height = 104 + 26 * shown.length;
      element.style.height = `${height}px`;
      Plotly.react(element, found, lab.layout({
        height, barmode: "stack", bargap: 0.3, showlegend: true, hovermode: "closest", legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal", entrywidth: 76, font: { size: 11 } }, margin: { l: room(names), r: 24, t: 40, b: 36 },
        xaxis: { ticksuffix: " %", range: [0, 100], fixedrange: true },
        yaxis: { tickvals: shown.map((_, at) => at), ticktext: names, automargin: false, autorange: "reversed", fixedrange: true, showgrid: false, tickfont: { color: lab.colour("--ink") } },
      }), { ...lab.config, displayModeBar: false });
    };
  };

  for (const element of document.querySelectorAll(".plot.strip, .plot.shares")) {
    element.style.height = `${(element.matches(".strip") ? 70 : 104) + (element.matches(".strip") ? 40 : 26) * element.dataset.rows}px`;
  }
  lab.whenNear(document.querySelectorAll(".plot.strip, .plot.shares"), (element) => {
    const draw = (element.matches(".strip") ? strip : shares)(element);
    lab.plotly().then(() => {
      plots.set(element, draw);
      draw();
    });
  });
  const again = () => { for (const draw of plots.values()) draw(); };
  document.addEventListener("lab:filter", again);
  document.addEventListener("lab:theme", again);
  document.documentElement.dataset.ready = "yes"; // all but the charts can be used
})();
