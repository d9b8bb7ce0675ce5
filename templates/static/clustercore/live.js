// Live data: follows the topics that this page names, and changes what changed. After a lost connection the server
// first sends the whole state, so nothing can be missed.
import { announce, localTimes } from "./app.js";
import { morph } from "./morph.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
const PATIENCE = 1_200;
const POLL_EVERY = 5_000;
const TRIES_BEFORE_POLLING = 3;
const NOBODY = 4401;
const NOT_ALLOWED = 4403;
const LOST = "Connection lost, trying again. What you see may be old.";

let socket = null;
let wait = FIRST_WAIT;
let failures = 0;
let everOpen = false;
let retry = 0;
let poll = 0;
let notice = 0;
let followed = "";
let watchdog = 0;

// A page that nobody sees follows nothing: the hub need not look for it. Seen again, it gets the whole state.
const topics = () => {
  if (document.hidden) return [];
  const named = [...document.querySelectorAll("[data-live]")].flatMap((element) => element.dataset.live.split(/\s+/));
  return [...new Set(named.filter(Boolean))].sort();
};

function connect() {
  clearTimeout(retry);
  if (socket || !topics().length) return;
  const address = new URL("/live", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(address);
  socket.addEventListener("open", opened);
  socket.addEventListener("message", (event) => received(event.data));
  socket.addEventListener("close", lost);
}

function opened() {
  if (everOpen && failures) announce("Connected again.");
  [wait, failures, everOpen, followed] = [FIRST_WAIT, 0, true, ""];
  alive(20);
  clearInterval(poll);
  poll = 0;
  clearTimeout(notice);
  show("");
  follow();
}

function follow() {
  const wanted = topics();
  if (!socket || socket.readyState !== WebSocket.OPEN) return connect();
  const text = wanted.join(" ");
  if (text === followed) return;
  followed = text;
  socket.send(JSON.stringify({ follow: wanted }));
}

// A connection can die without a word; the server sends at least a beat every so many seconds.
function alive(seconds) {
  clearTimeout(watchdog);
  watchdog = setTimeout(() => socket?.close(), seconds * 2500);
}

function received(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return;
  }
  alive(message.beat ?? 20);
  if (message.notice !== undefined) show(message.notice);
  for (const [id, html] of Object.entries(message.html ?? {})) replace(id, html);
}

export function replace(id, html) {
  const holder = document.createElement("template");
  holder.innerHTML = html.trim();
  const next = holder.content.firstElementChild;
  if (!next) return;
  localTimes(next);
  const current = document.getElementById(id);
  if (!current) return append(next);
  const said = next.dataset.announce;
  const news = said && said !== current.dataset.announce ? said : "";
  const isOther = next.dataset.again !== current.dataset.again;
  morph(current, next);
  if (news) announce(news);
  // Buttons depend on the state and on who looks, a kind's own part on the first result: the page is asked for them.
  if (isOther) window.htmx?.trigger(document.body, "state-changed");
}

// A part that the page has not had yet, such as pieces that were cut just now.
function append(next) {
  const container = document.getElementById(next.dataset.into ?? "");
  if (!container) return;
  container.append(next);
  window.htmx?.process(next);
}

function lost(event) {
  socket = null;
  clearTimeout(watchdog);
  if (event.code === NOBODY) return show("Your session has ended. Reload the page to sign in again.");
  if (event.code === NOT_ALLOWED) return show("Your role does not allow live data. Reload the page to see what is new.");
  failures += 1;
  clearTimeout(notice);
  // A restart of the hub's web process takes a moment and is no news.
  if (!poll) notice = setTimeout(() => show(LOST), PATIENCE);
  if (!everOpen && failures >= TRIES_BEFORE_POLLING && !poll) poll = setInterval(refetch, POLL_EVERY);
  retry = setTimeout(connect, wait * (0.75 + Math.random() / 2));
  wait = Math.min(wait * 2, LONGEST_WAIT);
}

// Where a proxy lets no WebSocket through, the page is fetched again and its live parts are taken from it.
async function refetch() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of page.querySelectorAll("[data-part][id]")) replace(part.id, part.outerHTML);
    clearTimeout(notice);
    show("");
  } catch {
    show(LOST);
  }
}

function show(text) {
  const place = document.getElementById("connection");
  if (!place) return;
  place.textContent = text;
  place.hidden = !text;
}

function returned() {
  if (document.hidden || socket) return;
  wait = FIRST_WAIT;
  connect();
}

function shownOrHidden() {
  if (socket?.readyState === WebSocket.OPEN) follow();
  else returned();
}

document.addEventListener("visibilitychange", shownOrHidden);
window.addEventListener("online", returned);
window.addEventListener("pageshow", returned);
window.addEventListener("pagehide", () => socket?.close());
document.addEventListener("htmx:afterSettle", follow);
document.addEventListener("live:follow", follow);
connect();
