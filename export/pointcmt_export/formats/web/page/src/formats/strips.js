/** Strips of triangles; see `pointcmt/geometry/formats/strips.py`. */

/** The triangles of strips, every second one turned round; -1 ends a strip within a list. */
export function unrolled(strips) {
  const found = [];
  for (const strip of strips) {
    let start = 0;
    strip.forEach((corner, place) => {
      if (corner === -1) start = place + 1;
      if (place < start + 2) return;
      const [a, b, c] = strip.slice(place - 2, place + 1);
      if (a === b || b === c || c === a) return;  // only joins strips
      found.push((place - start) % 2 ? [a, c, b] : [a, b, c]);
    });
  }
  return found;
}
