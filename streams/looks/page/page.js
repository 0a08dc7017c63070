"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const plot = document.getElementById("plot");
  const readout = document.getElementById("readout");
  const filter = document.getElementById("filter");
  const settings = read("settings");

  // SMPTE ST 12-1 timecode of a frame number, as schemas.clock.format_timecode gives it.
  const timecode = (count, nominal, drop) => {
    if (drop) {
      const dropped = Math.floor(nominal / 15);
      const tens = Math.floor(count / (nominal * 600 - dropped * 9));
      const rest = count % (nominal * 600 - dropped * 9);
      count += dropped * 9 * tens;
      if (rest > dropped) count += dropped * Math.floor((rest - dropped) / (nominal * 60 - dropped));
    }
    const two = (n) => String(n).padStart(2, "0");
    const total = Math.floor(count / nominal);
    const parts = [Math.floor(total / 3600) % 24, Math.floor(total / 60) % 60, total % 60].map(two).join(":");
    return parts + (drop ? ";" : ":") + two(count % nominal);
  };

  // A time in milliseconds as people of this asset write it: timecode where there is one, and seconds.
  const words = (ms) => {
    const c = settings.clock;
    const seconds = `${(ms / 1000).toFixed(3)} s`;
    if (!c || ms < c.start_ms) return seconds;
    const frame = Math.floor(((ms - c.start_ms) / 1000) * (c.rate[0] / c.rate[1]) + 1e-4);
    return `${timecode(c.first + frame, c.nominal, c.drop)}   ${seconds}   frame ${frame}`;
  };
  window.dailies = { timecode, words };

  // Plotly's dates have no zone; those without a time are in UTC already.
  const ms = (date) => {
    if (typeof date === "number") return date - settings.origin;
    return Date.parse(date.includes(" ") ? `${date.replace(" ", "T")}Z` : date) - settings.origin;
  };
  const dates = (range) => ({ "xaxis.range": range.map((value) => value + settings.origin) });
  const whole = [settings.start_ms, settings.end_ms];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const zoom = (start, end) => {
    const margin = Math.max((end - start) * 0.5, 1000);
    const band = { type: "rect", xref: "x", yref: "paper", y0: 0, y1: 1, layer: "below", line: { width: 0 }, opacity: 0.18 };
    const place = { x0: start + settings.origin, x1: end + settings.origin, fillcolor: colour("--accent") };
    const range = dates([Math.max(whole[0], start - margin), Math.min(whole[1], end + margin)]);
    return Plotly.relayout(plot, { ...range, shapes: [{ ...band, ...place }] });
  };

  const mark = (element) => {
    for (const old of document.querySelectorAll(".marked")) old.classList.remove("marked");
    if (element) element.classList.add("marked");
  };

  const goTo = (element) => {
    mark(element);
    if (!plot) return;
    zoom(Number(element.dataset.start), Number(element.dataset.end));
    plot.closest("section").scrollIntoView({ block: "start" });
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-go]");
    if (button) goTo(button.closest("[data-start]"));
  });

  if (filter) {
    const rows = [...document.querySelectorAll("#findings tbody tr")];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const shown = document.getElementById("shown");
    filter.addEventListener("input", () => {
      const wanted = filter.value.trim().toLowerCase();
      let count = 0;
      rows.forEach((row, i) => {
        row.hidden = !texts[i].includes(wanted);
        count += row.hidden ? 0 : 1;
      });
      shown.textContent = wanted ? `${count} of ${rows.length}` : "";
    });
  }

  if (!plot) return;

  const colours = () => {
    const changes = {
      "font.color": colour("--text"),
      "font.family": colour("--font"),
      "hoverlabel.bgcolor": colour("--card"),
      "hoverlabel.bordercolor": colour("--line"),
      "hoverlabel.font.color": colour("--text"),
      "modebar.color": colour("--quiet"),
      "modebar.activecolor": colour("--text"),
      "modebar.bgcolor": "rgba(0,0,0,0)",
      "xaxis.spikecolor": colour("--quiet"),
    };
    for (const axis of Object.keys(figure.layout).filter((name) => /^[xy]axis/.test(name))) {
      changes[`${axis}.gridcolor`] = colour("--line");
      changes[`${axis}.linecolor`] = colour("--line");
    }
    return changes;
  };

  const figure = read("figure");
  const config = {
    displaylogo: false,
    responsive: true,
    showSendToCloud: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    doubleClick: "reset",
  };
  Plotly.newPlot(plot, figure.traces, figure.layout, config)
    .then(() => Plotly.relayout(plot, colours()))
    .then(() => {
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => Plotly.relayout(plot, colours()));
      plot.on("plotly_click", (event) => {
        const [key] = event.points[0].customdata || [];
        const kind = event.points[0].data.meta;
        const element = key && document.getElementById(`${kind === "shots" ? "shot" : "finding"}-${key}`);
        if (!element) return;
        const details = element.closest("details");
        if (details) details.open = true;
        mark(element);
        element.scrollIntoView({ block: "center" });
      });
      document.getElementById("whole").addEventListener("click", () => {
        mark(null);
        Plotly.relayout(plot, { ...dates(whole), shapes: [] });
      });
      plot.addEventListener("mousemove", (event) => {
        const margin = plot.layout.margin;
        const box = plot.getBoundingClientRect();
        const share = (event.clientX - box.left - margin.l) / (box.width - margin.l - margin.r);
        const [low, high] = plot.layout.xaxis.range.map(ms);
        readout.textContent = share < 0 || share > 1 ? "" : words(low + share * (high - low));
      });
      plot.addEventListener("mouseleave", () => (readout.textContent = ""));
      document.documentElement.dataset.drawn = "yes";
    });
})();
