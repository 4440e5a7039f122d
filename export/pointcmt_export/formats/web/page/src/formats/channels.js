/** The names of columns; see `pointcmt/geometry/formats/names.py`. */
import { InputError } from "../errors.js";

export const XYZ = ["x", "y", "z"];
const COLORS = ["red", "green", "blue"];
const pairs = (words, ends, name) =>
  words.flatMap((word) => ends.map((end) => [word + end, name(end)]));
const UNITS = ["m", "cm", "mm", "km", "ft", "in"].flatMap((unit) =>
  [`[${unit}]`, ` [${unit}]`, `(${unit})`, ` (${unit})`, `_${unit}`]);
const ALIASES = new Map([
  ...pairs(["n", "n_", "n.", "normal", "normal_", "normal."], XYZ, (axis) => `n${axis}`),
  ...pairs(["", "diffuse_"], COLORS, (color) => color[0]),
  ...pairs(["pos_", "position_", "point_", "coord_", "coord. ", "p"], XYZ, (axis) => axis),
  ...XYZ.flatMap((axis) => pairs([axis], UNITS, () => axis)),
  ...[["points", ""], ["normals", "n"]].flatMap(([word, before]) =>
    XYZ.flatMap((axis, place) => pairs([`${word}:`, `${word}_`], [place], () => before + axis))),
  ["easting", "x"], ["northing", "y"], ["elevation", "z"],
  ...pairs(["i", "scalar_intensity", "reflectance"], [""], () => "intensity"),
]);
const KNOWN = [...XYZ, ...XYZ.map((axis) => `n${axis}`), "r", "g", "b", "intensity"];
const SHOWN = 12;

/** A name without blanks and quotes around it, in lower case. */
export const plain = (name) => name.trim().replace(/^["']+|["']+$/g, "").trim().toLowerCase();

const channel = (name) => ALIASES.get(plain(name)) ?? plain(name);

/** Our names of columns; one that goes behind another of the same name keeps the file's. */
export function channels(names) {
  const found = byChannel(new Map(names.map((name) => [name, name])));
  return names.map((name) => (found.get(channel(name)) === name ? channel(name) : name));
}

/** A map of columns under our names; an exact name goes first, then the first alias. */
export function byChannel(columns) {
  const found = new Map([...columns].filter(([name]) => channel(name) === name));
  for (const [name, column] of columns) {
    if (!found.has(channel(name))) found.set(channel(name), column);
  }
  return found;
}

/** Whether names tell what columns hold, as the words of a title do not. */
export const nameAny = (names) => KNOWN.some((name) => names.includes(name));

export const nameXyz = (names) => XYZ.every((axis) => names.includes(axis));

/** Columns of N values by name to x, y, z one point after the other; `where` names the file. */
export function columnsToXyz(columns, where) {
  const missing = XYZ.filter((axis) => !columns.has(axis));
  if (missing.length) {
    const has = [...columns.keys()].slice(0, SHOWN).join(", ") || "none";
    const more = columns.size > SHOWN ? ", ..." : "";
    throw new InputError(`${where}: has no channel ${missing.join(", ")}; it has ${has}${more}`);
  }
  const count = columns.get("x").length;
  const xyz = new Float64Array(3 * count);
  XYZ.forEach((axis, place) => {
    const values = columns.get(axis);
    for (let i = 0; i < count; i++) xyz[3 * i + place] = values[i];
  });
  return xyz;
}
