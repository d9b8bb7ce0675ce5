// What every page needs: asking before something is lost, menus that close, times in the reader's own zone, copying.

export function localTimes(root) {
  const elements = root.matches?.("time[datetime]") ? [root] : root.querySelectorAll("time[datetime]");
  for (const element of elements) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const sameDay = moment.toDateString() === new Date().toDateString();
    const seconds = element.dataset.precision === "seconds";
    const clock = { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}) };
    const day = sameDay ? {} : { day: "numeric", month: "short" };
    element.textContent = moment.toLocaleString(undefined, { ...day, ...clock });
    element.title = moment.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
  }
}

function askFirst() {
  const dialog = document.getElementById("confirm");
  if (!dialog?.showModal) return;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-confirm]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    document.getElementById("confirm-form").action = link.href;
    document.getElementById("confirm-question").textContent = link.dataset.confirm;
    document.getElementById("confirm-text").textContent = link.dataset.confirmText || "";
    document.getElementById("confirm-yes").textContent = link.dataset.confirmYes || link.textContent.trim();
    dialog.showModal();
    dialog.addEventListener("close", () => (document.getElementById(link.id) || link).focus(), { once: true });
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}

function closeMenus() {
  const close = (menu, focus) => {
    menu.open = false;
    if (focus) menu.querySelector("summary").focus();
  };
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.dropdown[open]")) {
      if (!menu.contains(event.target)) close(menu, false);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.dropdown[open]")) close(menu, menu.contains(document.activeElement));
  });
}

export function announce(text) {
  const announcer = document.getElementById("announcer");
  if (announcer) announcer.textContent = text;
}

// A piece of text to type elsewhere: <button data-copy="#id of the element that holds it">.
function copying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    const source = document.querySelector(button.dataset.copy);
    if (!source) return;
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(source.innerText.trim());
      button.textContent = "Copied";
      announce("Copied");
    } catch {
      // Without a secure connection browsers refuse the clipboard: mark it, so that Ctrl-C copies it.
      getSelection().selectAllChildren(source);
      button.textContent = "Marked: press Ctrl-C";
      announce("Marked. Press Ctrl C to copy.");
    }
    setTimeout(() => (button.textContent = before), 2500);
  });
  if (!document.body) return;
  for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
}

// A row of things with one tab stop: arrows, Home and End move within it. <ul data-roving> around buttons or links.
function roving() {
  const items = (group) => [...group.querySelectorAll("[data-roving-item]")];
  document.addEventListener("keydown", (event) => {
    const current = event.target.closest?.("[data-roving-item]");
    const group = current?.closest("[data-roving]");
    if (!group) return;
    const all = items(group);
    const place = all.indexOf(current);
    const columns = columnsOf(all);
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    let target;
    if (event.key in steps) target = all[place + steps[event.key]];
    else if (event.key === "Home") target = all[0];
    else if (event.key === "End") target = all.at(-1);
    else return;
    event.preventDefault();
    target?.focus();
  });
  document.addEventListener("focusin", (event) => {
    const current = event.target.closest?.("[data-roving-item]");
    const group = current?.closest("[data-roving]");
    if (!group) return;
    for (const item of group.querySelectorAll('[data-roving-item][tabindex="0"]')) item.tabIndex = -1;
    current.tabIndex = 0;
    describe(current);
  });
  document.addEventListener("pointerover", (event) => {
    const item = event.target.closest?.("[data-roving-item]");
    if (item) describe(item);
  });
}

function columnsOf(items) {
  const top = items[0]?.offsetTop;
  const next = items.findIndex((item) => item.offsetTop !== top);
  return next === -1 ? items.length : next;
}

function describe(item) {
  const place = document.getElementById(item.closest("[data-describes]")?.dataset.describes ?? "");
  if (place) place.textContent = item.getAttribute("aria-label");
}

// A job that ended moves from one list to the other, unless the reader has gone on to further pages of it.
function ended() {
  document.body.addEventListener("state-changed", () => {
    const part = document.getElementById("jobs-ended-part");
    if (part && part.querySelectorAll(".job-row").length === Number(part.dataset.rows)) window.htmx?.trigger(part, "ended");
  });
}

askFirst();
ended();
closeMenus();
copying();
roving();
localTimes(document);
document.addEventListener("htmx:load", (event) => localTimes(event.detail.elt));
