/** Point Cloud Data; see `pointcmt/geometry/formats/pcd.py`. */
import lzf from "lzfjs";
import { InputError, truncated } from "../errors.js";
import { isKind, sizeOf, valueAt, viewOf } from "./binary.js";
import { XYZ, byChannel, nameXyz } from "./channels.js";
import { columnOf, linesOf, numbers, quoted, textOf, unmarked, wordsOf } from "./words.js";

const HEADER_BYTES = 2 ** 16;
const KINDS = { F: "f", I: "i", U: "u" };
const PACKED = ["rgb", "rgba"];

export function readPcd(file) {
  const bytes = unmarked(file);
  const header = headerOf(bytes);
  const read = { ascii: fromText, binary: fromRows, binary_compressed: fromColumns }[header.data];
  if (!read) {
    throw new InputError(
      `its DATA is ${quoted(header.data)}, not ascii, binary or binary_compressed`,
    );
  }
  const columns = byChannel(read(bytes.subarray(header.start), header));
  for (const name of PACKED) {
    if (columns.delete(name)) for (const color of "rgb") columns.set(color, []);
  }
  return { columns: nameXyz([...columns.keys()]) ? returned(columns) : columns };
}

/** The coordinates without pixels that have no return, which NaN in all three marks. */
function returned(columns) {
  const [x, y, z] = XYZ.map((axis) => columns.get(axis));
  const there = (_, i) => !(Number.isNaN(x[i]) && Number.isNaN(y[i]) && Number.isNaN(z[i]));
  return new Map(XYZ.map((axis) => [axis, columns.get(axis).filter(there)]));
}

function headerOf(bytes) {
  const head = textOf(bytes.subarray(0, HEADER_BYTES));
  const entries = {};
  let place = 0;
  while (!entries.DATA) {
    const end = head.indexOf("\n", place);
    if (end < 0) throw new InputError(`it has no line DATA in its first ${HEADER_BYTES} bytes`);
    const [key = "#", ...words] = wordsOf(head.slice(place, end));
    if (!key.startsWith("#")) entries[key.toUpperCase()] = words;
    place = end + 1;
  }
  const names = entries.FIELDS ?? entries.COLUMNS ?? [];
  const sizes = whole(entries, "SIZE", []);
  const counts = whole(entries, "COUNT", names.map(() => 1));
  const types = entries.TYPE ?? [];
  if (!names.length || [sizes, types, counts].some((each) => each.length !== names.length)) {
    throw new InputError("its header has not as many of SIZE, TYPE and COUNT as FIELDS");
  }
  const kinds = types.map((type, i) => kindOf(type, sizes[i]));
  const area = whole(entries, "WIDTH", [0])[0] * whole(entries, "HEIGHT", [1])[0];
  const points = whole(entries, "POINTS", [area])[0];
  const data = (entries.DATA[0] ?? "").toLowerCase();
  return { names, kinds, counts, points, data, start: place };
}

function whole(entries, key, otherwise) {
  if (!entries[key]?.length) return otherwise;
  if (!entries[key].every((word) => /^\d{1,18}$/.test(word))) {
    throw new InputError(`the line ${key} of its header is not whole numbers`);
  }
  return entries[key].map(Number);
}

function kindOf(type, size) {
  const kind = `${KINDS[type.toUpperCase()] ?? "?"}${size}`;
  if (!isKind(kind)) {
    throw new InputError(`its header has a field of type ${type} and ${size} bytes`);
  }
  return kind;
}

/** Call `take(name, kind, at)` for each field of one value; `at` is what lies before it. */
function fields(header, weigh, take) {
  let at = 0;
  header.names.forEach((name, i) => {
    if (header.counts[i] === 1) take(name, header.kinds[i], at);
    at += weigh(header.kinds[i], header.counts[i]);
  });
  return at;
}

function fromText(bytes, header) {
  const lines = linesOf(textOf(bytes)).map(wordsOf).filter((words) => words.length);
  const rows = lines.slice(0, header.points);
  const width = header.counts.reduce((sum, count) => sum + count, 0);
  const cut = rows.length && rows.at(-1).length < width ? 1 : 0;
  if (rows.length < header.points || cut) {
    throw truncated(rows.length - cut, header.points, "points");
  }
  const values = numbers(rows.map((row) => row.slice(0, width)), "point");
  const columns = new Map();
  fields(header, (_, count) => count, (name, _, at) => {
    columns.set(name, columnOf(values, width, at));
  });
  return columns;
}

const bytesOf = (kind, count) => sizeOf(kind) * count;

function widthOf(header) {
  const width = fields(header, bytesOf, () => {});
  if (!width) throw new InputError("its header announces points of no bytes");
  return width;
}

function fromRows(bytes, header) {
  const width = widthOf(header);
  if (bytes.length < width * header.points) {
    throw truncated(Math.floor(bytes.length / width), header.points, "points");
  }
  const own = bytes.length / Math.max(header.points, 1);
  if (own > width && Number.isInteger(own)) {
    throw new InputError(`its points have ${own} bytes each, but its header announces ${width}`);
  }
  const view = viewOf(bytes);
  const columns = new Map();
  fields(header, bytesOf, (name, kind, at) => {
    const value = (_, i) => valueAt(view, i * width + at, kind, true);
    columns.set(name, Array.from({ length: header.points }, value));
  });
  return columns;
}

/** Fields lie one after the other, each for all points, compressed by LZF. */
function fromColumns(bytes, header) {
  const needed = widthOf(header) * header.points;
  if (bytes.length < 8) throw truncated(0, header.points, "points");
  const head = viewOf(bytes);
  const [packed, size] = [head.getUint32(0, true), head.getUint32(4, true)];
  if (size < needed || bytes.length - 8 < packed) {
    throw new InputError(
      `its header announces ${header.points} points in ${needed} bytes, but it holds ` +
        `${Math.min(size, needed)} in ${bytes.length}; the file is truncated`,
    );
  }
  const data = unpacked(bytes.subarray(8, 8 + packed));
  if (data.length < needed) {
    throw new InputError("its compressed points cannot be unpacked; the file is damaged");
  }
  const view = viewOf(data);
  const columns = new Map();
  fields(header, (kind, count) => bytesOf(kind, count) * header.points, (name, kind, at) => {
    const value = (_, i) => valueAt(view, at + i * sizeOf(kind), kind, true);
    columns.set(name, Array.from({ length: header.points }, value));
  });
  return columns;
}

function unpacked(bytes) {
  try {
    return new Uint8Array(lzf.decompress(bytes));
  } catch {
    throw new InputError("its compressed points cannot be unpacked; the file is damaged");
  }
}
