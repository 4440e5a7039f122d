"use strict";
const byId = (id) => document.getElementById(id);
const headers = () => (byId("key").value ? { Authorization: "Bearer " + byId("key").value } : {});

async function listModels() {
  const answer = await fetch("v2/repository/index", { method: "POST", headers: headers(), body: '{"ready": true}' });
  if (!answer.ok) { byId("note").textContent = (await answer.json()).error; return; }
  const chosen = byId("model").value;
  const names = [...new Set((await answer.json()).map((model) => model.name))];
  byId("model").replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
  byId("note").textContent = "";
}

function row(cells, failed) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const place = document.createElement("td");
    place.append(cell);
    line.append(place);
  }
  if (failed) line.className = "error";
  return line;
}

function rows(answer) {
  if (answer.error) return [row([answer.file, answer.error, "", ""], true)];
  return answer.top.map((best, place) => {
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.style.width = (100 * best.probability).toFixed(1) + "%";
    return row([place ? "" : answer.file, best.label, best.probability.toFixed(3), bar], false);
  });
}

async function classify(files) {
  const body = new FormData();
  for (const file of files) body.append("file", file);
  body.append("model", byId("model").value);
  body.append("top", byId("top").value);
  byId("note").textContent = "Classifying ...";
  const answer = await fetch("classify", { method: "POST", headers: headers(), body });
  const found = await answer.json();
  byId("note").textContent = found.error || "";
  if (found.error) return;
  byId("answers").hidden = false;
  byId("answers").tBodies[0].replaceChildren(...found.answers.flatMap(rows));
}

byId("files").addEventListener("change", () => classify(byId("files").files));
byId("form").addEventListener("submit", (event) => event.preventDefault());
byId("key").addEventListener("change", listModels);
const drop = byId("drop");
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  classify(event.dataTransfer.files);
});
listModels();
