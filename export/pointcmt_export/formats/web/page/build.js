/** Build the page: bundles of our sources with the pinned packages, into `dist`. */
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const OUT = "dist";
const RUNTIME = "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm";

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT);
await build({
  entryPoints: ["src/page.js", "src/worker.js"],
  outdir: OUT,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
});
await cp(`node_modules/${RUNTIME}`, `${OUT}/onnxruntime.wasm`);
for (const file of ["index.html", "page.css"]) await cp(`src/${file}`, `${OUT}/${file}`);
await writeFile(`${OUT}/licences.txt`, await licences());

/** The licences of all that the bundles hold, as they ask. */
async function licences() {
  const { dependencies } = JSON.parse(await readFile("package.json", "utf8"));
  const parts = Object.entries(dependencies).map(async ([name, version]) => {
    const texts = await Promise.all(
      ["LICENSE", "LICENSE.md", "license", "LICENSE.txt"].map((file) =>
        readFile(`node_modules/${name}/${file}`, "utf8").catch(() => ""),
      ),
    );
    const { license } = JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8"));
    return `${name} ${version} (${license})\n\n${texts.find(Boolean) ?? ""}`;
  });
  return (await Promise.all(parts)).join("\n\n");
}
