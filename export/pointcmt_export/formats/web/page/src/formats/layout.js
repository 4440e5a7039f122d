/** How the rows of a text file are written; see `pointcmt/geometry/formats/text_layout.py`. */
import { InputError } from "../errors.js";
import { XYZ, channels, nameXyz, plain } from "./channels.js";
import { isNumber, withoutEnd, wordsOf } from "./words.js";

const COMMENT = /^(#|\/\/)/;
const DECIMAL_COMMA = /^[-+]?\d+(?:,\d+)?(?:[eE][-+]?\d+)?$/;
const NOT_TABBED = /\d +[-+.]?\d|[,;] *\t/;  // what else stands between cells beside tabs
const UNIT = /\s{1,4}(\[[^\]]{0,20}\]|\([^)]{0,20}\))/g;  // belongs to the name before it
const FORTRAN = /d(?=[-+]\d)/i;  // begins an exponent of its double precision
const EXCELS = /^sep=.?$/i;
const WHOLE = /^\d+$/;
const SIGNED = /^[-+]*\d+$/;
const SAMPLE = 1000;

/**
 * Tell how rows are written.
 *
 * @param {string[]} lines
 * @returns {{first: number, separator: ?string, names: string[], rowNames: boolean,
 *   announced: ?number}} the place of the first row; what stands between cells, null for blanks;
 *   the columns' names; whether a column before these only names the rows; how many rows a line
 *   above them counts.
 */
export function layoutOf(lines) {
  let header = "";
  let announced = null;
  const comments = [];
  for (let place = 0; place < lines.length; place++) {
    const bare = lines[place].trim();
    if (COMMENT.test(bare)) {
      comments.push(bare.replace(/^[#/]+/, ""));
    } else if (!bare || (EXCELS.test(bare) && !header)) {
      continue;
    } else if (WHOLE.test(bare) && announced === null && isWider(lines, place + 1)) {
      announced = Number(bare.slice(0, 18));
    } else if (!header && isHeader(bare, lines[place + 1] ?? "")) {
      header = lines[place].trimEnd();
    } else {
      const sample = lines.slice(place, place + SAMPLE).filter((row) => row.trim());
      const separator = separatorOf(sample.map(uncommented));
      const names = namesOf(header, comments, separator, sample);
      return { first: place, separator, announced, ...names };
    }
  }
  throw new InputError("it has no rows of numbers; lines of x y z were expected");
}

const uncommented = (line) => line.split("#")[0].split("//")[0];

/** The cells of a line without its comment; what quotes enclose is one, without them. */
export function cellsOf(line, separator) {
  const bare = uncommented(line);
  if (separator === "\t") return split(withoutEnd(bare, ",; "), separator);
  const text = bare.trim();
  if (separator === ";") return split(text, separator);
  return split(withoutEnd(text, separator ? ";" : ",;").trimEnd(), separator);
}

/** A row without the empty cells at its end that are beyond `width`. */
export function trimmed(row, width) {
  let end = row.length;
  while (end > width && !row[end - 1]) end--;
  return row.slice(0, end);
}

/** Whether a word is a number, be its decimal mark a point or a comma. */
export const isValue = (word) => isNumber(plainExponent(word)) || DECIMAL_COMMA.test(word);

const plainExponent = (word) => word.replace(FORTRAN, "e");

/** A word with the decimal point and the exponent of numbers. */
export const numberOf = (word) => plainExponent(word.replace(",", "."));

function split(line, separator) {
  if (!line.includes('"')) {
    return separator ? line.split(separator).map((cell) => cell.trim()) : wordsOf(line);
  }
  if (separator) return quotedCells(line, separator);
  return [...line.matchAll(/"([^"]*)"|([^\s"]+)/g)].map((match) => match[1] || (match[2] ?? ""));
}

/** Cells as tables write them: `""` in quotes is a quote; what follows quotes is of their cell. */
function quotedCells(line, separator) {
  const cell = new RegExp(
    ` *(?:"([^"]*(?:""[^"]*)*)"?)?([^${separator}]*)(${separator}|$)`, "y",
  );
  const found = [];
  for (let ended = false; !ended;) {
    const [, quoted = "", rest, mark] = cell.exec(line);
    found.push((quoted.replaceAll('""', '"') + rest).trim());
    ended = !mark;
  }
  return found;
}

const wordsApart = (line) => line.split(/[\s,;]+/);

/** Whether the next row has several values, so that a number above it is a count. */
function isWider(lines, place) {
  const row = lines.slice(place, place + SAMPLE).find((line) => line.trim()) ?? "";
  return wordsApart(row.trim()).length > 1;
}

/** Whether a line names columns, be it by their places, as in `0,1,2` or `,0,1,2`. */
function isHeader(line, below) {
  const words = wordsApart(line.replaceAll('"', ""));
  return !words.some(isValue) || (arePlaces(words) && below.includes("."));
}

function arePlaces(words) {
  const counted = words[0] === "" ? words.slice(1) : words;
  return counted.length >= XYZ.length && counted.every((word, place) => word === String(place));
}

/** The mark between cells; a comma within numbers is none. */
function separatorOf(rows) {
  const cut = rows.map((row) => withoutEnd(row.replace(/"[^"]*"/g, '""').trim(), ",;"));
  const bare = cut.filter(Boolean);
  const text = bare.join("\n");
  if (bare.length && bare.every((row) => /\t.*\t/.test(row) && !NOT_TABBED.test(row))) return "\t";
  if (text.includes(";")) return ";";
  if (!text.includes(",") || areDecimal(bare.map(wordsOf))) return null;
  if (!text.includes(".") && /,0\d/.test(text)) {
    throw new InputError(
      "commas stand both between and within its numbers; write decimal points, or put " +
        "semicolons between the numbers",
    );
  }
  return ",";
}

/** Whether rows are words of which three in a place are numbers like `0,5`. */
function areDecimal(rows) {
  const places = (rows[0] ?? []).map((_, place) => place);
  const alike = places.filter((place) => rows.every((row) => DECIMAL_COMMA.test(row[place] ?? "")));
  return alike.length >= XYZ.length;
}

function namesOf(header, comments, separator, sample) {
  const first = cellsOf(sample[0], separator);
  if (header) {
    const names = named(header, separator);
    const behind = header.startsWith("\t") && !sample[0].startsWith("\t");
    return namesBy(names, first, behind || nameRows(sample, separator));
  }
  for (const comment of [...comments].reverse()) {
    const names = named(comment, separator);
    if (nameXyz(names) && names.length === trimmed(first, names.length).length) {
      return { names, rowNames: false };
    }
  }
  return { names: [], rowNames: false };
}

/** What the names of a header, and a column before them, are for rows like the `first`. */
function namesBy(names, first, rowNames) {
  const width = trimmed(first, names.length).length;
  if (arePlaces(names)) return { names: [], rowNames: !names[0] };
  if (names.length === width) return { names, rowNames: false };
  if (!nameXyz(names)) return { names: [], rowNames: false };
  if (width === names.length + 1 && rowNames) return { names, rowNames };
  if (XYZ.every((axis, place) => names[place] === axis)) return { names: [], rowNames: false };
  throw new InputError(`its header names ${names.length} columns, but its rows have ${width}`);
}

function named(line, separator) {
  const mark = [separator, ",", ";", "\t"].find((each) => each && line.includes(each)) ?? null;
  return channels(split(line.replace(UNIT, "$1"), mark).map(plain));
}

/**
 * Whether the first cells are names or the numbers of rows, as R and pandas write them. Rows that
 * were chosen or sorted have numbers in any order, each another, beside other than whole ones.
 */
function nameRows(sample, separator) {
  if (sample.every((row) => row.trimStart().startsWith('"'))) return true;
  const rows = sample.map((row) => cellsOf(row, separator));
  const first = rows.map((row) => row[0] ?? "");
  if (first.every((cell) => WHOLE.test(cell) && cell.length < 18)) {
    const whole = rows.every((row) => row.slice(1, 4).every((cell) => SIGNED.test(cell)));
    if (new Set(first).size === first.length && !whole) return true;
    return first.every((cell, i) => i === 0 || Number(cell) - Number(first[i - 1]) === 1);
  }
  return !first.some(isValue);
}
