/** Wavefront OBJ; see `pointcmt/geometry/formats/obj.py`. */
import { InputError, truncated } from "../errors.js";
import { triangulate } from "./polygons.js";
import { coordinates, linesOf, textOf, wholeOf, wordsOf } from "./words.js";

const COUNTED = /^#\s*(?:(vertices|faces)\s*[:=]?\s*(\d{1,15})|(\d{1,15})\s+(vertices|faces))\s*$/i;
const STRUCTURE = ["vn", "vt", "o", "g", "s", "usemtl"];

export function readObj(bytes) {
  const text = textOf(bytes);
  const found = sorted(linesOf(text.replace(/\\[ \t]*\r?\n/g, " ")));
  if (!found.vertices.length) throw new InputError("it has no line `v x y z`, as every OBJ file has");
  const ended = /[\n\r]$/.test(text);
  if (found.vertices.at(-1).length < 3 && !ended) {
    throw new InputError("its last line has no whole vertex; the file is truncated");
  }
  const xyz = coordinates(found.vertices, "vertex");
  requireWhole(found, ended);
  const triangles = triangulate(xyz, found.polygons);
  const counts = {
    vertices: found.vertices.length,
    faces: Math.max(found.polygons.length, triangles.length / 3),
  };
  for (const what of ["vertices", "faces"]) {
    if (counts[what] < (found.counted[what] ?? 0)) {
      throw truncated(counts[what], found.counted[what], what);
    }
  }
  return { xyz, faces: triangles };
}

function sorted(lines) {
  const found = { vertices: [], polygons: [], counted: {}, structured: false };
  for (const line of lines) {
    const kind = wordsOf(line)[0] ?? "";
    if (kind === "v") {
      found.vertices.push(wordsOf(line.split("#")[0]).slice(1));
    } else if (kind === "f") {
      const words = wordsOf(line.split("#")[0]).slice(1);
      found.polygons.push(words.map((word) => corner(word, found.vertices.length)));
    } else if (kind.startsWith("#") && !found.vertices.length) {
      const match = COUNTED.exec(line.trim());
      if (match) found.counted[(match[1] ?? match[4]).toLowerCase()] = Number(match[2] ?? match[3]);
    }
    found.structured ||= STRUCTURE.includes(kind);
  }
  return found;
}

/** The vertex from 0; negative ones count back from their own line. */
function corner(word, above) {
  const index = wholeOf(word.split("/", 1)[0], "a corner of a face");
  if (index === 0) throw new InputError("a face names vertex 0, but they count from 1");
  return index < 0 ? index + above : index - 1;
}

function requireWhole(found, ended) {
  if (ended) return;
  const { polygons, vertices } = found;
  const most = polygons.reduce((top, polygon) => Math.max(top, ...polygon), -1);
  const unused = most + 1 < vertices.length;
  const unfinished = polygons.length > 0 && polygons.at(-1).length < 3;
  if (unfinished || (unused && (polygons.length || found.structured))) {
    throw new InputError("it ends within a line, before all vertices are used; it is truncated");
  }
}
