/** Polygon File Format; see `pointcmt/geometry/formats/ply.py` and `ply_body.py`. */
import { InputError, truncated } from "../errors.js";
import { sizeOf, valueAt, viewOf } from "./binary.js";
import { channel, columnsToXyz } from "./channels.js";
import { triangulate } from "./polygons.js";
import { linesOf, numberOf, textOf, wordsOf } from "./words.js";

const KINDS = {
  i1: "char int8", u1: "uchar uint8", i2: "short int16", u2: "ushort uint16", i4: "int int32",
  u4: "uint uint32", i8: "int64", u8: "uint64", f4: "float float32", f8: "double float64",
};
const TYPES = Object.fromEntries(
  Object.entries(KINDS).flatMap(([kind, names]) => names.split(" ").map((name) => [name, kind])),
);
const CORNERS = ["vertex_indices", "vertex_index"];
const LARGEST_HEADER = 2 ** 20;

export function readPly(bytes) {
  const { encoding, elements, start } = headerOf(bytes);
  const body = encoding === "ascii" ? fromText(bytes, start, elements)
    : fromBytes(bytes, start, encoding === "binary_little_endian", elements);
  if (!body.vertex) throw new InputError("its header has no element vertex");
  const columns = {};
  for (const [name, values] of Object.entries(body.vertex)) {
    if (!Array.isArray(values[0])) columns[channel(name)] = values;
  }
  const xyz = columnsToXyz(columns);
  const name = CORNERS.find((each) => body.face?.[each]);
  if (!name) return { xyz };
  const polygons = body.face[name];
  if (polygons.length && !Array.isArray(polygons[0])) {
    throw new InputError("its property vertex_indices is not a list");
  }
  return { xyz, faces: triangulate(xyz, polygons) };
}

function headerOf(bytes) {
  const shift = bytes[0] === 0xef ? 3 : 0;
  const head = textOf(bytes.subarray(0, LARGEST_HEADER));
  if (!head.startsWith("ply")) throw new InputError("it does not begin with `ply`");
  const found = { encoding: "", elements: [], start: 0 };
  const ends = /\r\n|\n|\r/g;
  let place = 0;
  for (let end = ends.exec(head); end; end = ends.exec(head)) {
    const words = wordsOf(head.slice(place, end.index));
    place = ends.lastIndex;
    if (words.length === 1 && words[0] === "end_header") {
      if (!["ascii", "binary_little_endian", "binary_big_endian"].includes(found.encoding)) {
        throw new InputError(`its format is '${found.encoding}', not ascii or binary`);
      }
      return { ...found, start: place + shift };
    }
    if (words[0] === "format" && words.length > 1) found.encoding = words[1];
    if (words[0] === "element") found.elements.push(elementOf(words));
    if (words[0] === "property") addProperty(found.elements, words);
  }
  throw new InputError("its header does not end with `end_header`; the file is truncated");
}

function elementOf(words) {
  if (words.length !== 3 || !/^\d{1,18}$/.test(words[2])) {
    throw new InputError("a line of its header should be `element NAME COUNT`");
  }
  return { name: words[1], count: Number(words[2]), properties: [] };
}

function addProperty(elements, words) {
  const list = words[1] === "list";
  const kinds = words.slice(list ? 2 : 1, -1).map((word) => TYPES[word]);
  if (!elements.length || kinds.length !== 1 + list || kinds.some((kind) => !kind)) {
    throw new InputError("a line of its header should be `property [list TYPE] TYPE NAME`");
  }
  if (list && kinds[0].startsWith("f")) {
    throw new InputError("a list in its header has a length that is not a whole number");
  }
  elements.at(-1).properties.push({ name: words.at(-1), kind: kinds.at(-1), size: list ? kinds[0] : null });
}

const plural = (name) => ({ vertex: "vertices", face: "faces" })[name] ?? `rows of ${name}`;

function fromText(bytes, start, elements) {
  const rows = linesOf(textOf(bytes.subarray(start))).map(wordsOf).filter((words) => words.length);
  const body = {};
  let place = 0;
  for (const element of elements) {
    if (!element.properties.length) continue;
    const own = rows.slice(place, place + element.count);
    if (own.length < element.count) throw truncated(own.length, element.count, plural(element.name));
    body[element.name] = Object.fromEntries(element.properties.map((one) => [one.name, []]));
    own.forEach((row, number) => addRow(body[element.name], element, row, number));
    place += element.count;
  }
  return body;
}

function addRow(found, element, row, number) {
  let place = 0;
  for (const { name, size } of element.properties) {
    let count = 1;
    if (size) {
      if (!/^\d{1,9}$/.test(row[place] ?? "")) {
        throw new InputError(`${element.name} ${number} has a list without a length`);
      }
      count = Number(row[place++]);
    }
    if (place + count > row.length) {
      throw new InputError(`${element.name} ${number} ends early; the file is truncated`);
    }
    const values = row.slice(place, place + count).map((word) => numberOf(word, element.name, number));
    found[name].push(size ? values : values[0]);
    place += count;
  }
}

function fromBytes(bytes, start, little, elements) {
  const view = viewOf(bytes);
  const body = {};
  let place = start;
  for (const element of elements) {
    if (!element.properties.length) continue;
    const least = element.properties.reduce((sum, one) => sum + sizeOf(one.size ?? one.kind), 0);
    const there = Math.floor((bytes.length - place) / least);
    if (element.count > there) throw truncated(there, element.count, plural(element.name));
    const found = Object.fromEntries(element.properties.map((one) => [one.name, []]));
    for (let number = 0; number < element.count; number++) {
      for (const { name, kind, size } of element.properties) {
        const short = () => truncated(number, element.count, plural(element.name));
        let count = 1;
        if (size) {
          if (place + sizeOf(size) > bytes.length) throw short();
          count = valueAt(view, place, size, little);
          place += sizeOf(size);
        }
        if (count < 0 || place + count * sizeOf(kind) > bytes.length) throw short();
        const values = [];
        for (let i = 0; i < count; i++, place += sizeOf(kind)) values.push(valueAt(view, place, kind, little));
        found[name].push(size ? values : values[0]);
      }
    }
    body[element.name] = found;
  }
  return body;
}
