/** Rows of numbers (.xyz .txt .csv .pts .asc); see `pointcmt/geometry/formats/text.py`. */
import { InputError, truncated } from "../errors.js";
import { channel, nameXyz } from "./channels.js";
import { isNumber, linesOf, numberOf, textOf } from "./words.js";

const COMMENT = /^(#|\/\/)/;
const DECIMAL_COMMA = /^[-+]?\d+(?:,\d+)?(?:[eE][-+]?\d+)?$/;
const HEAD_LINES = 100;

export function readText(bytes) {
  const lines = linesOf(textOf(bytes));
  const layout = layoutOf(lines);
  const rows = rowsOf(lines, layout);
  const width = rows[0].length;
  if (layout.announced !== null && rows.length < layout.announced) {
    throw truncated(rows.length, layout.announced, "points");
  }
  if (layout.announced !== null && rows.length > layout.announced) {
    throw new InputError(
      `${rows.length} points, but the line above them counts ${layout.announced}`,
    );
  }
  if (width < 3) throw new InputError(`its rows have ${width} values; x y z were expected`);
  const names = layout.names.length === width ? layout.names : [];
  if (names.length && !nameXyz(names) && width > 3) {
    throw new InputError(`its header names ${names.slice(0, 8).join(", ")}, but not x, y and z`);
  }
  if (!nameXyz(names) && rows.length > 1 && rows.length < width && width > 3) {
    throw new InputError(
      `the array is (${rows.length}, ${width}), fewer points than channels; a cloud is (N, 3), ` +
        "a row a point, so transpose it",
    );
  }
  const places = nameXyz(names) ? ["x", "y", "z"].map((axis) => names.indexOf(axis)) : [0, 1, 2];
  return { xyz: Float64Array.from(rows.flatMap((row) => places.map((place) => row[place]))) };
}

function layoutOf(lines) {
  let names = [];
  let comment = "";
  let announced = null;
  for (let place = 0; place < Math.min(lines.length, HEAD_LINES); place++) {
    const bare = lines[place].trim();
    if (!bare || COMMENT.test(bare)) {
      comment = bare || comment;
      continue;
    }
    const words = bare.replaceAll('"', "").split(/[\s,;]+/);
    const below = lines.slice(place + 1);
    if (/^\d+$/.test(bare) && announced === null && isWider(below)) {
      announced = Number(bare.slice(0, 18));
    } else if (!names.length && (!words.some(isValue) || arePlaces(words, below))) {
      names = namesOf(bare);
    } else {
      const above = namesOf(comment.replace(/^[#/]+/, ""));
      if (!names.length && nameXyz(above)) names = above;
      return { first: place, names, announced, ...separatorOf(lines, place) };
    }
  }
  throw new InputError("it has no rows of numbers; lines of x y z were expected");
}

const isValue = (word) => isNumber(word) || DECIMAL_COMMA.test(word);

/** Whether the next row has several values, so that a number above it is a count. */
function isWider(lines) {
  const row = lines.slice(0, HEAD_LINES).find((line) => line.trim()) ?? "";
  return row.trim().split(/[\s,;]+/).length > 1;
}

/** Whether a line is `0,1,2`, as tables without names of columns are headed. */
function arePlaces(words, lines) {
  return words.length >= 3 && words.every((word, place) => word === String(place))
    && (lines[0] ?? "").includes(".");
}

function namesOf(line) {
  const text = line.trim();
  const mark = [",", ";", "\t"].find((each) => text.includes(each));
  return (mark ? text.split(mark) : text.split(/\s+/)).map(channel);
}

function separatorOf(lines, first) {
  const sample = lines.slice(first, first + 1000).map((line) => line.split("#")[0]);
  const text = sample.join("\n");
  if (!text.includes(",")) return { separator: text.includes(";") ? ";" : null, decimalComma: false };
  const mark = text.includes(";") ? ";" : null;
  const words = sample.flatMap((line) => line.split(mark ?? /\s+/)).map((w) => w.trim()).filter(Boolean);
  const commas = words.every((word) => DECIMAL_COMMA.test(word));
  if (!text.includes(".") && commas && (mark || words.length > sample.length)) {
    return { separator: mark, decimalComma: true };
  }
  if (!text.includes(".") && /,0\d/.test(text)) {
    throw new InputError(
      "commas stand both between and within its numbers; write decimal points, or put " +
        "semicolons between the numbers",
    );
  }
  return { separator: mark ? null : ",", decimalComma: false };
}

function rowsOf(lines, layout) {
  const rows = [];
  let numeric = null;
  lines.slice(layout.first).forEach((line, at) => {
    const words = wordsIn(line, layout);
    if (!words.length) return;
    numeric ??= numericOf(words, layout.names);
    if (rows.length && words.length !== rows[0].length) {
      throw new InputError(
        `line ${layout.first + at + 1}: ${words.length} values, but the first row has ` +
          `${rows[0].length}; every row needs the same number`,
      );
    }
    rows.push(words.map((word, i) => (numeric[i] ? valueOf(word, layout.first + at + 1) : NaN)));
  });
  return rows;
}

/** Which columns must be numbers: named ones may be words, but not x, y and z. */
function numericOf(words, names) {
  const named = names.length === words.length && (words.length > 3 || nameXyz(names));
  return words.map((word, i) => !named || isValue(word) || ["x", "y", "z"].includes(names[i]));
}

function valueOf(word, line) {
  if (!isNumber(word)) {
    throw new InputError(`line ${line}: not all values are numbers; x y z were expected`);
  }
  return numberOf(word, "line", line);
}

function wordsIn(line, layout) {
  let text = line.split("#")[0].split("//")[0];
  if (layout.decimalComma) text = text.replaceAll(",", ".");
  if (layout.separator === null) return text.replace(/[,;]/g, " ").trim().split(/\s+/).filter(Boolean);
  const words = text.split(layout.separator).map((word) => word.trim().replace(/^"+|"+$/g, ""));
  while (words.length && !words.at(-1)) words.pop();
  return words;
}
