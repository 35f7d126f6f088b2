// Keeps the page fresh: reads it again every two seconds and replaces the sections that have changed. A section with a
// focused or changed field is left alone. Without this script the page is the same, and is reloaded by hand.
"use strict";
(() => {
  const EVERY = 2000;
  const main = document.getElementById("content");
  const freshness = document.getElementById("freshness");
  if (!main || !document.getElementById("verdict")) { freshness.textContent = ""; return; }
  let answered = Date.now();

  const isBusy = (section) =>
    section.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, button, summary") ||
    [...section.querySelectorAll("input, textarea")].some((field) =>
      field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue && !field.readOnly) ||
    [...section.querySelectorAll("select")].some((field) =>
      [...field.options].some((option) => option.selected !== option.defaultSelected && [...field.options].some((one) => one.defaultSelected)));

  const open = (root) => new Set([...root.querySelectorAll("details[open]")].map((details) => details.dataset.key));

  function replace(old, fresh) {
    const opened = open(old);
    const scrolls = [...old.querySelectorAll(".scroll, pre")].map((part) => part.scrollTop);
    for (const details of fresh.querySelectorAll("details")) details.open = opened.has(details.dataset.key);
    if (old.dataset.html === fresh.innerHTML) return;
    const html = fresh.innerHTML;
    old.replaceWith(fresh);
    fresh.dataset.html = html;
    fresh.querySelectorAll(".scroll, pre").forEach((part, place) => { part.scrollTop = scrolls[place] || 0; });
    prepare(fresh);
  }

  function show(text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = page.getElementById("content");
    if (!fresh) return;
    document.title = page.title;
    for (const section of [...fresh.children]) {
      const old = document.getElementById(section.id);
      if (!old) main.prepend(section);
      else if (!isBusy(old)) replace(old, section);
    }
    const notice = document.getElementById("notice");
    if (notice && !fresh.querySelector("#notice") && !notice.dataset.kept) notice.remove();
  }

  async function refresh() {
    try {
      const address = new URL(location.href);
      address.searchParams.delete("done");
      const answer = await fetch(address, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      show(await answer.text());
      answered = Date.now();
    } catch (_) { /* Told by the age. */ }
  }

  function tell() {
    const age = Math.round((Date.now() - answered) / 1000);
    freshness.classList.toggle("stale", age > 6);
    freshness.textContent = age > 6 ? `tidegate has not answered for ${age} s: these figures are old.` : `Figures of ${age} s ago`;
  }

  async function upload(form) {
    const answer = form.querySelector("[data-answer]");
    answer.textContent = "The component is uploaded and compiled.";
    const file = form.elements.file.files[0];
    const response = await fetch(form.dataset.upload, { method: "POST", headers: { "Content-Type": "application/wasm" }, body: file });
    const body = await response.json();
    answer.textContent = body.success ? `Stored: ${body.plugin.name} ${body.plugin.version}. It is not in use yet.` : `${body.error}: ${body.errorDescription}`;
    if (body.success) form.reset();
  }

  function prepare(root) {
    for (const button of root.querySelectorAll("[data-copy]")) {
      button.hidden = !navigator.clipboard;
      button.onclick = async () => {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value);
        button.textContent = "Copied";
      };
    }
    for (const form of root.querySelectorAll("[data-upload]")) {
      form.onsubmit = (event) => { event.preventDefault(); upload(form).catch((error) => { form.querySelector("[data-answer]").textContent = String(error); }); };
    }
  }

  const notice = document.getElementById("notice");
  if (notice) { notice.dataset.kept = "yes"; setTimeout(() => { if (notice.classList.contains("good")) notice.remove(); }, 8000); }
  // A reload must not repeat the notice of a call.
  if (location.search.includes("done=")) {
    const address = new URL(location.href);
    address.searchParams.delete("done");
    history.replaceState(null, "", address);
  }
  // After a refused form the address is that of the form.
  const isPage = location.pathname === "/";
  prepare(document);
  if (isPage) { setInterval(refresh, EVERY); setInterval(tell, 500); } else freshness.textContent = "";
})();
