"use strict";
// The page's theme, and what the other scripts share.
window.lab = (() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null; // by the person; the system's until then

  const apply = () => {
    root.dataset.theme = chosen ?? (dark.matches ? "dark" : "light");
    document.dispatchEvent(new Event("lab:theme"));
  };
  dark.addEventListener("change", apply);
  apply();

  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      chosen = root.dataset.theme === "dark" ? "light" : "dark";
      apply();
    });
    document.addEventListener("click", async (event) => {
      const button = event.target.closest?.(".copy");
      if (!button) return;
      const code = button.previousElementSibling;
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "copied";
      } catch { // no permission: select it, so that the keyboard can copy it
        getSelection().selectAllChildren(code);
        button.textContent = "selected";
      }
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  });

  let plotly = null;

  return {
    // Plotly is a second's work for the browser: it is read when the first chart is near, after all else works.
    plotly: () => {
      plotly ??= new Promise((done) => {
        const run = () => setTimeout(() => {
          const script = document.createElement("script");
          script.textContent = document.getElementById("plotly").textContent;
          document.head.append(script); // runs at once
          done();
        }, 0);
        if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", run); // it is read in parts
        else run();
      });
      return plotly;
    },
    data: (name) => JSON.parse(document.getElementById(`data-${name}`).textContent),
    colour: (name) => getComputedStyle(root).getPropertyValue(name).trim(),
    // Calls `show` for each element when it comes near the screen, the first time only.
    whenNear: (elements, show) => {
      const watcher = new IntersectionObserver((entries) => {
        for (const entry of entries) {
          if (!entry.isIntersecting) continue;
          watcher.unobserve(entry.target);
          show(entry.target);
        }
      }, { rootMargin: "300px" });
      for (const element of elements) watcher.observe(element);
    },
  };
})();
