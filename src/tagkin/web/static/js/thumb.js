// One thumbnail of the grid, the same as the macro `thumb` of the templates makes.

import { element, find } from "./dom.js";

const LABELLED = 6;

// `also` is the address of a search to which the image can be added, if there is one.
export function thumb(image, also = null) {
  const label = image.label ?? (image.tags.slice(0, LABELLED).join(", ") || image.name);
  const made = element(
    "div",
    { class: "thumb" },
    element(
      "a",
      { href: `/images/${image.id}` },
      element("img", {
        src: image.thumbnail,
        srcset: `${image.thumbnail} 1x, ${image.thumbnail}?height=480 2x`,
        alt: label,
        width: image.width,
        height: image.height,
        loading: "lazy",
        decoding: "async",
      }),
    ),
    element(
      "div",
      { class: "over" },
      element("span", { class: "label", "aria-hidden": "true" }, label),
      also && link(`${also}&id=${image.id}`, "Search with this image as well", "+"),
      link(`/?id=${image.id}`, "More like this", "≈ kin"),
    ),
  );
  if (image.score !== undefined && image.score !== null) {
    const score = Number(image.score).toFixed(2);
    made.append(element("span", { class: "value", title: "Similarity" }, score));
  }
  return made;
}

// What a thumbnail that came with the page says of its image.
export function fromPage(made) {
  const picture = find("img", made);
  return {
    id: made.dataset.id,
    label: picture.alt,
    width: Number(picture.getAttribute("width")),
    height: Number(picture.getAttribute("height")),
    thumbnail: picture.getAttribute("src"),
    score: find(".value", made)?.textContent,
  };
}

function link(href, title, text) {
  return element("a", { class: "label kin", href, tabindex: "-1", title }, text);
}
