// Hearth's page: draws through ComfyUI's API, chats through OpenAI's, and shows what the server does. No library, no
// build step. Whatever comes from the server is written as text, never as markup.
"use strict";

const el = id => document.getElementById(id);
const PAGE_OF_PICTURES = 60;
const SIZES = [["1024x1024", "1024 × 1024, SDXL"], ["832x1216", "832 × 1216, portrait"],
  ["1216x832", "1216 × 832, landscape"], ["1344x768", "1344 × 768, wide"], ["768x768", "768 × 768"],
  ["512x512", "512 × 512, SD 1.5"], ["512x768", "512 × 768"], ["128x128", "128 × 128, icons"], ["own", "own size"]];
const SPRITE = "sprite.safetensors";  // comes with the program and draws icons, whatever the family's size is
const WHAT_A_NODE_DOES = {CheckpointLoaderSimple: "loading the model", CLIPTextEncode: "reading the prompt",
  KSampler: "drawing", KSamplerAdvanced: "drawing", SamplerCustom: "drawing", SamplerCustomAdvanced: "drawing",
  VAEDecode: "making pixels", VAEDecodeTiled: "making pixels", SaveImage: "saving", LoraLoader: "loading a LoRA"};
const KEPT = ["prompt", "negative", "model", "preset", "size", "count", "width", "height", "seed", "random", "steps",
  "cfg", "sampler", "scheduler", "batch"];

const state = {
  presets: [], checkpoints: [], languageModels: [],
  graphs: new Map(),   // prompt id -> graph, of everything queued, running or shown
  shown: new Map(),    // key of a picture -> its gallery item
  order: [],           // keys of the gallery, newest first
  limit: PAGE_OF_PICTURES,
  previews: 0,         // previews that have come
  current: null,       // {id, began, node}: the drawing whose events arrive here
  remaining: null,     // jobs, by the last status
  viewed: null, talk: [], answer: null,
  compute: undefined,  // of a picture whose settings are used; null: it had none; undefined: as the preset says
};

// ---- Helpers

function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-") || name.startsWith("data-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

const size = bytes => bytes >= 2 ** 30 ? (bytes / 2 ** 30).toFixed(1) + " GiB" : Math.round(bytes / 2 ** 20) + " MiB";
const key = () => decodeURIComponent((document.cookie.match(/(?:^|; )hearth_key=([^;]*)/) || [])[1] || "");

// Whole numbers that a double cannot hold, seeds for example, become text; the server takes them in that form too.
function parse(text) {
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER && context && /^-?\d+$/.test(context.source)
      ? context.source : value);
}

class Refusal extends Error {
  constructor(status, body) {
    super(reason(status, body));
    this.status = status;
  }
}

async function ask(path, body, more = {}) {
  const headers = key() ? {authorization: "Bearer " + key()} : {};
  if (body !== undefined) Object.assign(more, {method: "POST", body: JSON.stringify(body)});
  let answer;
  try {
    answer = await fetch(path, {...more, headers: {...headers, "content-type": "application/json"}});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is `hearth serve` still running?");
  }
  el("key-row").hidden = answer.status !== 401;
  if (answer.ok) return answer;
  const text = await answer.text();
  let parsed = text;
  try { parsed = parse(text); } catch { /* plain text */ }
  throw new Refusal(answer.status, parsed);
}

async function get(path) {
  const text = await (await ask(path)).text();
  return text ? parse(text) : null;
}

// One sentence or a few, in the user's words, of any error body.
function reason(status, body) {
  if (status === 401) return "This server wants an API key: type it above.";
  const faults = Object.values(body?.node_errors || {})
    .flatMap(node => node.errors.map(fault => nodeFault(node, fault)));
  if (faults.length) return [...new Set(faults)].join("\n");
  if (body?.error?.type === "missing_node_type") return body.error.message;
  const said = body?.error?.message || body?.error || body;
  return typeof said === "string" && said ? said : `The server answers ${status}.`;
}

function nodeFault(node, fault) {
  const name = fault.extra_info?.input_name, value = fault.extra_info?.received_value;
  if (fault.type === "value_not_in_list" && /ckpt|lora|vae|model/.test(name)) return missingFile(name, value);
  return `${node.class_type}: ${fault.message} (${fault.details})`;
}

function missingFile(name, value) {
  const folders = {ckpt_name: "checkpoints", lora_name: "loras", vae_name: "vae", unet_name: "diffusion_models"};
  return `There is no “${value}” here. Put the file into the folder ${folders[name] || name}/ of your models ` +
    "(pictures.models_dir, or the ComfyUI folder that pictures.comfyui_dir names) and try again; no restart is " +
    "needed. Or choose a model that is here.";
}

function complain(what) {
  const text = what instanceof Error ? what.message : String(what);
  if ([...el("errors").children].some(line => line.dataset.text === text)) return;
  const line = make("div", {className: "error", "data-text": text}, make("span", {textContent: text}));
  line.append(make("button", {type: "button", textContent: "Dismiss", onclick: () => line.remove()}));
  el("errors").append(line);
}

// Starts at once, so that the work may still cancel the event it was given.
const guarded = work => (...given) => (async () => work(...given))().catch(complain);

// Runs `work` once soon, however often it is asked meanwhile.
function soon(work, ms = 120) {
  let timer = 0;
  return () => { timer ||= setTimeout(() => { timer = 0; guarded(work)(); }, ms); };
}

function options(select, pairs) {
  const before = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => make("option", {value, textContent: text ?? value})));
  if (pairs.some(([value]) => value === before)) select.value = before;
}

// ---- The form and the graph it stands for

// False for a choice that is not in its list.
function canBe(field, value) {
  return field.tagName !== "SELECT" || [...field.options].some(option => option.value === String(value));
}

function randomSeed() {
  const words = crypto.getRandomValues(new Uint32Array(2));
  return (words[0] % 2 ** 21) * 2 ** 32 + words[1];
}

// A seed as it goes over the wire: a number where a double holds it, else text.
function wireSeed(seed) {
  const whole = BigInt(seed) & 0xffffffffffffffffn;
  return whole <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(whole) : whole.toString();
}

function formSettings() {
  const chosen = el("size").value;
  const [width, height] = chosen === "own" ? [el("width").value, el("height").value] : chosen.split("x");
  return {prompt: el("prompt").value, negative: el("negative").value, model: el("model").value, width: +width,
    height: +height, seed: el("seed").value, steps: +el("steps").value, cfg: +el("cfg").value,
    sampler: el("sampler").value, scheduler: el("scheduler").value, batch: +el("batch").value,
    count: +el("count").value, compute: state.compute === undefined ? chosenPreset()?.compute : state.compute};
}

const chosenPreset = () => state.presets.find(each => each.name === el("preset").value);

function graphOf(s) {
  const node = (class_type, inputs, title) => ({class_type, inputs, _meta: {title: title || class_type}});
  const from = s.compute ? "8" : "1";  // what a preset says of memory and attention
  const compute = s.compute && {8: node("HearthComputeOptions",
    {model: ["1", 0], clip: ["1", 1], vae: ["1", 2], ...s.compute})};
  return {
    1: node("CheckpointLoaderSimple", {ckpt_name: s.model}), ...compute,
    2: node("CLIPTextEncode", {text: s.prompt, clip: [from, 1]}, "Prompt"),
    3: node("CLIPTextEncode", {text: s.negative, clip: [from, 1]}, "Negative prompt"),
    4: node("EmptyLatentImage", {width: s.width, height: s.height, batch_size: s.batch}),
    5: node("KSampler", {model: [from, 0], seed: wireSeed(s.seed), steps: s.steps, cfg: s.cfg, sampler_name: s.sampler,
      scheduler: s.scheduler, positive: ["2", 0], negative: ["3", 0], latent_image: ["4", 0], denoise: 1}),
    6: node("VAEDecode", {samples: ["5", 0], vae: [from, 2]}),
    7: node("SaveImage", {images: ["6", 0], filename_prefix: "hearth"}),
  };
}

// The nearest value of input `name` at or before what `link` names; graphs of other programs have nodes in between.
function upstream(graph, link, name, depth = 0) {
  const node = Array.isArray(link) ? graph[link[0]] : null;
  if (!node || depth > 20) return undefined;
  const value = node.inputs[name];
  if (value !== undefined && !Array.isArray(value)) return value;
  for (const next of Object.values(node.inputs)) {
    const found = Array.isArray(next) ? upstream(graph, next, name, depth + 1) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

// What a graph says of memory and attention; null where it leaves that to the server.
function computeOf(graph) {
  const inputs = Object.values(graph).find(node => node.class_type === "HearthComputeOptions")?.inputs;
  return inputs ? Object.fromEntries(Object.entries(inputs).filter(([, value]) => !Array.isArray(value))) : null;
}

// What of a graph the form can show; what it cannot find stays undefined.
function settingsOf(graph) {
  const sampler = Object.values(graph).find(node => node.inputs?.positive && node.inputs.latent_image);
  const anyText = Object.values(graph).find(node => typeof node.inputs?.text === "string")?.inputs.text;
  if (!sampler) return {prompt: anyText};
  const from = sampler.inputs;
  return {prompt: upstream(graph, from.positive, "text") ?? anyText, negative: upstream(graph, from.negative, "text"),
    model: upstream(graph, from.model, "ckpt_name"), seed: from.seed ?? from.noise_seed, steps: from.steps,
    cfg: from.cfg, sampler: from.sampler_name, scheduler: from.scheduler,
    width: upstream(graph, from.latent_image, "width"), height: upstream(graph, from.latent_image, "height"),
    batch: upstream(graph, from.latent_image, "batch_size"), compute: computeOf(graph)};
}

function useSettings(s) {
  const simple = {prompt: s.prompt, negative: s.negative, model: s.model, steps: s.steps, cfg: s.cfg,
    sampler: s.sampler, scheduler: s.scheduler, batch: s.batch, count: s.batch};
  for (const [id, value] of Object.entries(simple)) {
    if (value === undefined || Array.isArray(value)) continue;
    if (!canBe(el(id), value)) {
      if (id === "model") complain(missingFile("ckpt_name", value));
      continue;
    }
    el(id).value = value;
  }
  if (s.width && s.height) chooseSize(s.width, s.height);
  if (s.seed !== undefined && !Array.isArray(s.seed)) { el("seed").value = s.seed; el("random").checked = false; }
  if (s.compute !== undefined) useCompute(s.compute);
  keepForm();
  el("prompt").focus();
}

// The preset's own say is not kept twice: a change of the preset still counts.
function useCompute(compute) {
  const said = options => JSON.stringify(Object.entries(options || {}).sort());
  state.compute = said(compute) === said(chosenPreset()?.compute) ? undefined : compute;
  notePreset();
}

function notePreset() {
  const picture = state.compute && Object.entries(state.compute).filter(([, value]) => value !== "default")
    .map(([name, value]) => `${name.replace("_", " ")} ${value}`).join(", ");
  el("preset-note").textContent = state.compute === undefined ? chosenPreset()?.note || ""
    : `Memory and attention as in that picture: ${picture || "as the server has it"}. Choose a preset to change them.`;
}

function chooseSize(width, height) {
  const name = `${width}x${height}`;
  el("size").value = SIZES.some(([known]) => known === name) ? name : "own";
  el("width").value = width;
  el("height").value = height;
  el("own-size").hidden = el("size").value !== "own";
}

function useSizeOfModel() {
  if (el("model").value === SPRITE) chooseSize(128, 128);
  else if (el("size").value === "128x128") chooseSize(...SIZES[0][0].split("x"));
}

function usePreset() {
  const preset = chosenPreset();
  if (!preset) return;
  state.compute = undefined;
  useValues({steps: preset.steps, cfg: preset.cfg, sampler: preset.sampler, scheduler: preset.scheduler,
    batch: preset.batch, count: preset.batch});
  if (preset.negative) el("negative").value = preset.negative;
  if (preset.width && preset.height) chooseSize(preset.width, preset.height);
  notePreset();
}

function useValues(values) {
  for (const [id, value] of Object.entries(values)) if (value !== undefined && value !== null) el(id).value = value;
}

function keepForm() {
  const kept = Object.fromEntries(KEPT.map(id => [id, el(id).type === "checkbox" ? el(id).checked : el(id).value]));
  kept.compute = state.compute;  // undefined is not kept
  try { localStorage.setItem("hearth.form", JSON.stringify(kept)); } catch { /* not allowed: nothing is kept */ }
}

function restoreForm() {
  let kept = {};
  try { kept = JSON.parse(localStorage.getItem("hearth.form")) || {}; } catch { /* nothing kept */ }
  for (const id of KEPT) {
    if (kept[id] === undefined) continue;
    if (el(id).type === "checkbox") el(id).checked = kept[id];
    else if (canBe(el(id), kept[id])) el(id).value = kept[id];
  }
  state.compute = kept.compute;
  el("own-size").hidden = el("size").value !== "own";
  return kept.preset !== undefined;
}

// ---- Drawing

async function queue(graph) {
  const answer = parse(await (await ask("/prompt", {prompt: graph, client_id: clientId(),
    extra_data: {preview_method: "auto"}})).text());
  state.graphs.set(answer.prompt_id, graph);
  nameDrawing();
  for (const node of Object.values(answer.node_errors || {})) {
    node.errors.forEach(fault => complain(nodeFault(node, fault)));
  }
  refreshQueue();
}

async function draw(event) {
  event.preventDefault();
  if (!state.checkpoints.length) return loadPictureModels();
  if (el("random").checked) el("seed").value = randomSeed();
  keepForm();
  const s = formSettings();
  el("go").disabled = true;
  el("errors").replaceChildren();
  try {
    // Each job draws `batch` pictures from one seed; the next job takes the next seed.
    for (let left = s.count, job = 0; left > 0; left -= s.batch, ++job) {
      await queue(graphOf({...s, batch: Math.min(left, s.batch), seed: BigInt(s.seed) + BigInt(job)}));
    }
  } finally { el("go").disabled = false; }
}

async function sameAgain(graph) {
  const copy = structuredClone(graph), seed = randomSeed();
  for (const node of Object.values(copy)) {
    for (const name of ["seed", "noise_seed"]) {
      if (node.inputs[name] !== undefined && !Array.isArray(node.inputs[name])) node.inputs[name] = seed;
    }
  }
  await queue(copy);
}

async function loadPictureModels() {
  const [loader, sampler, presets] = await Promise.all([get("/object_info/CheckpointLoaderSimple"),
    get("/object_info/KSampler"), get("/hearth/presets").catch(() => [])]);  // ComfyUI itself has no presets
  const list = (info, node, name) => {
    const spec = info?.[node]?.input.required[name];
    return (Array.isArray(spec?.[0]) ? spec[0] : spec?.[1]?.options) || [];
  };
  state.checkpoints = list(loader, "CheckpointLoaderSimple", "ckpt_name");
  state.presets = presets || [];
  options(el("model"), state.checkpoints.map(name => [name]));
  options(el("sampler"), list(sampler, "KSampler", "sampler_name").map(name => [name]));
  options(el("scheduler"), list(sampler, "KSampler", "scheduler").map(name => [name]));
  options(el("preset"), state.presets.map(preset => [preset.name]));
  el("go").disabled = !state.checkpoints.length;
  el("no-checkpoint").hidden = state.checkpoints.length > 0;
  if (!state.checkpoints.length) await tellNoCheckpoint();
}

async function tellNoCheckpoint() {
  const folders = (await get("/api/experiment/models") || []).find(each => each.name === "checkpoints")?.folders || [];
  el("no-checkpoint").replaceChildren("No picture model here yet. Put a checkpoint of the SDXL or SD 1.5 family ",
    "(.safetensors or .ckpt) into ", make("code", {textContent: folders[0] || "checkpoints/ of pictures.models_dir"}),
    ", or let ", make("code", {textContent: "pictures.comfyui_dir"}), " in hearth.toml name a ComfyUI folder. ",
    make("button", {type: "button", textContent: "Look again", onclick: guarded(loadPictureModels)}));
}

// A server without ComfyUI's API: the rest of the page works.
function drawNothing() {
  el("no-checkpoint").textContent = "This server was started without the part that draws.";
  el("no-checkpoint").hidden = false;
  el("go").disabled = true;
  showConnection("open", "language models only");
}

// ---- The WebSocket: progress and previews

function clientId() {
  let id = sessionStorage.getItem("hearth.client");
  if (!id) {
    id = [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, "0")).join("");
    sessionStorage.setItem("hearth.client", id);
  }
  return id;
}

let socket, retryMs = 300;

function connect() {
  if (socket && socket.readyState <= WebSocket.OPEN) return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/ws?clientId=${clientId()}`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    socket.send(JSON.stringify({type: "feature_flags", data: {supports_preview_metadata: true}}));
    showConnection("open", "connected");
    retryMs = 300;
    refreshQueue();
    refreshGallery();
  };
  socket.onmessage = event => typeof event.data === "string" ? hear(parse(event.data)) : hearPreview(event.data);
  socket.onclose = () => {
    showConnection("lost", "connection lost, trying again…");
    setTimeout(connect, retryMs);
    retryMs = Math.min(retryMs * 1.6, 5000);
  };
}

function showConnection(name, text) {
  el("connection").dataset.state = name;
  el("connection").textContent = text;
}

const HEARD = {
  status: data => hearStatus(data.status.exec_info.queue_remaining),
  execution_start: data => { begin(data.prompt_id); refreshQueue(); },
  executing: data => data.node === null ? finish(data.prompt_id) : atNode(data),
  progress: data => step(data),
  execution_error: data => { complain(failure(data)); finish(data.prompt_id); },
  execution_interrupted: data => finish(data.prompt_id),
  execution_success: data => { finish(data.prompt_id); refreshGallery(); },
};

// A status also comes every few seconds while nothing changes.
function hearStatus(remaining) {
  if (remaining || remaining !== state.remaining) refreshQueue();
  if (remaining !== state.remaining) refreshGallery();
  state.remaining = remaining;
}

function hear(message) { HEARD[message.type]?.(message.data); }

function hearPreview(buffer) {
  const view = new DataView(buffer), kind = view.getUint32(0);
  let type, from;
  if (kind === 1) {
    type = view.getUint32(4) === 2 ? "image/png" : "image/jpeg";
    from = 8;
  } else if (kind === 4) {
    from = 8 + view.getUint32(4);
    type = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, from - 8))).image_type;
  } else return;
  return showPreview(new Blob([new Uint8Array(buffer, from)], {type}));
}

// A preview is shown once it is decoded, so that the picture on the page is always whole; a newer one may overtake it.
async function showPreview(blob) {
  const next = new Image(), turn = ++state.previews;
  next.src = URL.createObjectURL(blob);
  await next.decode().catch(() => {});
  const before = el("preview").src;
  if (turn !== state.previews || !state.current || !next.naturalWidth) return URL.revokeObjectURL(next.src);
  el("preview").src = next.src;
  el("preview").hidden = false;
  el("now").hidden = false;
  await el("preview").decode().catch(() => {});
  URL.revokeObjectURL(before);
}

function begin(id) {
  state.current = {id, began: 0, node: null};
  ++state.previews;  // what is still being decoded is of another drawing
  el("now").hidden = false;
  el("preview").hidden = true;
  el("progress").removeAttribute("value");
  el("now-step").textContent = "starting";
  nameDrawing();
}

// A drawing may begin before the answer that tells its id has arrived.
function nameDrawing() {
  if (state.current) el("now-text").textContent = settingsOf(state.graphs.get(state.current.id) || {}).prompt || "";
}

function atNode(data) {
  // After a reload the first message may be this one, without a prompt id.
  if (!state.current) begin(data.prompt_id);
  state.current.node = data.node;
  const kind = state.graphs.get(state.current.id)?.[data.node]?.class_type;
  el("progress").removeAttribute("value");
  el("now-step").textContent = WHAT_A_NODE_DOES[kind] || kind || "working";
}

function step(data) {
  if (!state.current) begin(data.prompt_id);
  const now = performance.now(), current = state.current;
  if (!current.began || data.value <= 1) Object.assign(current, {began: now, first: data.value});
  const done = data.value - current.first, left = data.max - data.value;
  const seconds = done > 0 ? (now - current.began) / 1000 / done : 0;
  el("progress").max = data.max;
  el("progress").value = data.value;
  el("now-step").textContent = `step ${data.value} of ${data.max}` +
    (seconds ? `, ${seconds.toFixed(seconds < 10 ? 2 : 0)} s a step, ${duration(seconds * left)} left` : "");
}

const duration = s => s < 90 ? Math.ceil(s) + " s" : Math.ceil(s / 60) + " min";

function finish(id) {
  if (state.current && id && state.current.id && state.current.id !== id) return;
  state.current = null;
  el("now").hidden = true;
}

function failure(data) {
  const text = (data.exception_message || "").trim();
  return `The drawing failed${data.node_type ? " in " + data.node_type : ""}: ${text || data.exception_type}`;
}

// ---- The queue

const refreshQueue = soon(async () => {
  const {queue_running, queue_pending} = await get("/queue");
  const waiting = queue_pending.sort((a, b) => a[0] - b[0]);
  const jobs = [...queue_running.map(job => [job, true]), ...waiting.map(job => [job, false])];
  jobs.forEach(([job]) => state.graphs.set(job[1], job[2]));
  el("queue").replaceChildren(...jobs.map(([job, running]) => queueLine(job, running)));
  el("queue-count").textContent = jobs.length ? `${jobs.length} to do` : "empty";
  el("cancel-all").hidden = !jobs.length;
  if (!queue_running.length) finish();
  else if (state.current && !state.current.id) state.current.id = queue_running[0][1];
  nameDrawing();
});

function queueLine([, id, graph], running) {
  const text = settingsOf(graph).prompt || "a workflow of another program";
  const cancel = make("button", {type: "button", textContent: "Cancel", "aria-label": "Cancel: " + text,
    onclick: guarded(async () => { await ask(`/api/jobs/${id}/cancel`, {}); refreshQueue(); })});
  return make("li", {className: running ? "running" : "", "data-id": id},
    make("span", {textContent: (running ? "drawing: " : "") + text, title: text}), cancel);
}

async function cancelAll() {
  await ask("/queue", {clear: true});
  await ask("/interrupt", {});
  refreshQueue();
}

// ---- The gallery

const address = (image, more = "") => "/view?" + new URLSearchParams(
  {filename: image.filename, subfolder: image.subfolder || "", type: image.type || "output"}) + more;

const refreshGallery = soon(async () => {
  const entries = Object.entries(await get("/history?max_items=" + state.limit));
  const items = entries.reverse().flatMap(([id, entry]) => galleryItems(id, entry));
  for (const [name, line] of state.shown) {
    if (!items.some(item => item.name === name)) { line.remove(); state.shown.delete(name); }
  }
  items.forEach((item, at) => {
    if (!state.shown.has(item.name)) state.shown.set(item.name, galleryLine(item));
    const line = state.shown.get(item.name);
    if (el("gallery").children[at] !== line) el("gallery").insertBefore(line, el("gallery").children[at] || null);
  });
  state.order = items.filter(item => item.image);
  el("no-pictures").hidden = items.length > 0;
  el("older").hidden = entries.length < state.limit;
});

function galleryItems(id, entry) {
  const graph = entry.prompt[2];
  state.graphs.set(id, graph);
  const images = Object.values(entry.outputs).flatMap(output => output.images || [])
    .filter(image => image.type !== "temp");
  const failed = entry.status.messages.find(([kind]) => kind === "execution_error");
  if (!images.length && failed) return [{name: id, id, graph, error: failure(failed[1])}];
  return images.map(image => ({name: id + address(image), id, graph, image}));
}

function galleryLine(item) {
  const text = settingsOf(item.graph).prompt || "a workflow of another program";
  const again = guarded(() => sameAgain(item.graph)), use = () => useSettings(settingsOf(item.graph));
  const actions = make("div", {className: "row"},
    make("button", {type: "button", textContent: "Same again, other seed", onclick: again}),
    make("button", {type: "button", textContent: "Use these settings", onclick: use}));
  if (!item.image) {
    return make("li", {className: "failed"}, make("p", {textContent: `${text}\n${item.error}`}), actions);
  }
  const picture = make("img", {src: address(item.image, "&preview=webp;80"), alt: text, loading: "lazy"});
  const open = make("button", {type: "button", className: "open", "aria-label": "Open in full size: " + text,
    onclick: () => view(item)}, picture);
  return make("li", {}, open, make("p", {textContent: text, title: text}), actions);
}

function view(item) {
  state.viewed = item;
  const s = settingsOf(item.graph);
  el("full").src = address(item.image);
  el("full").alt = s.prompt || "";
  el("full-text").textContent = [s.prompt, s.negative && "without: " + s.negative, s.model,
    s.width && `${s.width} × ${s.height}`, s.steps && `${s.steps} steps, CFG ${s.cfg}`,
    s.sampler && `${s.sampler}, ${s.scheduler}`,
    s.seed !== undefined && "seed " + s.seed].filter(Boolean).join(" · ");
  el("full-save").href = address(item.image);
  el("full-save").download = item.image.filename;
  const at = state.order.findIndex(each => each.name === item.name);
  el("full-before").disabled = at <= 0;
  el("full-after").disabled = at < 0 || at >= state.order.length - 1;
  if (!el("viewer").open) el("viewer").showModal();
}

function turn(by) {
  const at = state.order.findIndex(item => item.name === state.viewed?.name);
  if (state.order[at + by]) view(state.order[at + by]);
}

// ---- Chat

async function loadLanguageModels() {
  state.languageModels = (await get("/v1/models")).data.map(model => model.id);
  options(el("chat-model"), state.languageModels.map(name => [name]));
  const none = !state.languageModels.length;
  el("no-language-model").hidden = !none;
  el("send").disabled = none;
  el("message").disabled = none;
  showExamples();
}

function say(role, text) {
  const line = make("div", {className: role, textContent: text});
  el("chat-log").append(line);
  el("chat-log").scrollTop = el("chat-log").scrollHeight;
  return line;
}

async function chat(event) {
  event.preventDefault();
  const text = el("message").value.trim();
  if (!text || state.answer) return;
  el("message").value = "";
  state.talk.push({role: "user", content: text});
  say("user", text);
  const line = say("assistant", ""), answer = {content: "", tokens: 0, began: 0};
  state.answer = new AbortController();
  showAnswering(true);
  try {
    await readAnswer(answer, line);
  } catch (error) {
    if (error.name === "AbortError") line.classList.add("cut");
    else {
      line.classList.add("broken");
      line.textContent = answer.content + (answer.content ? "\n" : "") + error.message;
    }
  } finally {
    state.answer = null;
    if (answer.content) state.talk.push({role: "assistant", content: answer.content});
    else state.talk.pop();  // unanswered: asking again must not send it twice
    showAnswering(false);
  }
}

async function readAnswer(answer, line) {
  const reply = await ask("/v1/chat/completions", {model: el("chat-model").value, messages: state.talk, stream: true,
    stream_options: {include_usage: true}}, {signal: state.answer.signal});
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {done, value} = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const each of lines) if (each.startsWith("data: ")) hearWord(each.slice(6).trim(), answer, line);
  }
}

function hearWord(data, answer, line) {
  if (data === "[DONE]") return;
  const chunk = JSON.parse(data);
  if (chunk.error) throw new Error(reason(0, chunk));
  const word = chunk.choices?.[0]?.delta?.content;
  if (word) {
    answer.began ||= performance.now();
    answer.content += word;
    const log = el("chat-log"), follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    line.textContent = answer.content;
    if (follows) log.scrollTop = log.scrollHeight;
  }
  const tokens = chunk.usage?.completion_tokens, seconds = (performance.now() - answer.began) / 1000;
  if (tokens && answer.began) {
    const speed = tokens > 1 && seconds > 0.05 ? `, ${(tokens / seconds).toFixed(1)} a second` : "";
    el("chat-speed").textContent = `${tokens} tokens${speed}`;
  }
}

function showAnswering(is) {
  el("stop").hidden = !is;
  el("send").hidden = is;
  el("chat-log").setAttribute("aria-busy", is);
  if (is) el("chat-speed").textContent = "";
  else el("message").focus();
}

function newChat() {
  state.answer?.abort();
  state.talk = [];
  el("chat-log").replaceChildren();
  el("chat-speed").textContent = "";
}

// ---- Memory and examples

async function refreshMemory() {
  if (document.hidden) return;
  const device = (await get("/system_stats")).devices[0];
  const most = device.budget?.limit ?? device.vram_total;
  const used = device.budget?.leased ?? device.vram_total - device.vram_free;
  el("memory-meter").max = most;
  el("memory-meter").high = most * 0.9;
  el("memory-meter").value = used;
  el("memory-text").textContent = `${size(used)} of ${size(most)} in use`;
  el("memory-note").textContent = `${device.name}: ${size(device.vram_total)} in all` +
    `${device.memory_kind ? ` (${device.memory_kind})` : ""}; ${size(device.vram_free)} could be given to a model now.`;
  if (!el("memory").open) return;
  const text = await (await ask("/metrics")).text();
  const leases = [...text.matchAll(/^hearth_lease_bytes\{pool="(.*)",holder="(.*)"\} (\d+)$/gm)];
  el("leases").replaceChildren(...leases.map(([, pool, holder, bytes]) => make("tr", {},
    ...[pool, holder, size(+bytes)].map(cell => make("td", {textContent: cell})))));
}

function showExamples() {
  const base = location.origin + "/v1", model = state.languageModels[0] || "MODEL";
  el("curl").textContent = `curl ${base}/chat/completions -H "Content-Type: application/json" -d '{
  "model": "${model}", "messages": [{"role": "user", "content": "Say hello."}]}'

curl ${base}/images/generations -H "Content-Type: application/json" -d '{
  "prompt": "a lighthouse in a storm", "size": "1024x1024"}'`;
  el("python").textContent = `from openai import OpenAI
client = OpenAI(base_url="${base}", api_key="unused")
answer = client.chat.completions.create(
    model="${model}", messages=[{"role": "user", "content": "Say hello."}])
print(answer.choices[0].message.content)`;
}

// ---- Start

function listen() {
  el("draw").onsubmit = guarded(draw);
  el("draw").onchange = keepForm;
  el("model").onchange = useSizeOfModel;
  el("preset").onchange = usePreset;
  el("size").onchange = () => { el("own-size").hidden = el("size").value !== "own"; };
  el("seed").oninput = () => { el("random").checked = false; };
  el("cancel-all").onclick = guarded(cancelAll);
  el("older").onclick = () => { state.limit += PAGE_OF_PICTURES; refreshGallery(); };
  el("chat").onsubmit = guarded(chat);
  el("stop").onclick = () => state.answer?.abort();
  el("chat-new").onclick = newChat;
  el("free").onclick = guarded(async () => {
    await ask("/free", {unload_models: true, free_memory: true});
    await refreshMemory();
  });
  el("memory").ontoggle = guarded(refreshMemory);
  el("key-use").onclick = () => {
    document.cookie = `hearth_key=${encodeURIComponent(el("key").value)}; path=/; SameSite=Strict`;
    location.reload();
  };
  el("full-before").onclick = () => turn(-1);
  el("full-after").onclick = () => turn(1);
  el("full-close").onclick = () => el("viewer").close();
  el("full-again").onclick = guarded(() => { el("viewer").close(); return sameAgain(state.viewed.graph); });
  el("full-use").onclick = () => { el("viewer").close(); useSettings(settingsOf(state.viewed.graph)); };
  el("viewer").onkeydown = event => {
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
  };
  document.addEventListener("keydown", event => {
    if (event.key !== "Enter") return;
    if (event.target === el("message") && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      el("chat").requestSubmit();
    }
    const wantsDrawing = (event.ctrlKey || event.metaKey) && el("draw").contains(event.target);
    if (wantsDrawing && !el("go").disabled) el("draw").requestSubmit();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && state.remaining !== null) connect();
    refreshMemory().catch(() => {});
  });
  window.addEventListener("online", connect);
}

async function start() {
  options(el("size"), SIZES);
  showExamples();
  listen();
  const parts = await Promise.allSettled([loadPictureModels(), loadLanguageModels(), refreshMemory()]);
  if (parts.some(part => part.reason?.status === 401)) return;  // the key comes first; it loads the page anew
  if (parts[0].reason?.status === 404) return drawNothing();
  parts.filter(part => part.reason).forEach(part => complain(part.reason));
  if (!restoreForm()) {
    const first = state.presets.find(each => each.is_default) || state.presets.find(each => each.name === "balanced");
    el("preset").value = (first || state.presets[0])?.name;
    usePreset();
    useSizeOfModel();
  }
  notePreset();
  connect();
  setInterval(() => refreshMemory().catch(() => {}), 3000);  // a lost server shows in the connection's light
}

guarded(start)();
