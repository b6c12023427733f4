"use strict";
// Learning curves. Drawn by Plotly when they come near the screen, and again when a switch or the filter changes.
(() => {
  const state = { axis: "steps", log: false, seeds: false };
  const drawn = new Map(); // elements with their data
  const near = new Set();
  const stale = new Set();
  const unpack = (packed) => {
    const bytes = Uint8Array.from(atob(packed.bdata), (letter) => letter.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  };
  // Plotly's texts may hold markup: names are not to be any.
  lab.plain = (text, most = 60) => (text.length > most ? `${text.slice(0, most - 1)}…` : text)
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  lab.groupColour = (group) => lab.colour(`--c${lab.groups[group].colour}`);
  lab.faint = (colour, opacity) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    return `rgba(${r},${g},${b},${opacity})`;
  };
  lab.layout = (more) => {
    const [ink, soft, line] = ["--ink", "--soft", "--line"].map(lab.colour);
    const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, tickfont: { color: soft }, automargin: true };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink },
      margin: { l: 48, r: 12, t: 8, b: 40 },
      hoverlabel: { bgcolor: lab.colour("--card"), bordercolor: line, font: { color: ink } },
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", // a finger scrolls the page
      modebar: { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: ink },
      ...more,
      xaxis: { ...axis, ...more.xaxis }, yaxis: { ...axis, ...more.yaxis },
    };
  };
  lab.config = {
    responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
    showSendToCloud: false, plotlyServerURL: "", // Plotly's own button would upload the chart to its servers
  };

  const clockUnit = (seconds) => (seconds > 7200 ? ["h", 3600] : seconds > 180 ? ["min", 60] : ["s", 1]);

  const read = (element) => {
    const data = lab.data(element.dataset.curve);
    for (const one of data.lines) for (const part of ["steps", "time", "y", "low", "high"]) if (one[part]) one[part] = unpack(one[part]);
    for (const one of data.means) for (const axis of ["steps", "time"]) for (const part in one[axis]) one[axis][part] = unpack(one[axis][part]);
    return data;
  };

  const traces = (data) => {
    const clock = state.axis === "time";
    const averaged = new Set(data.means.filter((mean) => mean[state.axis]).map((mean) => mean.group));
    const lines = data.lines.filter((line) => lab.visible(line.run));
    const means = data.means.filter((mean) => mean[state.axis] && lab.groupVisible(mean.group));
    const alone = lines.filter((line) => !averaged.has(line.group));
    const seeds = state.seeds ? lines.filter((line) => averaged.has(line.group)) : [];
    const last = Math.max(1, ...[...means.map((mean) => mean[state.axis].x), ...lines.map((line) => line[state.axis])].map((x) => x.at(-1)));
    const [unit, per] = clock ? clockUnit(last) : ["", 1];
    const scaled = (x) => (per === 1 ? x : x.map((one) => one / per));
    const many = means.length + alone.length + seeds.length > 12;
    const named = new Set();
    const found = [];

    const band = (group, x, low, high, uid) => {
      const base = { x, mode: "lines", line: { width: 0 }, legendgroup: `g${group}`, showlegend: false, hoverinfo: "skip" };
      found.push({ ...base, y: low, uid: `${uid}-low` });
      found.push({ ...base, y: high, uid: `${uid}-high`, fill: "tonexty", fillcolor: lab.faint(lab.groupColour(group), 0.17) });
    };
    const line = (group, x, y, uid, more) => {
      const { label, dash } = lab.groups[group];
      found.push({
        x, y, uid, name: lab.plain(label, 42), legendgroup: `g${group}`, showlegend: !named.has(group),
        mode: x.length <= 40 && state.axis === "steps" ? "lines+markers" : "lines", marker: { size: 4 }, ...more,
        line: { color: lab.groupColour(group), dash, width: 1.8, ...more.line },
      });
      named.add(group);
    };
    for (const { group, n, [state.axis]: { x, y, low, high } } of means) {
      const at = scaled(x);
      band(group, at, low, high, `mean-${group}`);
      line(group, at, y, `mean-${group}`, {
        customdata: high.map((one, i) => one - y[i]), meta: lab.plain(lab.groups[group].label),
        hovertemplate: `%{y:.5~g} ± %{customdata:.2~g}, mean of ${n}<extra>%{meta}</extra>`,
      });
    }
    for (const one of [...alone, ...seeds]) {
      const at = scaled(one[state.axis]);
      const single = alone.includes(one);
      const peers = alone.filter((other) => other.group === one.group);
      const counted = peers.filter((other) => other.counted);
      const leads = single && (counted.length ? counted : peers).length === 1 && (one.counted || !counted.length);
      if (one.low && leads) band(one.group, at, one.low, one.high, `run-${one.run}`);
      line(one.group, at, one.y, `run-${one.run}`, {
        opacity: leads ? 1 : 0.55, line: { width: leads ? 1.8 : 1, ...(one.counted ? {} : { dash: "dot" }) },
        ...(leads ? {} : { mode: "lines" }),
        meta: `${lab.plain(lab.groups[one.group].label)}, ${lab.plain(lab.runs[one.run].name)}${one.counted ? "" : ` (${lab.runs[one.run].status})`}`,
        hovertemplate: "%{y:.5~g}<extra>%{meta}</extra>",
      });
    }
    const apart = data.means.filter((mean) => !mean[state.axis] && lab.groupVisible(mean.group)).map((mean) => lab.groups[mean.group].label);
    const axis = lab.plain(data.axis);
    return { found, many, named, why: apart.length ? `no mean of ${apart.join(", ")}: its runs have no stretch in common` : "", title: clock ? `wall-clock time since the start, ${unit}` : axis, above: clock ? `%{x:.3~f} ${unit}` : `${axis.replaceAll("%", "&#37;")} %{x:,}` };
  };

  // With two or three seeds a 95 % band may be many times as high as the curves: it is cut off where it would flatten them.
  const reach = (found) => {
    const ends = (bands) => {
      let [low, high] = [Infinity, -Infinity];
      for (const { y } of found.filter((one) => (one.hoverinfo === "skip") === bands)) {
        for (const value of y) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
      }
      return [low, high];
    };
    const [low, high] = ends(false);
    if (low > high) return null;
    const [least, most] = ends(true);
    const span = high - low || Math.abs(high) || 1;
    return { low: Math.max(Math.min(least, low), low - span / 2) - 0.04 * span, high: Math.min(Math.max(most, high), high + span / 2) + 0.04 * span, positive: low > 0 };
  };

  const draw = async (element) => {
    await lab.plotly();
    if (!drawn.has(element)) drawn.set(element, read(element));
    stale.delete(element);
    const { found, many, named, why, title, above } = traces(drawn.get(element));
    const shown = reach(found);
    const log = state.log && (shown === null || shown.positive);
    const linear = state.log && !log ? "linear: some of it is not above 0" : "";
    element.closest("figure").querySelector(".why").textContent = [why, linear].filter(Boolean).join("; ");
    const legend = named.size > 1;
    const entry = 6.3 * Math.max(...[...named].map((group) => Math.min(42, lab.groups[group].label.length))) + 6;
    const columns = Math.max(1, Math.floor((element.clientWidth - 16) / (entry + 40)));
    const below = legend ? 14 + 24 * Math.min(9, Math.ceil(named.size / columns)) : 0;
    const height = 280 + below;
    element.style.height = `${height}px`;
    Plotly.react(element, found, lab.layout({
      height, uirevision: "kept", hovermode: many ? "closest" : "x unified", hoverdistance: 60, showlegend: legend,
      legend: { orientation: "h", x: 0, y: -50 / 228, yanchor: "top", font: { size: 11 }, entrywidth: entry }, // 228: what the margins leave
      margin: { l: 48, r: 12, t: 8, b: 44 + below },
      xaxis: { title: { text: title, font: { size: 11, color: lab.colour("--soft") }, standoff: 8 }, automargin: false, unifiedhovertitle: { text: above }, uirevision: state.axis, exponentformat: "SI" },
      yaxis: {
        type: log ? "log" : "linear", uirevision: `${log} ${shown?.low} ${shown?.high}`, exponentformat: "power",
        ...(log ? { dtick: null, nticks: 6 } : { range: shown && [shown.low, shown.high] }),
      },
    }), lab.config);
  };

  const again = () => {
    for (const element of drawn.keys()) {
      if (near.has(element)) draw(element); else stale.add(element);
    }
  };
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) { near.delete(target); continue; }
      near.add(target);
      if (!drawn.has(target) || stale.has(target)) draw(target);
    }
  }, { rootMargin: "300px" });
  for (const element of document.querySelectorAll("[data-curve]")) watcher.observe(element);

  for (const button of document.querySelectorAll("[data-axis]")) {
    button.addEventListener("click", () => {
      state.axis = button.dataset.axis;
      for (const other of document.querySelectorAll("[data-axis]")) other.setAttribute("aria-pressed", String(other === button));
      again();
    });
  }
  for (const name of ["log", "seeds"]) {
    const button = document.getElementById(name);
    button?.addEventListener("click", () => {
      state[name] = !state[name];
      button.setAttribute("aria-pressed", String(state[name]));
      again();
    });
  }
  document.addEventListener("lab:filter", again);
  document.addEventListener("lab:theme", again);
})();
