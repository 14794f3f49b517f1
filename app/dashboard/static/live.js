// Keeps a page fresh while it is open. Every page is whole without it: what the server would render again, it puts in place.
"use strict";

const parts = () => document.querySelectorAll("[data-part]");

function put(part, html) {
  if (part.innerHTML !== html) part.innerHTML = html;
}

// A job: the server pushes the parts that changed; at the end the whole page is asked for again, report and all.
// A hidden tab lets go of its stream, because a browser keeps only six connections to one server.
function follow(address) {
  let source = null;
  const open = () => {
    source = new EventSource(address);
    source.addEventListener("parts", (event) => {
      const changed = JSON.parse(event.data);
      for (const part of parts()) if (part.dataset.part in changed) put(part, changed[part.dataset.part]);
    });
    source.addEventListener("end", () => {
      source.close();
      location.reload();
    });
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? source?.close() : open()));
  if (!document.hidden) open();
}

// Lists and figures: the same page is fetched again and its parts take the old ones' place.
async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of parts()) {
    const other = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
    if (other && !part.contains(document.activeElement)) put(part, other.innerHTML);
  }
}

const { stream, refreshSeconds } = document.body.dataset;
if (stream) follow(stream);
if (refreshSeconds) setInterval(() => refresh().catch(() => {}), 1000 * Number(refreshSeconds));
