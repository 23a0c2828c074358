// The descent again, in the browser: plain gradient descent on J(theta) = J_c + g.d + d.H.d / 2, d = theta - c.
"use strict";
(function () {
  const source = document.getElementById("bowl");
  if (!source) return;
  const bowl = JSON.parse(source.textContent), p = bowl.centre.length;
  const H = Array.from({ length: p }, (_, i) => Array.from({ length: p }, (_, j) => bowl.curvature[Math.max(i, j)][Math.min(i, j)]));

  function gradient(theta) {
    const d = theta.map((v, i) => v - bowl.centre[i]), g = bowl.slope.slice();
    for (let i = 0; i < p; i++) { let s = 0; for (let j = 0; j < p; j++) s += H[i][j] * d[j]; g[i] += s; }
    return g;
  }
  function loss(theta) {
    const d = theta.map((v, i) => v - bowl.centre[i]);
    let J = bowl.loss;
    for (let i = 0; i < p; i++) { let s = 0; for (let j = 0; j < p; j++) s += H[i][j] * d[j]; J += d[i] * (bowl.slope[i] + s / 2); }
    return J;
  }
  function descend(lr, steps) {
    let theta = bowl.start.slice();
    const losses = [], way = [];
    for (let t = 0; t <= steps; t++) {
      losses.push(loss(theta)); way.push(theta);
      if (!Number.isFinite(losses[t])) break;  // it has overflowed: nothing comes after
      const g = gradient(theta);
      theta = theta.map((v, i) => v - lr * g[i]);
    }
    return { losses, way };
  }
  window.fallline = { descend, gradient, loss };

  const rate = document.getElementById("rate"), step = document.getElementById("update");
  if (!rate || !step) return;
  const told = (v) => (v === 0 ? "0" : Math.abs(v) >= 1e5 || Math.abs(v) < 1e-3 ? v.toExponential(3) : String(+v.toPrecision(5)));
  const chart = document.getElementById("again-chart"), own = document.querySelector("svg.surface .own"), surface = document.querySelector("svg.surface");
  const box = { w: 680, h: 300, l: 78, r: 14, t: 14, b: 44 };
  const ends = (name) => surface.dataset[name].split(",").map(Number);

  function line(points, style) { return `<polyline class="line ${style}" points="${points.map((q) => q.map((v) => v.toFixed(1)).join(",")).join(" ")}"/>`; }
  function draw() {
    const lr = 10 ** Number(rate.value), n = Number(document.getElementById("steps").value), run = descend(lr, n);
    const best = bowl.bottom, start = run.losses[0] - best;
    document.getElementById("rate-told").textContent =
      `${told(lr)}  =  ${told((lr * bowl.L) / 2)} of the largest stable one (2/L = ${told(2 / bowl.L)})`;
    const high = Math.log10(Math.max(start, 1e-300)) + 2, low = Math.log10(Math.max(start, 1e-300)) - 10;
    const x = (t) => box.l + ((box.w - box.l - box.r) * t) / n;
    const y = (J) => { const v = Math.log10(Math.max(J - best, 1e-300)); return box.h - box.b - (box.h - box.t - box.b) * Math.min(Math.max((v - low) / (high - low), 0), 1); };
    let body = `<path class="axis" d="M${box.l} ${box.t}V${box.h - box.b}H${box.w - box.r}"/>`;
    for (let e = Math.ceil(low); e <= high; e += 2) { const at = y(10 ** e + best); body += `<path class="grid" d="M${box.l} ${at}H${box.w - box.r}"/><text x="${box.l - 7}" y="${at + 4}" text-anchor="end">1e${e}</text>`; }
    body += `<text x="${box.l}" y="${box.h - 27}">0</text><text x="${box.w - box.r}" y="${box.h - 27}" text-anchor="end">${n} steps</text>`;
    body += `<text class="label" x="${(box.l + box.w) / 2}" y="${box.h - 6}" text-anchor="middle">loss above the best by step, log scale</text>`;
    const finite = run.losses.findIndex((J) => !Number.isFinite(J)), shown = finite < 0 ? run.losses : run.losses.slice(0, finite);
    chart.querySelector("g").innerHTML = body + line(shown.map((J, t) => [x(t), y(J)]), "c0");
    const end = shown[shown.length - 1] - best, first = run.losses[1] - run.losses[0];
    const word = lr * bowl.L > 2 ? (first > 0 || end > start ? "It diverges: every step overshoots further along the steepest direction." : "It will diverge: the steepest direction grows, slowly still.")
      : end <= 1e-6 * start ? "It converges." : lr * bowl.L > 1.5 ? "It jumps over the valley at every step, and back." : lr * bowl.L < 0.2 ? "It crawls: the step is short." : "It falls, along a narrow valley.";
    document.getElementById("again-told").textContent = `${word} After ${shown.length - 1} steps the loss is ${told(Math.max(end, 0))} above the best.`;
    chart.querySelector("desc").textContent = document.getElementById("again-told").textContent;
    step.max = String(Math.max(0, shown.length - 2));
    if (Number(step.value) > Number(step.max)) step.value = step.max;
    if (surface && own) {
      const [i, j] = bowl.pair, [xa, xb] = ends("x"), [ya, yb] = ends("y");
      const put = (theta) => [box.l + ((box.w - box.l - box.r) * (theta[i] - xa)) / (xb - xa), box.h - box.b - ((box.h - box.t - box.b) * (theta[j] - ya)) / (yb - ya)];
      const inside = ([a, b]) => a > -2000 && a < 3000 && b > -2000 && b < 3000;
      const way = run.way.map(put), until = way.findIndex((q) => !inside(q)), t = Number(step.value);
      own.setAttribute("clip-path", "inset(0)");
      const here = put(run.way[t]);
      own.innerHTML = line(until < 0 ? way : way.slice(0, until), "c2") + (inside(here) ? `<circle class="dot c2" cx="${here[0]}" cy="${here[1]}" r="5"/>` : "");
    }
    update(lr, run.way[Number(step.value)]);
  }
  function update(lr, theta) {
    const g = gradient(theta), rows = bowl.shown.map((k) => `<tr><th scope="row">${bowl.names[k]}</th><td class="n">${told(theta[k])}</td><td class="n">${told(lr)} &times; ${told(g[k])}</td><td class="n">${told(theta[k] - lr * g[k])}</td></tr>`);
    document.getElementById("step-told").textContent = `update ${Number(step.value) + 1}: loss ${told(loss(theta))} -> ${told(loss(theta.map((v, i) => v - lr * g[i])))}`;
    document.getElementById("arithmetic").innerHTML = rows.join("");
  }
  const escape = document.createElement("span");
  bowl.names = bowl.names.map((name) => { escape.textContent = name; return escape.innerHTML; });
  for (const control of [rate, step, document.getElementById("steps")]) control.addEventListener("input", draw);
  document.querySelectorAll(".live").forEach((tool) => { tool.hidden = false; });
  document.querySelectorAll(".still").forEach((table) => { table.hidden = true; });  // the slider shows it better
  window.addEventListener("beforeprint", () => document.querySelectorAll(".still").forEach((table) => { table.hidden = false; }));
  window.addEventListener("afterprint", () => document.querySelectorAll(".still").forEach((table) => { table.hidden = true; }));
  draw();
})();
