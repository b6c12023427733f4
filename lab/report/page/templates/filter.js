"use strict";
// One filter for the whole page: everything that belongs to runs is shown while any of them is.
(() => {
  const { runs, groups } = lab.data("index");
  const search = document.getElementById("search");
  const status = document.getElementById("status");
  const verdict = document.getElementById("verdict");
  const reset = document.getElementById("reset");
  const menu = document.getElementById("group-menu");
  const boxes = [...menu.querySelectorAll("input")];
  const numbers = (text) => text.split(" ").filter(Boolean).map(Number);
  const ofRuns = [...document.querySelectorAll("[data-runs]")].map((one) => [one, numbers(one.dataset.runs)]);
  const ofGroups = [...document.querySelectorAll("[data-groups]")].map((one) => [one, numbers(one.dataset.groups)]);
  let only = null; // runs of one finding
  let visible = runs.map(() => true);
  let shownGroups = new Set(groups.keys());

  lab.runs = runs;
  lab.groups = groups;
  lab.visible = (run) => visible[run];
  lab.groupVisible = (group) => shownGroups.has(group);

  const apply = () => {
    const seeds = [];
    const words = search.value.toLowerCase()
      .replace(/\bseed[ =]*(\d+)/g, (_, seed) => { seeds.push(Number(seed)); return " "; })
      .split(/\s+/).filter(Boolean);
    const chosen = new Set(boxes.filter((box) => box.checked).map((box) => Number(box.value)));
    visible = runs.map((run, place) => chosen.has(run.group)
      && (!only || only.has(place))
      && (!status?.value || run.status === status.value)
      && (!verdict?.value || run.verdict === verdict.value)
      && (!seeds.length || seeds.includes(run.seed))
      && words.every((word) => run.text.includes(word)));
    shownGroups = new Set(runs.filter((_, place) => visible[place]).map((run) => run.group));
    for (const [one, places] of ofRuns) one.classList.toggle("filtered", !places.some((place) => visible[place]));
    for (const [one, members] of ofGroups) one.classList.toggle("filtered", !members.every((g) => shownGroups.has(g)));
    const count = visible.filter(Boolean).length;
    document.getElementById("shown").textContent =
      count === runs.length ? `${count} run${count === 1 ? "" : "s"}` : `${count} of ${runs.length} runs`;
    reset.hidden = count === runs.length && !only;
    menu.querySelector("summary").textContent =
      chosen.size === boxes.length ? "Groups" : `Groups: ${chosen.size} of ${boxes.length}`;
    document.dispatchEvent(new Event("lab:filter"));
  };

  search.addEventListener("input", apply);
  for (const one of [status, verdict, ...boxes]) one?.addEventListener("change", apply);
  for (const button of document.querySelectorAll("[data-only]")) {
    button.addEventListener("click", () => {
      only = new Set(numbers(button.dataset.only));
      apply();
    });
  }
  reset.addEventListener("click", () => {
    only = null;
    search.value = "";
    for (const one of [status, verdict]) if (one) one.value = "";
    for (const box of boxes) box.checked = true;
    apply();
  });
  document.addEventListener("click", (event) => {
    if (menu.open && !menu.contains(event.target)) menu.open = false;
  });
  // A link to a run opens it.
  const opened = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target?.matches("details")) target.open = true;
    target?.scrollIntoView();
  };
  addEventListener("hashchange", opened);
  apply();
  opened();
})();
