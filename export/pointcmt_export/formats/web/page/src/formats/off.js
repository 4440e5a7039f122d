/** Object File Format; see `pointcmt/geometry/formats/off.py`. */
import { InputError, truncated } from "../errors.js";
import { triangulate } from "./polygons.js";
import { coordinates, linesOf, textOf, wholeOf, wordsOf } from "./words.js";

const HEADER = /^((?:ST|C|N)*)(4?n?)OFF(?![A-Za-z])\s*(BINARY)?/i;

export function readOff(bytes) {
  const lines = linesOf(textOf(bytes))
    .map((line) => line.split("#")[0].trim())
    .filter((line) => line && line !== "end_header");
  const match = HEADER.exec(lines[0] ?? "");
  if (match) {
    lines[0] = lines[0].slice(match[0].length);
    if (match[2] || match[3]) {
      throw new InputError("a binary or four-dimensional OFF file is not read; save it as text");
    }
  }
  if (lines.length && !lines[0]) lines.shift();
  const counts = wordsOf(lines[0] ?? "");
  if (counts.length < 2 || !counts.slice(0, 2).every((word) => /^\d+$/.test(word))) {
    throw new InputError("its header has no counts of vertices and faces");
  }
  const [vertices, faces] = counts.slice(0, 2).map(Number);
  let rows = lines.slice(1).map(wordsOf);
  if (rows.length < vertices + faces || rows.slice(0, vertices).some((row) => row.length < 3)) {
    const width = rowWidth(rows.slice(0, vertices), (match?.[1] ?? "").toUpperCase());
    rows = regrouped([...counts.slice(3), ...rows.flat()], vertices, faces, width);
  }
  if (rows.length < vertices) throw truncated(rows.length, vertices, "vertices");
  if (rows.length < vertices + faces) throw truncated(rows.length - vertices, faces, "faces");
  const xyz = coordinates(rows.slice(0, vertices), "vertex");
  const polygons = rows.slice(vertices, vertices + faces).map((row, number) => polygon(row, number));
  return { xyz, faces: triangulate(xyz, polygons) };
}

function polygon(row, number) {
  const count = wholeOf(row[0], "the size of a face");
  if (!(count >= 0 && count < row.length)) {
    throw new InputError(
      `face ${number} has ${row.length - 1} of its ${count} corners; the file is truncated`,
    );
  }
  return row.slice(1, 1 + count).map((word) => wholeOf(word, "a corner of a face"));
}

/** How many words a vertex has: as in the rows if they are alike, or by the header. */
function rowWidth(rows, kinds) {
  const widths = new Set(rows.slice(0, -1).map((row) => row.length));
  if (rows.length > 2 && widths.size === 1 && rows[0].length >= 3) return rows[0].length;
  if (kinds.includes("C")) {
    throw new InputError("its coloured vertices are not each in one line, or it is truncated");
  }
  return 3 + (kinds.includes("N") ? 3 : 0) + (kinds.includes("ST") ? 2 : 0);
}

/** Break the words into rows anew, for a file with other line ends than the usual ones. */
function regrouped(words, vertices, faces, width) {
  let place = width * vertices;
  if (place > words.length) throw truncated(Math.floor(words.length / width), vertices, "vertices");
  const fresh = [];
  for (let i = 0; i < place; i += width) fresh.push(words.slice(i, i + width));
  while (place < words.length && fresh.length < vertices + faces) {
    const end = place + 1 + Math.max(wholeOf(words[place], "the size of a face"), 0);
    fresh.push(words.slice(place, end));
    place = end;
  }
  return fresh;
}
