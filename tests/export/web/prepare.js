// For each file named on the command line, print what the page's own code makes of it.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";

const [page, settings, ...files] = process.argv.slice(2);
const { parse } = await import(`${page}/src/formats/index.js`);
const { prepare } = await import(`${page}/src/prepare.js`);
const model = JSON.parse(settings);
const answers = [];
for (const file of files) {
  const name = basename(file);
  try {
    const { cloud } = prepare(parse(name, new Uint8Array(await readFile(file))), model, name);
    answers.push({ cloud: [...cloud] });
  } catch (error) {
    answers.push({ kind: error.constructor.name, error: error.message });
  }
}
console.log(JSON.stringify(answers));
