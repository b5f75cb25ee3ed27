#include "server/web/page.h"

namespace hearth::server {
namespace {

// The script writes through textContent only, so a model's name can never become markup.
constexpr const char* kPage = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Hearth</title>
<style>
:root{color-scheme:light dark;--line:#8884}
body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
h1{margin:0}h2{margin:2rem 0 .5rem;font-size:1.1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line)}
pre{background:#8882;padding:.8rem;border-radius:6px;overflow:auto}
input{font:inherit;padding:.2rem .4rem}.bar{height:.6rem;background:#8883;border-radius:3px}
.bar div{height:100%;background:#c60;border-radius:3px;width:0}
</style></head><body>
<h1>Hearth</h1>
<p id="state">asking the server&hellip;</p>
<p id="keyrow" hidden>This server wants an API key: <input id="key" type="password" autocomplete="off"></p>
<h2>Models</h2>
<table><thead><tr><th>name</th><th>architecture</th><th>context</th><th>memory</th></tr></thead>
<tbody id="models"></tbody></table>
<h2>Memory</h2>
<div class="bar"><div id="used"></div></div><p id="memory"></p>
<table><tbody id="leases"></tbody></table>
<h2>Call it</h2>
<pre id="curl"></pre>
<pre id="python"></pre>
<p>Also: <code>GET /v1/models</code>, <code>POST /v1/completions</code>,
<code>GET /metrics</code>, <code>GET /health</code>.</p>
<script>
const el = id => document.getElementById(id);
const size = n => n >= 2**30 ? (n / 2**30).toFixed(2) + " GiB" : (n / 2**20).toFixed(1) + " MiB";
const ask = path => fetch(path, {headers: el("key").value ? {authorization: "Bearer " + el("key").value} : {}});
function rows(body, lines) {
  body.replaceChildren(...lines.map(cells => {
    const row = document.createElement("tr");
    for (const cell of cells) row.appendChild(document.createElement("td")).textContent = cell;
    return row;
  }));
}
function examples(model) {
  const base = location.origin + "/v1";
  el("curl").textContent = `curl ${base}/chat/completions -H "Content-Type: application/json" -d '{
  "model": "${model}",
  "messages": [{"role": "user", "content": "Say hello."}]
}'`;
  el("python").textContent = `from openai import OpenAI
client = OpenAI(base_url="${base}", api_key="unused")
answer = client.chat.completions.create(
    model="${model}", messages=[{"role": "user", "content": "Say hello."}])
print(answer.choices[0].message.content)`;
}
function gauge(text, name) {
  const line = text.split("\n").find(l => l.startsWith(name + " "));
  return line ? Number(line.slice(name.length + 1)) : 0;
}
async function refresh() {
  try {
    const listed = await ask("/v1/models");
    el("keyrow").hidden = listed.status !== 401;
    if (!listed.ok) { el("state").textContent = "the server answers " + listed.status; return; }
    const models = (await listed.json()).data;
    rows(el("models"), models.map(m => [m.id, m.meta.architecture || "", m.context_length || "",
                                        m.meta.is_loaded ? size(m.meta.resident_bytes) : "not loaded"]));
    examples(models.length ? models[0].id : "model");
    const text = await (await ask("/metrics")).text();
    const leased = gauge(text, "hearth_memory_leased_bytes"), budget = gauge(text, "hearth_memory_budget_bytes");
    el("used").style.width = (budget ? Math.min(100, 100 * leased / budget) : 0) + "%";
    el("memory").textContent = size(leased) + " leased of " + size(budget);
    const lease = /^hearth_lease_bytes\{pool="(.*)",holder="(.*)"\} (\d+)$/gm;
    rows(el("leases"), [...text.matchAll(lease)].map(m => [m[1], m[2], size(Number(m[3]))]));
    el("state").textContent = gauge(text, "hearth_requests_running") + " running, " +
      gauge(text, "hearth_requests_waiting") + " waiting, " +
      gauge(text, "hearth_generated_tokens_total") + " tokens so far";
  } catch (error) { el("state").textContent = "the server does not answer"; }
}
examples("model"); refresh(); setInterval(refresh, 3000);
</script></body></html>
)html";

}  // namespace

std::string start_page() { return kPage; }

}  // namespace hearth::server
