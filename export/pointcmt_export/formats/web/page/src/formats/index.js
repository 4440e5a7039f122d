/** The formats that the page reads, each by one reader. */
import { InputError } from "../errors.js";
import { columnsToXyz } from "./channels.js";
import { readObj } from "./obj.js";
import { readOff } from "./off.js";
import { readPcd } from "./pcd.js";
import { readPly } from "./ply.js";
import { readStl } from "./stl.js";
import { readText } from "./text.js";

const READERS = {
  ".off": readOff, ".obj": readObj, ".stl": readStl, ".ply": readPly, ".pcd": readPcd,
  ".xyz": readText, ".txt": readText, ".csv": readText, ".pts": readText, ".asc": readText,
};
/** What stands in the place of a file, by its first bytes. */
const STRANGERS = {
  "version https://git-lfs": "it is a pointer of Git LFS; get the file with `git lfs pull`",
  "<!doctype": "it is a web page, not the file",
  "<html": "it is a web page, not the file",
  "\x1f\x8b": "it is compressed with gzip; unpack it first",
  "pk\x03\x04": "it is a ZIP archive; unpack it first",
};
export const SUFFIXES = Object.keys(READERS);
export const MAX_BYTES = 256 * 2 ** 20;

/** Refuse a file that is too large, which can be told before it is read. */
export function requireSize(name, size) {
  if (size > MAX_BYTES) {
    throw new InputError(`${name}: has ${size} bytes; the page reads ${MAX_BYTES} or fewer`);
  }
}

/**
 * Read one file whole.
 *
 * @param {string} name its format is known by the ending.
 * @param {Uint8Array} bytes
 * @returns {{xyz: Float64Array, faces?: Int32Array}} points or vertices, and triangles if it has
 *   any.
 */
export function parse(name, bytes) {
  const suffix = (/\.[^.]*$/.exec(name) ?? [""])[0].toLowerCase();
  if (!READERS[suffix]) {
    throw new InputError(`${name}: unknown format; use one of ${SUFFIXES.join(", ")}`);
  }
  requireSize(name, bytes.length);
  if (bytes.every((byte) => byte === 32 || (byte > 8 && byte < 14))) {
    throw new InputError(`${name}: the file is empty; a cloud or a mesh was expected`);
  }
  const refusal = `${name}: not a readable ${suffix} file`;
  const { columns, xyz, faces } = parsedBy(READERS[suffix], bytes, refusal);
  return { xyz: xyz ?? columnsToXyz(columns, name), faces };
}

function parsedBy(reader, bytes, refusal) {
  try {
    return reader(bytes);
  } catch (error) {
    const sentence = error instanceof InputError ? error.message : "it is damaged";
    throw new InputError(`${refusal}: ${stranger(bytes) ?? sentence}`);
  }
}

/** What a file that could not be read is instead, where that can be told. */
function stranger(bytes) {
  const first = String.fromCharCode(...bytes.subarray(0, 100)).replace(/^\xef\xbb\xbf/, "");
  const head = first.trimStart().toLowerCase();
  return Object.entries(STRANGERS).find(([sign]) => head.startsWith(sign))?.[1];
}
