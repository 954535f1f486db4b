// The grid of thumbnails, which may go on for a million pictures.
//
// Lines are absolutely placed in a box as high as all of them; only those near the screen exist. Of pages
// far from the screen only the shape of each picture is kept; they are asked for again when they come near.

import { element } from "./dom.js";
import { Lines, bounded } from "./justify.js";

const AHEAD = 1.5; // screens of lines kept above and below
const PAGES_KEPT = 40;
const MOST_PIXELS = 16e6; // browsers place nothing further down, Firefox least of all

export class Grid {
  // `load(cursor)` returns {images, next}; `thumb(image)` an element with a link in front.
  constructor(box, { first, next, load, thumb, failed }) {
    this.box = box;
    this.load = load;
    this.thumb = thumb;
    this.failed = failed;
    this.pages = [];
    this.ratios = [];
    this.shown = new Map();
    this.next = next;
    this.loading = false;
    this.focused = 0;
    this.gap = parseFloat(getComputedStyle(box).columnGap) || 6;
    box.replaceChildren();
    box.classList.add("live");
    this.#append(first, null);
    this.#lay();
    this.#watch();
  }

  get count() {
    return this.ratios.length;
  }

  #append(images, cursor) {
    const from = this.ratios.length;
    for (const image of images) this.ratios.push(bounded(image.width, image.height));
    this.pages.push({ from, to: this.ratios.length, cursor, images, asked: false });
    this.lines?.add(this.ratios, from, this.ratios.length);
  }

  // Lays all lines anew: at the start, and when the width has changed.
  #lay() {
    const keep = this.lines ? this.#firstSeen() : 0;
    this.width = this.box.clientWidth;
    this.lines = new Lines(this.width, this.gap);
    this.lines.add(this.ratios, 0, this.ratios.length);
    if (!this.next) this.lines.finish(this.count);
    for (const line of this.shown.values()) line.remove();
    this.shown.clear();
    this.#size();
    if (keep) scrollTo({ top: this.#top() + this.lines.top[this.lines.of(keep)] });
    this.#draw();
  }

  #size() {
    this.box.style.height = `${Math.max(0, this.lines.end - this.gap)}px`;
  }

  #top() {
    return this.box.getBoundingClientRect().top + scrollY;
  }

  #firstSeen() {
    const above = scrollY - this.#top();
    return above > 0 ? this.lines.first[this.lines.at(above)] : 0;
  }

  #watch() {
    let asked = false;
    const draw = () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        this.#draw();
      });
    };
    addEventListener("scroll", draw, { passive: true });
    new ResizeObserver(() => {
      if (Math.abs(this.box.clientWidth - this.width) > 1) this.#lay();
    }).observe(this.box);
    this.end = element("div", { "aria-hidden": "true" });
    this.box.after(this.end);
    // The end is seen again after each page, so that a high screen is filled too.
    this.observer = new IntersectionObserver(
      (seen) => {
        this.nearEnd = seen[seen.length - 1].isIntersecting;
        if (this.nearEnd) this.more();
      },
      { rootMargin: `${Math.round(innerHeight * AHEAD)}px 0px` },
    );
    this.observer.observe(this.end);
    this.box.addEventListener("keydown", (event) => this.#key(event));
    this.box.addEventListener("focusin", (event) => {
      const thumb = event.target.closest("[data-place]");
      if (thumb) this.#rove(Number(thumb.dataset.place));
    });
  }

  // The picture at the upper edge of the screen; `restore` goes back to it.
  get place() {
    return this.#firstSeen();
  }

  async restore(place) {
    while (this.count <= place && this.next && !this.loading) await this.more();
    if (this.count > place) {
      scrollTo({ top: this.#top() + this.lines.top[this.lines.of(place)] });
      this.#draw();
    }
  }

  async more() {
    if (this.loading || !this.next) return;
    if (this.lines.end > MOST_PIXELS) {
      this.next = null;
      this.failed(new Error("No browser scrolls further down: narrow the search down with a tag or a date."));
      return;
    }
    this.loading = true;
    this.box.setAttribute("aria-busy", "true");
    try {
      const cursor = this.next;
      const page = await this.load(cursor);
      this.next = page.next;
      this.#append(page.images, cursor);
      if (!this.next) this.lines.finish(this.count);
      this.#size();
      this.#draw();
    } catch (error) {
      this.failed(error);
      this.observer.disconnect(); // a failing server is not asked in a loop
      return;
    } finally {
      this.loading = false;
      this.box.removeAttribute("aria-busy");
    }
    this.observer.unobserve(this.end);
    this.observer.observe(this.end);
  }

  #draw() {
    const top = this.#top();
    const room = innerHeight * AHEAD;
    const from = this.lines.at(scrollY - top - room);
    const to = Math.min(this.lines.at(scrollY - top + innerHeight + room) + 1, this.lines.length);
    for (const [place, line] of this.shown) {
      // A line that has the focus stays, or the keyboard would lose its place.
      if ((place < from || place >= to) && !line.contains(document.activeElement)) {
        line.remove();
        this.shown.delete(place);
      }
    }
    for (let place = from; place < to; place += 1) {
      if (!this.shown.has(place)) this.#show(place);
    }
    this.#forget(from, to);
  }

  #show(place) {
    const { first, top, heights } = this.lines;
    const images = [];
    for (let at = first[place]; at < first[place + 1]; at += 1) {
      const image = this.#image(at);
      if (!image) return; // its page is on its way
      images.push([at, image]);
    }
    const line = element("div", { class: "line" });
    line.style.top = `${top[place]}px`;
    line.style.height = `${heights[place]}px`;
    for (const [at, image] of images) {
      const thumb = this.thumb(image);
      thumb.style.width = `${this.ratios[at] * heights[place]}px`;
      thumb.dataset.place = at;
      thumb.firstElementChild.tabIndex = at === this.focused ? 0 : -1;
      line.append(thumb);
    }
    // Lines stand in the document in their order, which is that of reading.
    let after = null;
    for (const [other, shown] of this.shown) {
      if (other > place && (after === null || other < after[0])) after = [other, shown];
    }
    this.box.insertBefore(line, after ? after[1] : null);
    this.shown.set(place, line);
  }

  #page(at) {
    let low = 0;
    let high = this.pages.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.pages[middle].to <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #image(at) {
    const page = this.pages[this.#page(at)];
    if (page.images) return page.images[at - page.from];
    this.#again(page);
    return null;
  }

  async #again(page) {
    if (page.asked) return;
    page.asked = true;
    try {
      const { images } = await this.load(page.cursor);
      if (images.length === page.to - page.from) page.images = images;
      this.#draw();
    } catch (error) {
      this.failed(error);
    } finally {
      page.asked = false;
    }
  }

  // Drops the pictures' data of pages far away; the first page came with the document and stays.
  #forget(from, to) {
    if (this.pages.length <= PAGES_KEPT) return;
    const near = this.#page(this.lines.first[Math.min(from, this.lines.length)] ?? 0);
    const last = this.#page(this.lines.first[Math.min(to, this.lines.length)] ?? this.count - 1);
    this.pages.forEach((page, place) => {
      const far = place < near - PAGES_KEPT / 2 || place > last + PAGES_KEPT / 2;
      if (far && page.cursor !== null) page.images = null;
    });
  }

  // One picture of the grid is reached by Tab, the others by arrows.
  #rove(place) {
    const link = (at) => this.box.querySelector(`[data-place="${at}"]`)?.firstElementChild;
    const old = link(this.focused);
    if (old) old.tabIndex = -1;
    this.focused = place;
    const now = link(place);
    if (now) now.tabIndex = 0;
    return now;
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    let to = null;
    if (step) to = this.focused + step;
    else if (event.key === "ArrowDown") to = this.#below(1);
    else if (event.key === "ArrowUp") to = this.#below(-1);
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = this.count - 1;
    if (to === null) return;
    event.preventDefault();
    this.focus(Math.max(0, Math.min(to, this.count - 1)));
  }

  // The picture of the next line that is nearest to the middle of the one that has the focus.
  #below(step) {
    const { first, heights } = this.lines;
    const line = this.lines.of(this.focused);
    const other = line + step;
    if (other < 0 || other >= this.lines.length) return this.focused;
    const middles = (of) => {
      let x = 0;
      const found = [];
      for (let at = first[of]; at < first[of + 1]; at += 1) {
        const width = this.ratios[at] * heights[of];
        found.push([at, x + width / 2]);
        x += width + this.gap;
      }
      return found;
    };
    const [, here] = middles(line).find(([at]) => at === this.focused);
    const nearest = middles(other).sort((a, b) => Math.abs(a[1] - here) - Math.abs(b[1] - here));
    return nearest[0][0];
  }

  focus(place) {
    const line = this.lines.of(place);
    if (line >= this.lines.length) return;
    const top = this.#top() + this.lines.top[line];
    const bar = document.querySelector(".bar")?.offsetHeight ?? 0;
    if (top < scrollY + bar) scrollTo({ top: top - bar - this.gap });
    const bottom = top + this.lines.heights[line];
    if (bottom > scrollY + innerHeight) scrollTo({ top: bottom - innerHeight + this.gap });
    this.#draw();
    this.#rove(place)?.focus({ preventScroll: true });
  }
}
