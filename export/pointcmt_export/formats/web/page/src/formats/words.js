/** Bytes of text files to lines, words and numbers, as `pointcmt.geometry.formats.tokens` does. */
import { InputError } from "../errors.js";

const NUMBER = /^[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?)$/i;
const NO_NUMBER = /(?<![\w.])1\.#(?:INF|IND|[QS]NAN)\d*/g;
const WHOLE = /^[-+]?\d+$/;

/** A file's bytes without a mark of its encoding; text in UTF-16 as one byte a character. */
export function unmarked(bytes) {
  const wide = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  if (wide) return Uint8Array.from(textOf(bytes), (sign) => Math.min(sign.charCodeAt(0), 0xff));
  return bytes.subarray(bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0);
}

/** A text or its bytes without some signs at the end. */
export function withoutEnd(text, marks) {
  let end = text.length;
  while (end && marks.includes(text[end - 1])) end--;
  return text.slice(0, end);
}

/** The text of a file, see `text_of` in `pointcmt/geometry/formats/tokens.py`. */
export function plainText(bytes, encoding = "latin1") {
  return withoutEnd(textOf(bytes, encoding), "\0").replace(NO_NUMBER, "nan");
}

/** The text of bytes, one character a byte unless told; UTF-16 is known by its mark. */
export function textOf(bytes, encoding = "latin1") {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  return new TextDecoder(encoding).decode(unmarked(bytes));
}

export function linesOf(text) {
  return text.replace(/\r\n?/g, "\n").split("\n");
}

/** The words between blanks of ASCII. */
export const wordsOf = (line) => line.match(/[^ \t\n\r\f\v]+/g) ?? [];

export const isNumber = (word) => NUMBER.test(word);

/** The number that a word is which `isNumber`. */
export function toNumber(word) {
  const low = word.toLowerCase();
  if (!low.includes("n")) return Number(word);
  return low.includes("nan") ? NaN : low.startsWith("-") ? -Infinity : Infinity;
}

/** A text as sentences quote it, with what cannot be seen as its code. */
export function quoted(text) {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const code = (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, "0")}`;
  const whole = text.replaceAll("\\", "\\\\").replaceAll(mark, `\\${mark}`);
  return mark + whole.replace(/[\0-\x1f\x7f]/g, code) + mark;
}

const ascii = (text) => text.replace(/[^\0-\x7f]/g, "\ufffd");

export function wholeOf(word, what) {
  if (!WHOLE.test(word ?? "")) {
    const shown = quoted(ascii(word ?? "").slice(0, 40));
    throw new InputError(`${what} ${shown} is not a whole number in range`);
  }
  return Number(word);
}

/** Rows of as many words each, `least` or more, as numbers, one row after the other. */
export function numbers(rows, what, least = 0) {
  const width = rows[0]?.length ?? 0;
  const values = new Float64Array(rows.length * width);
  rows.forEach((row, number) => {
    if (row.length !== width || width < least || !row.every(isNumber)) {
      const shown = quoted(ascii(row.slice(0, 8).join(" ")).slice(0, 60));
      throw new InputError(`${what} ${number} is ${shown}, not the numbers expected`);
    }
    row.forEach((word, place) => { values[number * width + place] = toNumber(word); });
  });
  return values;
}

/** The values at one place in each row, of rows of `width` values. */
export function columnOf(values, width, at) {
  const column = new Float64Array(values.length / width);
  for (let row = 0; row < column.length; row++) column[row] = values[row * width + at];
  return column;
}

/** The first three values of each row as x, y, z one after the other, (N * 3) float64. */
export function coordinates(rows, what) {
  const values = numbers(rows, what, 3);
  const width = rows[0]?.length ?? 3;
  return width === 3 ? values : values.filter((_, place) => place % width < 3);
}
