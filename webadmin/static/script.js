// What pages do more comfortably with this script; without it each works as well.
"use strict";
(() => {
  const all = (where, what) => Array.from(where.querySelectorAll(what));

  // The key / goes to the search box.
  document.addEventListener("keydown", (e) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName);
    if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey && !e.altKey) {
      const box = document.querySelector(".search input");
      if (box) { e.preventDefault(); box.focus(); box.select(); }
    }
  });

  // On narrow screens the menu button shows the navigation in place.
  const menu = document.querySelector(".menu"), side = document.querySelector(".side");
  if (menu && side) {
    menu.setAttribute("role", "button");
    const toggle = (e) => {
      e.preventDefault();
      const shown = side.classList.toggle("shown");
      menu.setAttribute("aria-expanded", String(shown));
      if (shown) { const first = side.querySelector("a"); if (first) first.focus(); }
    };
    menu.addEventListener("click", toggle);
    menu.addEventListener("keydown", (e) => { if (e.key === " ") toggle(e); });
    document.addEventListener("keydown", (e) => { if (e.key === "Escape" && side.classList.contains("shown")) { toggle(e); menu.focus(); } });
  }

  // On narrow screens the tab of the page is in sight.
  const tabs = document.querySelector(".tabs"), tab = tabs && tabs.querySelector("[aria-current]");
  if (tab) tabs.scrollLeft += tab.getBoundingClientRect().right - tabs.getBoundingClientRect().right + 40;

  // Forms: what is typed is set here; the bar counts what has changed; leaving asks first.
  for (const form of all(document, "form[data-form]")) {
    const shown = form.querySelector("[data-changed]");
    const fields = all(form, "input,select,textarea").filter((f) => f.type !== "hidden");
    const state = (f) => f.type === "checkbox" ? String(f.checked) : f.value;
    const before = new Map(fields.map((f) => [f, state(f)]));
    let sent = false;
    const changed = () => {
      const names = new Set();
      for (const f of fields) if (state(f) !== before.get(f)) names.add(f.name.replace(/^(f|own|drop)\./, "").replace(/^Listener\..*/, "Listener"));
      return names.size;
    };
    form.addEventListener("input", (e) => {
      const f = e.target, box = f.closest(".field");
      if (box && f.name && !f.name.startsWith("own.")) {
        const own = box.querySelector("[data-own]");
        if (own && state(f) !== before.get(f)) own.checked = true;
        if (own && own.checked) box.classList.remove("inherited");
      }
      if (f.value === "All" && f.type === "checkbox") for (const o of all(box, "input[name^='f.']")) o.checked = f.checked;
      else if (f.type === "checkbox" && box && !f.checked) for (const o of all(box, "input[value=All]")) o.checked = false;
      if (shown) { const n = changed(); shown.hidden = n === 0; shown.textContent = n === 0 ? "" : "● " + n; }
    });
    form.addEventListener("submit", () => { sent = true; });
    window.addEventListener("beforeunload", (e) => { if (!sent && changed() > 0) e.preventDefault(); });
  }

  // Rules: a row shows the help and the operations of what is chosen.
  for (const row of all(document, "[data-clause]")) {
    const op = row.querySelector("[data-opcode]"), how = row.querySelector("[data-how]"), param = row.querySelector("[data-param]"), help = row.querySelector("[data-help-text]");
    const hows = how ? Array.from(how.options) : [];
    const show = () => {
      const o = op.selectedOptions[0], bare = o.hasAttribute("data-bare");
      help.textContent = o.dataset.help || "";
      param.hidden = bare;
      if (!how) return;
      how.hidden = bare;
      const may = o.dataset.hows ? o.dataset.hows.split("|") : null;
      for (const h of hows) h.hidden = h.disabled = may !== null && !may.includes(h.value);
      if (how.selectedOptions[0] && how.selectedOptions[0].disabled) how.value = may[0];
    };
    op.addEventListener("change", show);
    op.addEventListener("input", show);
    show();
  }

  // The log follows while its end is in sight.
  const log = document.querySelector("[data-follow]");
  if (log) {
    let from = log.dataset.follow, busy = false;
    const body = log.querySelector("tbody"), state = document.querySelector("[data-following]");
    const tick = async () => {
      if (busy || document.hidden) return;
      const on = document.querySelector("#follow");
      if (on && !on.checked) return;
      busy = true;
      try {
        const url = new URL(log.dataset.source, location.href);
        url.searchParams.set("from", from);
        const r = await fetch(url, { headers: { Accept: "text/html" } });
        if (r.ok) {
          from = r.headers.get("X-Next") || from;
          const text = await r.text();
          if (text.trim()) {
            const end = window.innerHeight + window.scrollY >= document.body.scrollHeight - 80;
            const t = document.createElement("template");
            t.innerHTML = "<table><tbody>" + text + "</tbody></table>";
            body.append(...t.content.querySelectorAll("tr"));
            while (body.rows.length > 2000) body.rows[0].remove();
            if (end) window.scrollTo(0, document.body.scrollHeight);
          }
          if (state) state.hidden = true;
        } else if (state) state.hidden = false;
      } catch { if (state) state.hidden = false; }
      busy = false;
    };
    setInterval(tick, 2000);
  }
})();
