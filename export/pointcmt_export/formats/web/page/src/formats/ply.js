/** Polygon File Format; see `pointcmt/geometry/formats/ply.py` and `ply_body.py`. */
import { InputError, truncated } from "../errors.js";
import { sizeOf, valueAt, viewOf } from "./binary.js";
import { byChannel, columnsToXyz, nameXyz } from "./channels.js";
import { requireIndices, triangulate } from "./polygons.js";
import { unrolled } from "./strips.js";
import { columnOf, linesOf, numbers, quoted, textOf, unmarked, wordsOf } from "./words.js";

const KINDS = {
  i1: "char int8", u1: "uchar uint8", i2: "short int16", u2: "ushort uint16", i4: "int int32",
  u4: "uint uint32", i8: "int64", u8: "uint64", f4: "float float32", f8: "double float64",
};
const TYPES = Object.fromEntries(
  Object.entries(KINDS).flatMap(([kind, names]) => names.split(" ").map((name) => [name, kind])),
);
const CORNERS = ["vertex_indices", "vertex_index"];
const LARGEST_HEADER = 2 ** 20;

export function readPly(file) {
  const bytes = unmarked(file);
  const { encoding, elements, start } = headerOf(bytes);
  const body = encoding === "ascii" ? fromText(bytes, start, elements)
    : fromBytes(bytes, start, encoding === "binary_little_endian", elements);
  if (!body.has("vertex")) throw new InputError("its header has no element vertex");
  const columns = byChannel(body.get("vertex").plain);
  const element = ["face", "tristrips"].find((name) => cornersOf(body.get(name)));
  if (!element || !nameXyz([...columns.keys()])) return { columns };
  const lists = body.get(element).lists.get(cornersOf(body.get(element)));
  if (!lists) throw new InputError("its property vertex_indices is not a list");
  const corners = lists.map((list) => list.map(Math.trunc));
  const polygons = element === "tristrips" ? unrolled(corners) : corners;
  requireIndices(polygons, columns.get("x").length);
  return { columns, faces: triangulate(columnsToXyz(columns), polygons) };
}

/** The name of the corners of faces: a list that stands alone is these, whatever it is called. */
function cornersOf(element) {
  const lists = [...element?.lists.keys() ?? []];
  const named = CORNERS.find((name) => lists.includes(name) || element?.plain.has(name));
  return named ?? (lists.length === 1 ? lists[0] : undefined);
}

function headerOf(bytes) {
  const head = textOf(bytes.subarray(0, LARGEST_HEADER));
  if (!head.startsWith("ply")) throw new InputError("it does not begin with `ply`");
  if (!head.includes("end_header")) {
    throw new InputError("its header does not end with `end_header`; the file is truncated");
  }
  const found = { encoding: "", elements: [] };
  for (const { 0: line, 1: text, index } of head.matchAll(/([^\r\n]*)(?:\r\n|\n|\r|$)/g)) {
    const words = wordsOf(text);
    if (words.length === 1 && words[0] === "end_header") {
      requireKnown(found.encoding);
      const elements = found.elements.map(distinct);
      return { ...found, elements, start: index + line.length };
    }
    if (words[0] === "format" && words.length > 1) found.encoding = words[1];
    if (words[0] === "element") found.elements.push(elementOf(words));
    if (words[0] === "property") addProperty(found.elements, words);
  }
  throw new InputError("its header has no line `end_header`");
}

function requireKnown(encoding) {
  if (!["ascii", "binary_little_endian", "binary_big_endian"].includes(encoding)) {
    throw new InputError(`its format is ${quoted(encoding)}, not ascii or binary`);
  }
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
  const property = { name: words.at(-1), kind: kinds.at(-1), size: list ? kinds[0] : null };
  elements.at(-1).properties.push(property);
}

/** An element whose properties have different names: the first of two keeps its own. */
function distinct(element) {
  const taken = new Map();
  element.properties.forEach((one, place) => {
    const name = taken.has(one.name) ? `${one.name} ${place}` : one.name;
    taken.set(name, { ...one, name });
  });
  return { ...element, properties: [...taken.values()] };
}

const plural = (name) => ({ vertex: "vertices", face: "faces" })[name] ?? `rows of ${name}`;

const short = (element, number) => truncated(number, element.count, plural(element.name));

/** No rows yet: values by the names of properties, and lists by those of lists. */
function nothing({ properties }) {
  const named = (some) => new Map(some.map((one) => [one.name, []]));
  return {
    plain: named(properties.filter((one) => !one.size)),
    lists: named(properties.filter((one) => one.size)),
  };
}

function fromText(bytes, start, elements) {
  let rows = linesOf(textOf(bytes.subarray(start))).map(wordsOf).filter((words) => words.length);
  const wanted = elements.filter((element) => element.properties.length);
  if (!areWhole(rows, wanted)) rows = regrouped(rows.flat(), wanted);
  const body = new Map();
  let place = 0;
  for (const element of wanted) {
    const own = rows.slice(place, place + element.count);
    const listed = element.properties.some((one) => one.size);
    body.set(element.name, listed ? listedRows(element, own) : plainRows(element, own));
    place += element.count;
  }
  return body;
}

/** Whether there is a line for every row, with a word for each property or more. */
function areWhole(rows, elements) {
  let place = 0;
  return elements.every(({ count, properties }) => {
    const own = rows.slice(place, place + count);
    place += count;
    return own.length === count && own.every((row) => row.length >= properties.length);
  });
}

/** Break the words into rows anew, for a file with other line ends than the usual ones. */
function regrouped(words, elements) {
  const rows = [];
  let place = 0;
  for (const element of elements) {
    for (let number = 0; number < element.count; number++) {
      let end = place;
      for (const { size } of element.properties) {
        end += size ? 1 + lengthAt(words, end, element, number) : 1;
      }
      if (end > words.length) throw short(element, number);
      rows.push(words.slice(place, end));
      place = end;
    }
  }
  return rows;
}

function plainRows(element, rows) {
  const width = element.properties.length;
  const values = numbers(rows.map((row) => row.slice(0, width)), element.name);
  const found = nothing(element);
  element.properties.forEach(({ name }, at) => {
    found.plain.set(name, columnOf(values, width, at));
  });
  return found;
}

function listedRows(element, rows) {
  const words = element.properties.map(() => []);  // of each row, by property
  rows.forEach((row, number) => {
    let place = 0;
    element.properties.forEach(({ size }, i) => {
      const count = size ? lengthAt(row, place++, element, number) : 1;
      if (place + count > row.length) {
        throw new InputError(`${element.name} ${number} ends early; the file is truncated`);
      }
      words[i].push(row.slice(place, place + count));
      place += count;
    });
  });
  const found = nothing(element);
  element.properties.forEach(({ name, size }, i) => {
    const values = numbers([words[i].flat()], `${name} of ${element.name}`);
    if (size) found.lists.set(name, parted(values, words[i]));
    else found.plain.set(name, values);
  });
  return found;
}

/** Values as lists, each as long as its words. */
function parted(values, words) {
  let place = 0;
  return words.map((own) => Array.from(values.subarray(place, place += own.length)));
}

function lengthAt(row, place, element, number) {
  if (place >= row.length) throw short(element, number);
  if (/^\d{1,9}$/.test(row[place])) return Number(row[place]);
  throw new InputError(`${element.name} ${number} has a list without a length`);
}

function fromBytes(bytes, start, little, elements) {
  const view = viewOf(bytes);
  const body = new Map();
  let place = start;
  for (const element of elements.filter((one) => one.properties.length)) {
    const least = element.properties.reduce((sum, one) => sum + sizeOf(one.size ?? one.kind), 0);
    const there = Math.floor((bytes.length - place) / least);
    if (element.count > there) throw short(element, there);
    if (element.count) requireLists(view, place, little, element);
    const found = nothing(element);
    for (let number = 0; number < element.count; number++) {
      place = addRow(found, view, place, little, element, number);
    }
    body.set(element.name, found);
  }
  requireEnd(bytes.length - place, elements);
  return body;
}

/** Refuse rows of one kind, behind which as many bytes lie for each: they are longer. */
function requireEnd(behind, elements) {
  const filled = elements.filter(({ count, properties }) => count && properties.length);
  if (filled.length !== 1 || !behind || behind % filled[0].count) return;
  const more = behind / filled[0].count;
  throw new InputError(`each of its rows has ${more} bytes more than its header announces`);
}

/** Refuse an element whose first row has a list that cannot be. */
function requireLists(view, start, little, element) {
  let place = start;
  for (const { kind, size } of element.properties) {
    let count = 1;
    if (size) {
      if (place + sizeOf(size) > view.byteLength) {
        throw new InputError("it ends within a list; the file is truncated");
      }
      count = valueAt(view, place, size, little);
      if (count < 0 || count > view.byteLength) {
        throw new InputError(`it has a list of ${count} values, longer than the file`);
      }
      place += sizeOf(size);
    }
    place += count * sizeOf(kind);
  }
}

/** Add the row that begins at `place`, and return where the next one does. */
function addRow({ plain, lists }, view, start, little, element, number) {
  let place = start;
  for (const { name, kind, size } of element.properties) {
    let count = 1;
    if (size) {
      if (place + sizeOf(size) > view.byteLength) throw short(element, number);
      count = valueAt(view, place, size, little);
      place += sizeOf(size);
    }
    if (count < 0 || place + count * sizeOf(kind) > view.byteLength) throw short(element, number);
    const values = [];
    for (let i = 0; i < count; i++, place += sizeOf(kind)) {
      values.push(valueAt(view, place, kind, little));
    }
    if (size) lists.get(name).push(values);
    else plain.get(name).push(values[0]);
  }
  return place;
}
