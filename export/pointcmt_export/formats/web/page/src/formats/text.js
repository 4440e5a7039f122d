/** Rows of numbers (.xyz .txt .csv .pts .asc); see `pointcmt/geometry/formats/text.py`. */
import { InputError, truncated } from "../errors.js";
import { XYZ, nameAny, nameXyz } from "./channels.js";
import { cellsOf, isValue, layoutOf, numberOf, trimmed } from "./layout.js";
import { isNumber, linesOf, plainText, toNumber } from "./words.js";

const MISSING = ["", "NA", "NULL"];  // a value that is not there, as tables, R and SQL write it
const FEWEST_COUNTED = 10;  // rows: the x of fewer points may count up by chance

export function readText(bytes) {
  const lines = linesOf(plainText(bytes, "utf-8"));
  const layout = layoutOf(lines);
  const rows = rowsOf(lines, layout);
  requireCounted(rows.length, layout.announced);
  const { names } = layout;
  const width = rows[0].length;
  if (width < 3) throw new InputError(`its rows have ${width} values; x y z were expected`);
  if (names.length && !nameXyz(names) && (width > 3 || nameAny(names))) {
    throw new InputError(`its header names ${names.slice(0, 8).join(", ")}, but not x, y and z`);
  }
  if (!nameXyz(names) && rows.length === 1 && width > 3) {
    throw new InputError(`it is one row of ${width} values; a cloud has a row for each point`);
  }
  if (!nameXyz(names) && rows.length < width && width > 3) {
    throw new InputError(
      `the array is (${rows.length}, ${width}), fewer points than channels; a cloud is (N, 3), ` +
        "a row a point, so transpose it",
    );
  }
  const unnamed = areCounted(rows) ? [1, 2, 3] : [0, 1, 2];
  const places = nameXyz(names) ? XYZ.map((axis) => names.indexOf(axis)) : unnamed;
  return { xyz: Float64Array.from(rows.flatMap((row) => places.map((place) => row[place]))) };
}

/** Whether the first column counts the rows, as lists of nodes or surveyed points do. */
function areCounted(rows) {
  if (rows.length < FEWEST_COUNTED || rows[0].length <= XYZ.length) return false;
  const first = rows[0][0];
  const counts = (first === 0 || first === 1) && rows.every((row, i) => row[0] === first + i);
  return counts && rows.some((row) => row.slice(1, 4).some((value) => !Number.isInteger(value)));
}

function requireCounted(count, announced) {
  if (announced !== null && count < announced) throw truncated(count, announced, "points");
  if (announced !== null && count > announced) {
    throw new InputError(`${count} points, but the line above them counts ${announced}`);
  }
}

function rowsOf(lines, layout) {
  const rows = [];
  let numeric = null;
  for (let place = layout.first; place < lines.length; place++) {
    const words = wordsIn(lines[place], layout);
    if (!words.length) continue;
    numeric ??= numericOf(words, layout.names);
    if (rows.length && words.length !== rows[0].length) {
      throw new InputError(
        `line ${place + 1}: ${words.length} values, but the first row has ` +
          `${rows[0].length}; every row needs the same number`,
      );
    }
    const name = (i) => layout.names[i] ?? XYZ[i];
    const value = (word, i) => (numeric[i] ? valueOf(word, name(i), place + 1) : NaN);
    rows.push(words.map(value));
  }
  return rows;
}

/** Which columns must be numbers: named ones may be words, but not x, y and z. */
function numericOf(words, names) {
  const named = names.length === words.length && (words.length !== XYZ.length || nameXyz(names));
  return words.map((word, i) => !named || isValue(word) || XYZ.includes(names[i]));
}

/** The number that a cell is; it may be missing unless it is an x, y or z. */
function valueOf(word, name, line) {
  if (MISSING.includes(word) && !XYZ.includes(name)) return NaN;
  const number = numberOf(word);
  if (!isNumber(number)) {
    throw new InputError(`line ${line}: not all values are numbers; x y z were expected`);
  }
  return toNumber(number);
}

function wordsIn(line, layout) {
  const words = cellsOf(line, layout.separator).slice(layout.rowNames ? 1 : 0);
  return trimmed(words, words.some(Boolean) ? layout.names.length : 0);
}
