/** Wavefront OBJ; see `pointcmt/geometry/formats/obj.py`. */
import { InputError, truncated } from "../errors.js";
import { requireIndices, triangulate } from "./polygons.js";
import { coordinates, linesOf, plainText, wholeOf, wordsOf } from "./words.js";

const COUNTED = /^#\s*(?:(vertices|faces)\s*[:=]?\s*(\d{1,15})|(\d{1,15})\s+(vertices|faces))\s*$/i;
/** A comment, which goes on to its line's end, or a line's end that continues the line. */
const CONTINUED = /(#[^\r\n]*)|\\[ \t]*\r?\n/g;
const STRUCTURE = ["vt", "g", "s", "usemtl"];

export function readObj(bytes) {
  const text = plainText(bytes);
  const found = sorted(linesOf(text.replace(CONTINUED, (_, comment) => comment ?? " ")));
  if (!found.vertices.length) {
    throw new InputError("it has no line `v x y z`, as every OBJ file has");
  }
  if (found.curved && !found.faces.length) {
    throw new InputError("it holds curved surfaces, which are not read; save it as polygons");
  }
  const ended = /[\n\r]$/.test(text);
  const xyz = placesOf(found.vertices, ended);
  const polygons = polygonsOf(found.faces);
  requireIndices(polygons, found.vertices.length);
  if (!ended) requireWhole(found, polygons, wordsOf(linesOf(text).at(-1))[0] ?? "");
  const triangles = triangulate(xyz, polygons);
  requireCounted(found.counted, {
    vertices: found.vertices.length,
    faces: Math.max(polygons.length, triangles.length / 3),
  });
  return { xyz, faces: triangles };
}

/** The lines of each kind, split into words; `above` counts the vertices above a face. */
function sorted(lines) {
  const found = { vertices: [], faces: [], counted: {}, curved: false, structured: false };
  for (const line of lines) {
    const kind = wordsOf(line)[0] ?? "";
    if (kind === "v") {
      found.vertices.push(wordsOf(line.split("#")[0]).slice(1));
    } else if (kind === "f") {
      const corners = wordsOf(line.split("#")[0]).slice(1);
      found.faces.push({ corners, above: found.vertices.length });
    } else if (kind.startsWith("#") && !found.vertices.length) {
      const match = COUNTED.exec(line.trim());
      if (match) found.counted[(match[1] ?? match[4]).toLowerCase()] = Number(match[2] ?? match[3]);
    }
    found.curved ||= kind === "surf";
    found.structured ||= STRUCTURE.includes(kind);
  }
  return found;
}

function placesOf(rows, ended) {
  if (rows.at(-1).length < 3 && !ended) {
    throw new InputError("its last line has no whole vertex; the file is truncated");
  }
  const least = rows.reduce((width, row) => Math.min(width, row.length), Infinity);
  const width = least === 6 || least === 7 ? least : 3;  // six or seven hold a colour
  return coordinates(rows.map((row) => row.slice(0, width)), "vertex");
}

/** The vertices of faces from 0; negative ones count back from their own line. */
function polygonsOf(faces) {
  const indices = faces.map(({ corners }) =>
    corners.map((word) => wholeOf(word.split("/", 1)[0], "a corner of a face")));
  if (indices.some((face) => face.includes(0))) {
    throw new InputError("a face names vertex 0, but they count from 1");
  }
  return indices.map((face, i) =>
    face.map((index) => (index < 0 ? index + faces[i].above : index - 1)));
}

/** Refuse a file whose last line, of this `kind`, has no end, unless it is whole as it stands. */
function requireWhole({ vertices, faces, structured }, polygons, kind) {
  if (kind.startsWith("#") || ["s", "l", "p"].includes(kind)) return;
  const used = polygons.reduce((top, polygon) => polygon.reduce((a, b) => Math.max(a, b), top), -1);
  const unused = used + 1 < vertices.length;
  const unfinished = polygons.length > 0 && polygons.at(-1).length < 3;
  const whole = !unfinished && kind === "f" && likeOthers(faces.map((face) => face.corners));
  if (unfinished || (unused && !whole && (polygons.length || structured))) {
    throw new InputError("it ends within a line, before all vertices are used; it is truncated");
  }
}

/** Whether the last face has as many corners as others, each written like the first. */
function likeOthers(faces) {
  const corners = faces.flat();
  const [first, last] = [corners[0], corners.at(-1)];
  const alike = first.split("/").length === last.split("/").length && !last.endsWith("/");
  const least = faces.slice(0, -1).reduce((size, face) => Math.min(size, face.length), Infinity);
  return alike && faces.at(-1).length >= (faces.length > 1 ? least : 3);
}

function requireCounted(counted, counts) {
  for (const [what, count] of Object.entries(counts)) {
    if (count < (counted[what] ?? 0)) throw truncated(count, counted[what], what);
  }
}
