/** What a file holds instead of what its name says; see `pointcmt/geometry/formats/strangers.py`. */
import { textOf } from "./words.js";

const HEAD = 4096;
const OTHERS = [
  [/^\s*version https:\/\/git-lfs/i, "it is a pointer of Git LFS; get the file with `git lfs pull`"],
  [/^\s*<(?:!doctype|html)/i, "it is a web page, not the file"],
  [/^\x1f\x8b/, "it is compressed with gzip; unpack it first"],
  [/^PK\x03\x04/i, "it is a ZIP archive; unpack it first"],
];
const FORMATS = {
  ".off": /^(?:\s|#[^\n]*\n)*(?:ST|C|N)*4?n?OFF(?:\s|#[^\n]*\n)*\d+\s+\d+\s/i,
  ".ply": /^ply\s+format\s/i,
  ".pcd": /^(?:\s|#[^\n]*\n)*VERSION\s+\d*\.\d+\s+FIELDS\s/i,
  ".stl": /^\s*solid\b[^\n]*\s+facet\s+normal\s/i,
  ".glb": /^glTF/i,
  ".npy": /^\x93NUMPY/i,
  ".las": /^LASF/i,
  ".e57": /^ASTM-E57/i,
};

/** What a file is that does not begin as its name says, if that can be told. */
export function stranger(bytes, suffix) {
  const head = textOf(bytes.subarray(0, HEAD), "latin1");
  if (FORMATS[suffix]?.test(head)) return undefined;
  const other = OTHERS.find(([sign]) => sign.test(head));
  const [name] = Object.entries(FORMATS).find(([, sign]) => sign.test(head)) ?? [];
  return other?.[1] ?? (name && `it begins as a ${name} file does; name it so`);
}
