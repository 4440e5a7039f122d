/** Polygons of any shape to triangles, as `pointcmt.geometry.polygons` splits them. */
import earcut from "earcut";
import { InputError } from "../errors.js";

const MAX_CONCAVE = 10_000;
const ROUNDING = 1e-9;

export function cross(a, b) {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];

/** Refuse polygons that name other vertices than 0 to `vertices` - 1. */
export function requireIndices(polygons, vertices) {
  if (!polygons.every((polygon) => polygon.every((corner) => corner >= 0 && corner < vertices))) {
    throw new InputError(`a face names a vertex that is not among the ${vertices}`);
  }
}

/**
 * Split polygons, a fan where that is right, ear clipping where it is not.
 *
 * @param {Float64Array} xyz vertices, (V * 3).
 * @param {number[][]} polygons the vertices of each; fewer than three give no triangle.
 * @returns {Int32Array} the vertices of the triangles, (T * 3).
 */
export function triangulate(xyz, polygons) {
  const found = [];
  for (const polygon of polygons) {
    if (polygon.length < 3) continue;
    const corners = polygon.map((v) => Array.from(xyz.subarray(3 * v, 3 * v + 3)));
    for (const place of trianglesOf(corners)) {
      found.push(polygon[place]);
    }
  }
  return Int32Array.from(found);
}

function trianglesOf(corners) {
  const fan = [];
  for (let i = 1; i < corners.length - 1; i++) fan.push(0, i, i + 1);
  if (corners.length === 3) return fan;
  const sides = corners.slice(1).map((corner) => minus(corner, corners[0]));
  const areas = sides.slice(0, -1).map((side, i) => cross(side, sides[i + 1]));
  const normal = areas.reduce((sum, area) => sum.map((value, axis) => value + area[axis]), [0, 0, 0]);
  const along = areas.map((area) => dot(area, normal));
  const most = Math.max(...along.map(Math.abs));
  return Math.min(...along) < -ROUNDING * most ? clip(corners, normal, fan.length / 3) : fan;
}

function clip(corners, normal, count) {
  if (corners.length > MAX_CONCAVE) {
    throw new InputError(`a concave face has ${corners.length} corners; at most ${MAX_CONCAVE} may be`);
  }
  const size = normal.map(Math.abs);
  const away = size.indexOf(Math.max(...size));
  const flat = corners.flatMap((corner) => minus(corner, corners[0]).filter((_, axis) => axis !== away));
  const clipped = Array.from(earcut(flat));
  for (let i = 0; i < clipped.length; i += 3) {
    const [a, b, c] = clipped.slice(i, i + 3).map((place) => corners[place]);
    if (dot(cross(minus(b, a), minus(c, a)), normal) < 0) {
      [clipped[i], clipped[i + 2]] = [clipped[i + 2], clipped[i]];
    }
  }
  const result = new Array(3 * count).fill(0);
  return result.map((_, place) => clipped[place] ?? 0);
}
