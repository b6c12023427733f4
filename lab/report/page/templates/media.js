"use strict";
// Media: decoded when they come into view, runs to choose, earlier and later ones, a picture in large.
(() => {
  const show = (element, key) => {
    element.dataset.media = key;
    const uri = lab.data(`media-${key}`);
    if (element.tagName === "PRE") { // as text, never as HTML
      const bytes = Uint8Array.from(atob(uri.slice(uri.indexOf(",") + 1)), (char) => char.charCodeAt(0));
      element.textContent = new TextDecoder().decode(bytes);
    } else {
      element.src = uri;
    }
  };
  lab.whenNear(document.querySelectorAll("[data-media]"), (element) => show(element, element.dataset.media));

  for (const choice of document.querySelectorAll("[data-media-of]")) {
    choice.addEventListener("change", () => {
      for (const figure of choice.closest(".media").querySelectorAll(".medium")) {
        const { of, first } = figure.dataset;
        figure.hidden = !(choice.value === "all" || (choice.value === "first" ? first === "yes" : of === choice.value));
      }
    });
  }
  for (const slider of document.querySelectorAll("[data-frames]")) {
    const frames = slider.dataset.frames.split(" ").map((frame) => frame.split(":"));
    const figure = slider.closest("figure");
    const at = figure.querySelector(".at");
    const axis = at.textContent.slice(0, at.textContent.lastIndexOf(" "));
    slider.addEventListener("input", () => {
      const [key, place] = frames[slider.value];
      show(figure.querySelector("[data-media]"), key);
      at.textContent = `${axis} ${place}`;
    });
  }
  const large = document.getElementById("large");
  document.addEventListener("click", (event) => {
    const small = event.target.closest?.(".zoom")?.querySelector("img");
    if (small) {
      const image = new Image();
      image.src = small.src;
      image.alt = small.alt;
      image.className = small.className;
      const scale = Math.max(1, Math.floor((innerWidth * 0.85) / small.naturalWidth));
      if (small.naturalWidth <= 400 && scale > 1) { // whole multiples keep the pixels sharp
        image.width = small.naturalWidth * Math.min(scale, 3);
        image.className = "pixels";
      }
      large.querySelector("div").replaceChildren(image);
      large.querySelector("p").textContent = small.alt;
      large.showModal();
    } else if (event.target === large || event.target.closest?.("#large > button")) {
      large.close();
    }
  });
})();
