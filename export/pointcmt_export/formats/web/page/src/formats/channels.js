/** The names of columns, as far as x, y and z go; see `pointcmt/geometry/formats/names.py`. */
import { InputError } from "../errors.js";

const XYZ = ["x", "y", "z"];
const BEFORE = ["pos_", "position_", "point_", "coord_", "coord. ", "p"];

export function channel(name) {
  const plain = name.trim().replace(/^["']+|["']+$/g, "").trim().toLowerCase();
  return XYZ.find((axis) => BEFORE.some((word) => plain === word + axis)) ?? plain;
}

export const nameXyz = (names) => XYZ.every((axis) => names.includes(axis));

/** Columns of N values by name to x, y, z one point after the other. */
export function columnsToXyz(columns) {
  const missing = XYZ.filter((axis) => !columns[axis]);
  if (missing.length) {
    const has = Object.keys(columns).slice(0, 12).join(", ") || "none";
    throw new InputError(`has no channel ${missing.join(", ")}; it has ${has}`);
  }
  const count = columns.x.length;
  const xyz = new Float64Array(3 * count);
  XYZ.forEach((axis, place) => {
    for (let i = 0; i < count; i++) xyz[3 * i + place] = columns[axis][i];
  });
  return xyz;
}
