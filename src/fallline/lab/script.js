"use strict";
(function () {
  const known = JSON.parse(document.getElementById("data").textContent), at = (id) => document.getElementById(id);
  const STYLES = ["c0", "c1", "c2", "c3", "c4"], box = { w: 560, h: 320, l: 70, r: 12, t: 12, b: 40 };
  let lanes = [], ground = null;
  const told = (v) => (v === null || v === undefined ? "infinite" : v === 0 ? "0" : Math.abs(v) >= 1e5 || Math.abs(v) < 1e-3 ? v.toExponential(2) : String(+v.toPrecision(4)));
  const safe = (text) => { const span = document.createElement("span"); span.textContent = text; return span.innerHTML; };
  const link = (path, query) => `${path}?${new URLSearchParams(query)}`;

  history.replaceState(null, "", location.pathname); // the token is in a cookie by now, and not for the address bar
  for (const [key, problem] of Object.entries(known.problems)) at("problem").add(new Option(problem.title, key));
  for (const [name, words] of Object.entries(known.optimizers))
    at("optimizers").insertAdjacentHTML("beforeend", `<label><input type="checkbox" name="optimizer" value="${safe(name)}"${name === "descent" ? " checked" : ""}> ${safe(name)} <span class="soft">${safe(words)}</span></label>`);

  const problem = () => known.problems[at("problem").value];
  function batch() { const k = Number(at("batch").value), rows = problem().rows, size = 2 ** k; return k >= 12 || size >= rows ? 0 : size; }
  function show() {
    at("problem-told").textContent = `${problem().sentence} ${problem().size}, ${problem().loss} loss.`;
    at("rate").disabled = at("auto").checked;
    at("rate-told").textContent = at("auto").checked ? "automatic" : told(10 ** Number(at("rate").value));
    at("batch-told").textContent = batch() ? String(batch()) : `all ${problem().rows}`;
    at("passes-told").textContent = String(Math.round(10 ** Number(at("passes").value)));
    at("pause-told").textContent = `${at("pause").value} ms`;
  }
  async function floor() {
    const answer = await fetch(link("/ground", { problem: at("problem").value, standardize: at("standardize").checked ? "yes" : "no" }));
    ground = answer.ok ? await answer.json() : null;
    const lines = document.querySelector("#surface .lines");
    lines.innerHTML = "";
    if (!ground || !ground.lines.length) { at("ground-told").textContent = "With one weight there is no plane to draw."; return; }
    lines.innerHTML = ground.lines.map((line) => `<polyline class="contour" points="${line.map(([a, b]) => put([a, b]).map((v) => v.toFixed(1)).join(",")).join(" ")}"/>`).join("") +
      `<path class="axis" d="M${box.l} ${box.t}V${box.h - box.b}H${box.w - box.r}"/><text class="label" x="${(box.l + box.w) / 2}" y="${box.h - 8}" text-anchor="middle">${safe(ground.names[0])}</text>` +
      `<text class="label" x="16" y="${box.h / 2}" text-anchor="middle" transform="rotate(-90 16 ${box.h / 2})">${safe(ground.names[1])}</text>`;
    at("ground-told").textContent = `Plain gradient descent is stable below 2/L = ${told(ground.limit)} here${ground.exact ? "" : " (near the bottom)"}. Contours: ${ground.exact ? "the loss" : "the loss near its lowest point"}.`;
  }
  function put([a, b]) {
    const [x0, x1] = ground.x, [y0, y1] = ground.y;
    return [box.l + ((box.w - box.l - box.r) * (a - x0)) / (x1 - x0), box.h - box.b - ((box.h - box.t - box.b) * (b - y0)) / (y1 - y0)];
  }
  function draw() {
    const points = lanes.flatMap((lane) => lane.curve), g = document.querySelector("#curve g");
    if (!points.length) { g.innerHTML = ""; return; }
    const lowest = ground && Number.isFinite(ground.lowest) && ground.exact ? Math.min(ground.lowest, ...points.map((q) => q[1])) : Math.min(...points.map((q) => q[1]));
    const above = (J) => Math.log10(Math.max(J - lowest, 1e-12 * Math.max(Math.abs(lowest), 1e-300)) + 1e-300);
    const high = Math.max(...points.map((q) => above(q[1]))), low = Math.max(Math.min(...points.map((q) => above(q[1]))), high - 14), far = Math.max(1, ...points.map((q) => q[0]));
    const x = (p) => box.l + ((box.w - box.l - box.r) * p) / far, y = (J) => box.h - box.b - ((box.h - box.t - box.b) * Math.max(above(J) - low, 0)) / Math.max(high - low, 1e-9);
    let body = `<path class="axis" d="M${box.l} ${box.t}V${box.h - box.b}H${box.w - box.r}"/>`;
    for (let e = Math.ceil(low); e <= high; e += Math.max(1, Math.ceil((high - low) / 6))) { const h = box.h - box.b - ((box.h - box.t - box.b) * (e - low)) / Math.max(high - low, 1e-9); body += `<path class="grid" d="M${box.l} ${h}H${box.w - box.r}"/><text x="${box.l - 6}" y="${h + 4}" text-anchor="end">1e${e}</text>`; }
    body += `<text x="${box.l}" y="${box.h - 24}">0</text><text x="${box.w - box.r}" y="${box.h - 24}" text-anchor="end">${told(far)} passes</text><text class="label" x="${(box.l + box.w) / 2}" y="${box.h - 6}" text-anchor="middle">loss above the best, log scale</text>`;
    g.innerHTML = body + lanes.map((lane) => `<polyline class="line ${lane.style}" points="${thin(lane.curve).map(([p, J]) => `${x(p).toFixed(1)},${y(J).toFixed(1)}`).join(" ")}"/>`).join("");
    if (ground && ground.lines.length)
      document.querySelector("#surface .ways").innerHTML = lanes.map((lane) => {
        const way = thin(lane.way).map(put).filter(([a, b]) => Math.abs(a) < 5000 && Math.abs(b) < 5000), end = way[way.length - 1];
        return way.length ? `<polyline class="line ${lane.style}" points="${way.map((q) => q.map((v) => v.toFixed(1)).join(",")).join(" ")}"/><circle class="dot ${lane.style}" cx="${end[0]}" cy="${end[1]}" r="5"/>` : "";
      }).join("");
  }
  const thin = (list) => { const every = Math.ceil(list.length / 600); return list.filter((_, k) => k % every === 0 || k === list.length - 1); };
  let due = false;
  function soon() { if (!due) { due = true; requestAnimationFrame(() => { due = false; draw(); }); } }

  function step(lane, message) {
    if (message.exact !== null || lane.noisy) { const J = message.exact ?? message.loss; if (J !== null) lane.curve.push([message.passes, J]); }
    if (ground && ground.pair && message.theta.every((v) => v !== null)) lane.way.push(ground.pair.map((k) => message.theta[k]));
    lane.words.textContent = `step ${message.step}, loss ${told(message.exact ?? message.loss)}, rate ${told(message.rate)}`;
    for (const found of message.findings) lane.found.insertAdjacentHTML("beforeend", `<p class="warn">${safe(found)}</p>`);
    if (lane === lanes[0] && message.gradient) arithmetic(lane, message);
    soon();
  }
  function arithmetic(lane, message) {
    const plain = lane.name === "descent";
    at("step-told").textContent = plain ? `step ${message.step + 1} of ${lane.name}: theta - rate x gradient` : `step ${message.step + 1} of ${lane.name}: the gradient that it is given, and what plain descent would make of it`;
    at("arithmetic").innerHTML = message.gradient.map((g, k) => `<tr><th scope="row">${safe(lane.names[k] ?? `theta ${k}`)}</th><td class="n">${told(message.theta[k])}</td><td class="n">${told(message.rate)} &times; ${told(g)}</td><td class="n">${told(message.theta[k] - message.rate * g)}</td></tr>`).join("");
  }
  function end(lane, message) {
    lane.source.close();
    lane.done = true;
    if (message.kind === "refused") lane.words.innerHTML = `<b>refused</b> ${safe(message.sentence)}`;
    else {
      lane.words.innerHTML = `<b>${safe(message.verdict)}</b> (${safe(message.certainty)}): ${safe(message.sentence)}`;
      lane.found.innerHTML = `<p class="soft">${message.steps} steps, loss ${told(message.loss)}; rate: ${safe(message.rate)}</p>` + message.findings.map((f) => `<p class="warn">${safe(f.code)} ${safe(f.sentence)}</p>`).join("");
    }
    if (lanes.every((one) => one.done)) at("stop").disabled = true;
    soon();
  }
  function stop() { for (const lane of lanes) if (!lane.done) { lane.source.close(); lane.done = true; lane.words.textContent += " - stopped"; } at("stop").disabled = true; }
  async function go(event) {
    event.preventDefault();
    stop();
    const names = [...document.querySelectorAll("[name=optimizer]:checked")].map((input) => input.value).slice(0, STYLES.length);
    at("lanes").innerHTML = names.length ? "" : "<p>Choose an optimizer.</p>";
    lanes = [];
    await floor();
    at("stop").disabled = !names.length;
    names.forEach((name, k) => {
      at("lanes").insertAdjacentHTML("beforeend", `<div class="lane ${STYLES[k]}"><p><b>${safe(name)}</b></p><p class="words">starting</p><div class="found"></div></div>`);
      const own = at("lanes").lastElementChild, size = batch();
      const lane = { name, style: STYLES[k], curve: [], way: [], done: false, noisy: false, names: ground ? ground.all ?? [] : [], words: own.querySelector(".words"), found: own.querySelector(".found") };
      lane.source = new EventSource(link("/run", {
        problem: at("problem").value, optimizer: name, rate: at("auto").checked ? "auto" : String(10 ** Number(at("rate").value)), batch: String(size), passes: String(Math.round(10 ** Number(at("passes").value))),
        standardize: at("standardize").checked ? "yes" : "no", pause: String(Number(at("pause").value) / 1000), seed: at("seed").value || "0",
      }));
      lane.source.onmessage = (event) => { const message = JSON.parse(event.data); if (message.kind === "step") step(lane, message); else end(lane, message); };
      lane.source.onerror = () => { if (!lane.done) { lane.source.close(); lane.done = true; lane.words.textContent += " - the lab has ended"; } };
      lanes.push(lane);
    });
  }
  at("knobs").addEventListener("input", show);
  at("problem").addEventListener("change", floor);
  at("standardize").addEventListener("change", floor);
  at("knobs").addEventListener("submit", go);
  at("stop").addEventListener("click", stop);
  show();
  floor();
})();
