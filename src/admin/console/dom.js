// Elements and tables. Text always becomes text, never markup.

/** An element: attributes (on* are listeners, false and null are left out), then children. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Chinese gets its language said, so that its glyphs are the Chinese ones. */
export function zh(text, className) {
  return /[\u3000-\u9fff]/.test(text ?? "") ? h("span", { lang: "zh-CN", class: className }, text) : text ?? "";
}

/** A card with a heading, and what stands beside it. */
export function card(title, width, beside, ...children) {
  const id = `h-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return h("section", { class: `card ${width}`, "aria-labelledby": id },
    h("header", {}, h("h2", { id }, title), beside ?? ""), ...children);
}

/**
 * A table whose rows are renewed in place: a row whose data is as before stays, so focus and selection do too.
 * Columns: [heading, cell of item, class].
 */
export function table(caption, columns, keyOf, nothing) {
  const body = h("tbody");
  const heads = columns.map(([name, , kind]) => h("th", { scope: "col", class: kind }, name));
  const shown = h("table", { class: "stack" }, h("caption", {}, caption), h("thead", {}, h("tr", {}, heads)), body);
  const empty = h("p", { class: "empty" }, nothing);
  const root = h("div", {}, h("div", { class: "scroll" }, shown), empty);
  let rows = new Map();

  function row(item) {
    const cells = columns.map(([name, cell, kind]) => h("td", { "data-name": name, class: kind }, h("div", {}, cell(item))));
    return h("tr", {}, cells);
  }

  function renew(items) {
    const before = rows;
    rows = new Map();
    for (const item of items) {
      const key = String(keyOf(item));
      const text = JSON.stringify(item);
      const old = before.get(key);
      if (old && old.text === text) {
        rows.set(key, old);
        continue;
      }
      const made = { text, row: row(item) };
      if (old) {
        const at = [...old.row.querySelectorAll("button, a")].indexOf(document.activeElement);
        old.row.replaceWith(made.row);
        if (at >= 0) made.row.querySelectorAll("button, a")[at]?.focus();
      }
      rows.set(key, made);
    }
    for (const [key, old] of before) if (!rows.has(key)) old.row.remove();
    let next = body.firstChild;
    for (const { row: one } of rows.values()) {
      if (next === one) next = next.nextSibling;
      else body.insertBefore(one, next);
    }
    shown.hidden = items.length === 0;
    empty.hidden = items.length !== 0;
  }

  renew([]);
  return { root, renew, caption: (text) => { shown.caption.textContent = text; } };
}

/** Name and value pairs; values that are not there are left out. */
export function record(pairs) {
  const there = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "record" }, there.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** Opens the page's one dialog; the element that had focus gets it back. */
export function dialog(title, ...children) {
  const box = byId("dialog");
  const from = document.activeElement;
  box.replaceChildren(h("h2", { id: "dialog-title" }, title), ...children);
  box.addEventListener("close", () => { if (from?.isConnected) from.focus(); }, { once: true });
  box.showModal();
  return box;
}

let telling;
/** Says something for a few seconds. */
export function tell(text) {
  byId("told").textContent = text;
  clearTimeout(telling);
  telling = setTimeout(() => { byId("told").textContent = ""; }, 8000);
}
