// Lines of pictures that fill the width, as numbers only: nothing here knows of the page.

// The height that lines aim at, by the width there is.
export function aim(width) {
  return width < 560 ? 118 : width < 900 ? 150 : 190;
}

// Very tall or wide pictures are cut, or one of them would be a line or a needle.
export function bounded(width, height) {
  const ratio = width > 0 && height > 0 ? width / height : 1;
  return Math.min(Math.max(ratio, 0.5), 3.2);
}

// Lines over pictures, filled as they arrive. `first[i]` is the first picture of line i, `top[i]` its
// upper edge; both have one more entry, for the end.
export class Lines {
  constructor(width, gap) {
    this.width = width;
    this.gap = gap;
    this.first = [0];
    this.top = [0];
    this.heights = [];
    this.open = 0; // sum of the ratios of the line that isn't full yet
    this.openFrom = 0;
  }

  // Adds pictures from a place on; `ratios` holds all of them.
  add(ratios, from, to) {
    for (let place = from; place < to; place += 1) {
      this.open += ratios[place];
      const gaps = (place - this.openFrom) * this.gap;
      const height = (this.width - gaps) / this.open;
      if (height <= aim(this.width) * 1.12) this.#close(place + 1, Math.max(height, 24));
    }
  }

  // Ends the last line, which is not stretched.
  finish(count) {
    if (this.openFrom < count) this.#close(count, aim(this.width));
  }

  get length() {
    return this.heights.length;
  }

  get end() {
    return this.top[this.top.length - 1];
  }

  // The line at a height above the page's lower edge.
  at(y) {
    let low = 0;
    let high = this.heights.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.top[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // The line that a picture is in.
  of(place) {
    let low = 0;
    let high = this.heights.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.first[middle + 1] <= place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #close(end, height) {
    this.heights.push(height);
    this.first.push(end);
    this.top.push(this.end + height + this.gap);
    this.open = 0;
    this.openFrom = end;
  }
}
