/** Object File Format; see `pointcmt/geometry/formats/off.py`. */
import { InputError, truncated } from "../errors.js";
import { requireIndices, triangulate } from "./polygons.js";
import { coordinates, linesOf, plainText, wholeOf, wordsOf } from "./words.js";

const HEADER = /^((?:ST|C|N)*)(4?n?)OFF(?![A-Za-z])\s*(BINARY)?/i;
const WHOLE = /^\d+$/;

export function readOff(bytes) {
  const lines = linesOf(plainText(bytes))
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
  const [vertices, faces] = countsOf(lines);
  const count = vertices + faces;
  let rows = lines.slice(1).map(wordsOf);
  const lined = rows.length >= count && areVertices(rows.slice(0, vertices));
  if (!lined || !areFaces(rows.slice(vertices, count))) {
    const width = rowWidth(rows.slice(0, vertices), (match?.[1] ?? "").toUpperCase());
    rows = regrouped([wordsOf(lines[0]).slice(3), ...rows], vertices, faces, width);
  }
  const places = rows.slice(0, vertices);
  const width = places.reduce((least, row) => Math.min(least, row.length), places[0]?.length ?? 3);
  const xyz = coordinates(places.map((row) => row.slice(0, width)), "vertex");
  const polygons = rows.slice(vertices, count).map(polygonOf);
  requireIndices(polygons, vertices);
  return { xyz, faces: triangulate(xyz, polygons) };
}

/** The numbers of vertices and faces, be they one a line. */
function countsOf(lines) {
  while (lines.length > 1 && WHOLE.test(lines[0])) lines.unshift(lines.splice(0, 3).join(" "));
  const words = wordsOf(lines[0] ?? "").slice(0, 2);
  if (words.length < 2 || !words.every((word) => WHOLE.test(word))) {
    throw new InputError("its header has no counts of vertices and faces");
  }
  return words.map(Number);
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

/** Whether every row has three numbers or more. */
const areVertices = (rows) => rows.every((row) => row.length >= 3);

/** Whether every row begins with the number of its corners and has them. */
const areFaces = (rows) => rows.every((row) => cornersAt(row, 0) < row.length);

/** The number of corners that a word tells; infinite if it tells none. */
function cornersAt(words, place) {
  return WHOLE.test(words[place] ?? "") ? Number(words[place].slice(0, 9)) : Infinity;
}

/**
 * Break the words into rows anew, for a file with other line ends than the usual ones.
 *
 * Faces keep their lines where each has one; else they are polygons without colours, and use up
 * all words, so that no colour of a file that was cut is taken for a face.
 */
function regrouped(rows, vertices, faces, width) {
  const words = rows.flat();
  const behind = width * vertices;
  if (behind > words.length) {
    throw truncated(Math.floor(words.length / width), vertices, "vertices");
  }
  const fresh = [];
  for (let i = 0; i < behind; i += width) fresh.push(words.slice(i, i + width));
  const lines = rowsBehind(rows, behind);
  if (lines?.length === faces && areFaces(lines)) return [...fresh, ...lines];
  const { polygons, end } = polygonsFrom(words, behind);
  if (end !== words.length || polygons.length !== faces) {
    const found = Math.min(polygons.length, lines?.length ?? Infinity, faces - 1);
    throw truncated(found, faces, "faces");
  }
  return [...fresh, ...polygons];
}

/** The rows behind so many words, or null if these end within a row. */
function rowsBehind(rows, words) {
  let place = 0;
  let seen = 0;
  while (place < rows.length && seen < words) seen += rows[place++].length;
  return seen === words ? rows.slice(place).filter((row) => row.length) : null;
}

/** The polygons from a place on, as long as they have three corners or more, and where they end. */
function polygonsFrom(words, place) {
  const polygons = [];
  let end = place;
  for (;;) {
    const size = cornersAt(words, end);
    if (size < 3 || size === Infinity) return { polygons, end };
    polygons.push(words.slice(end, end + 1 + size));
    end += 1 + size;
  }
}

function polygonOf(row) {
  const corners = row.slice(1, 1 + wholeOf(row[0], "the size of a face"));
  return corners.map((word) => wholeOf(word, "a corner of a face"));
}
