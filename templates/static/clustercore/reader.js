// The reader of transcripts: hear a word, follow along, search, correct, say who speaks. 20,000 words share the listeners
// of their container, and one of them at a time has the tab stop.
import { announce, localTimes } from "./app.js";

const byId = (id) => document.getElementById(id);
const transcript = byId("transcript");
const player = byId("player");
const base = transcript.dataset.read;
const mayChange = Boolean(transcript.dataset.mayChange);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const LEAD_SECONDS = 0.05;
const MOST_MATCHES = 2000;

// ---------------------------------------------------------------- words by time

let words = [];
let starts = new Float64Array(0);
let stale = true;

function index() {
  if (!stale) return;
  words = [...transcript.querySelectorAll("[data-t]")];
  starts = Float64Array.from(words, (word) => Number(word.dataset.t));
  stale = false;
}

function wordAt(seconds) {
  index();
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= seconds + LEAD_SECONDS) low = middle + 1;
    else high = middle;
  }
  return words[low - 1] ?? null;
}

const segmentOf = (element) => element?.closest(".segment") ?? null;
const firstWord = (segment) => segment?.querySelector("[data-t]") ?? null;

// ---------------------------------------------------------------- the chosen word

let chosen = null;

function choose(word, focus = false) {
  if (!word) return;
  if (chosen && chosen !== word) {
    chosen.removeAttribute("tabindex");
    chosen.removeAttribute("role");
    chosen.classList.remove("chosen");
  }
  chosen = word;
  word.tabIndex = 0;
  word.setAttribute("role", "button");
  if (focus) {
    word.focus({ preventScroll: true });
    keepInSight(word, false);
  }
}

function show(word) {
  word.classList.add("chosen");
  const choice = byId("choice");
  if (!choice) return;
  byId("chosen-time").textContent = clock(Number(word.dataset.t));
  byId("chosen-word").textContent = word.textContent;
  byId("chosen-note").textContent = word.title;
  const edit = byId("edit-word");
  if (edit) edit.disabled = word.dataset.w === undefined;
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function step(by) {
  index();
  const place = words.indexOf(chosen);
  choose(words[Math.min(Math.max(place + by, 0), words.length - 1)], true);
}

function stepSegment(by) {
  const segments = [...transcript.querySelectorAll(".segment")];
  const place = segments.indexOf(segmentOf(chosen));
  choose(firstWord(segments[Math.min(Math.max(place + by, 0), segments.length - 1)]), true);
}

// ---------------------------------------------------------------- sound

let following = true;
let now = null;
let frame = 0;
let scrolledAt = 0;

function playFrom(seconds) {
  if (!player) return;
  player.currentTime = Math.max(0, seconds);
  player.play().catch(() => announce("The recording cannot be played here."));
}

function toggle() {
  if (!player) return;
  if (player.paused) player.play().catch(() => announce("The recording cannot be played here."));
  else player.pause();
}

function mark() {
  const word = wordAt(player.currentTime);
  if (word === now) return;
  now?.classList.remove("now");
  segmentOf(now)?.classList.remove("speaking");
  now = word;
  if (!word) return;
  word.classList.add("now");
  segmentOf(word).classList.add("speaking");
  if (following && !player.paused) keepInSight(word, true);
}

function tick() {
  mark();
  frame = player.paused || player.ended ? 0 : requestAnimationFrame(tick);
}

function keepInSight(word, gently) {
  const box = word.getBoundingClientRect();
  const deck = byId("deck")?.getBoundingClientRect();
  const deckIsAbove = deck && deck.top < innerHeight / 2;
  const top = (deckIsAbove ? Math.max(deck.bottom, 0) : 0) + 24;
  const bottom = (deck && !deckIsAbove ? deck.top : innerHeight) - (gently ? innerHeight * 0.2 : 24);
  if (box.top >= top && box.bottom <= bottom) return;
  if (gently && performance.now() - scrolledAt < 600) return;
  scrolledAt = performance.now();
  word.scrollIntoView({ block: "center", behavior: gently && !calm.matches ? "smooth" : "auto" });
}

function setFollowing(on) {
  following = on;
  byId("follow")?.setAttribute("aria-pressed", String(on));
  if (on && now) keepInSight(now, true);
}

// Whoever scrolls while it plays wants to look elsewhere: the text stands still until they ask to follow again.
function personScrolled() {
  if (!following || !player || player.paused) return;
  setFollowing(false);
  announce("Following stopped.");
}

if (player) {
  player.addEventListener("play", () => (frame ||= requestAnimationFrame(tick)));
  player.addEventListener("timeupdate", mark);
  player.addEventListener("seeked", mark);
  byId("speed").addEventListener("change", (event) => (player.playbackRate = Number(event.target.value)));
  const follow = byId("follow");
  follow.addEventListener("click", () => setFollowing(!following));
  addEventListener("wheel", personScrolled, { passive: true });
  addEventListener("touchmove", (event) => event.target.closest?.("#deck") || personScrolled(), { passive: true });
  addEventListener("pointerdown", (event) => {
    if (event.target === document.documentElement && event.clientX >= document.documentElement.clientWidth) personScrolled();
  });
}

// ---------------------------------------------------------------- pointing at words

transcript.addEventListener("click", (event) => {
  const who = event.target.closest(".who-button");
  if (who) return openEditor("speaker", segmentOf(who));
  const at = event.target.closest("a.at");
  if (at) {
    event.preventDefault();
    history.replaceState(null, "", at.hash);
    choose(firstWord(segmentOf(at)), true);
    return playFrom(Number(segmentOf(at).dataset.start));
  }
  const word = event.target.closest("[data-t]");
  if (!word || String(getSelection())) return;
  choose(word, true);
  playFrom(Number(word.dataset.t));
});

transcript.addEventListener("dblclick", (event) => {
  const word = event.target.closest("[data-t]");
  if (!word || !mayChange) return;
  getSelection().removeAllRanges();
  choose(word, true);
  editChosen();
});

transcript.addEventListener("focusin", (event) => {
  const word = event.target.closest("[data-t]");
  if (!word) return;
  choose(word);
  show(word);
});

byId("hear")?.addEventListener("click", () => playFrom(Number(chosen.dataset.t)));
byId("edit-word")?.addEventListener("click", () => openEditor("correction", segmentOf(chosen), chosen.dataset.w));
byId("edit-segment")?.addEventListener("click", () => openEditor("correction", segmentOf(chosen)));
byId("edit-speaker")?.addEventListener("click", () => openEditor("speaker", segmentOf(chosen)));

// ---------------------------------------------------------------- keys

const everywhere = byId("keys-everywhere");
const remembered = "reader-keys-in-text-only";

function readSetting() {
  try {
    return localStorage.getItem(remembered) === "yes";
  } catch {
    return false;
  }
}

everywhere.checked = !readSetting();
everywhere.addEventListener("change", () => {
  try {
    localStorage.setItem(remembered, everywhere.checked ? "no" : "yes");
  } catch {
    // A browser that keeps nothing keeps this neither.
  }
});

const inText = {
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  ArrowDown: () => stepSegment(1),
  ArrowUp: () => stepSegment(-1),
  Enter: () => playFrom(Number(chosen.dataset.t)),
};
const onPage = {
  " ": toggle,
  "/": () => byId("search-text")?.focus(),
  "?": () => byId("keys").showModal(),
  f: () => setFollowing(!following),
  e: () => mayChange && editChosen(),
  w: () => mayChange && chosen && openEditor("correction", segmentOf(chosen)),
  s: () => mayChange && chosen && openEditor("speaker", segmentOf(chosen)),
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  const target = event.target;
  const onWord = target.matches("[data-t]");
  if (["PageUp", "PageDown", "Home", "End"].includes(event.key) && !target.matches("input, select, audio")) personScrolled();
  if (target.matches("input, select, textarea, audio")) return;
  if (!onWord && target.matches("button, a, summary") && [" ", "Enter"].includes(event.key)) return;
  if (!onWord && !everywhere.checked && !target.closest("#transcript, #deck")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const sideways = ["ArrowLeft", "ArrowRight"].includes(key) && target === document.body && chosen;
  const action = onWord || sideways ? (inText[key] ?? onPage[key]) : onPage[key];
  if (!action) return;
  event.preventDefault();
  action();
});

byId("show-keys").hidden = false;
byId("show-keys").addEventListener("click", () => byId("keys").showModal());

// ---------------------------------------------------------------- correcting

const editor = byId("editor");
const content = byId("editor-content");
let returnTo = null;

function editChosen() {
  const word = chosen ?? now;
  if (word) openEditor("correction", segmentOf(word), word.dataset.w);
}

async function ask(address, body) {
  try {
    const headers = { "HX-Request": "true", Accept: "text/html, application/json" };
    const answer = await fetch(address, { method: body ? "POST" : "GET", body, headers, credentials: "same-origin" });
    const elsewhere = answer.headers.get("HX-Redirect");
    if (elsewhere) location.assign(elsewhere);
    else if (answer.ok || answer.status === 422) return answer;
    else announceLoudly(`That did not work (${answer.status}). Reload the page and try again.`);
  } catch {
    announceLoudly("The hub does not answer. Try again in a moment.");
  }
  return null;
}

function announceLoudly(text) {
  announce(text);
  const messages = byId("messages");
  const line = document.createElement("p");
  line.className = "message message-error";
  line.textContent = text;
  messages.replaceChildren(line);
}

async function openEditor(kind, segment, word) {
  if (!segment) return;
  const query = word === undefined ? "" : `?word=${encodeURIComponent(word)}`;
  const answer = await ask(`${base}segments/${segment.id.slice(1)}/${kind}${query}`);
  if (!answer) return;
  returnTo = { segment: segment.id, word };
  await fill(answer);
  if (!editor.open) editor.showModal();
  settle(word === undefined ? segment : (segment.querySelector(`[data-w="${word}"]`) ?? segment));
  const field = content.querySelector("[aria-invalid], [autofocus]") ?? content.querySelector("input:checked");
  field?.focus();
  field?.select?.();
}

async function fill(answer) {
  content.innerHTML = await answer.text();
  localTimes(content);
}

// Beside what is corrected where there is room; on a narrow screen the style sheet puts it at the bottom.
function settle(anchor) {
  const box = anchor.getBoundingClientRect();
  const lowest = innerHeight - editor.offsetHeight - 8;
  const rightmost = innerWidth - editor.offsetWidth - 8;
  const below = box.bottom + 8;
  const above = box.top - editor.offsetHeight - 8;
  const fits = below <= lowest || above >= 8;
  const top = below <= lowest ? below : fits ? above : Math.min(box.top - 40, lowest);
  const left = fits ? Math.min(box.left - 16, rightmost) : rightmost - 16;
  editor.style.setProperty("--editor-top", `${Math.max(8, top)}px`);
  editor.style.setProperty("--editor-left", `${Math.max(8, left)}px`);
}

editor.addEventListener("click", (event) => {
  if (event.target === editor || event.target.closest("[data-cancel]")) {
    event.preventDefault();
    editor.close();
  }
});

content.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.target.nodeName !== "TEXTAREA") return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

content.addEventListener("input", (event) => {
  if (event.target.name !== "name") return;
  const somebodyNew = content.querySelector('input[name="label"][value="new"]');
  if (somebodyNew) somebodyNew.checked = true;
});

content.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const answer = await ask(form.action, new FormData(form, event.submitter));
  if (!answer) return editor.close();
  if (answer.status === 422) return fill(answer);
  if (form.dataset.remark === "speaker") tellSpeakers(await answer.json());
  else replaceSegment(byId(returnTo.segment), await answer.text());
  announce("Saved.");
  editor.close();
});

editor.addEventListener("close", () => {
  content.replaceChildren();
  const segment = byId(returnTo?.segment ?? "");
  choose(segment?.querySelector(`[data-w="${returnTo.word}"]`) ?? firstWord(segment), true);
  returnTo = null;
});

function replaceSegment(old, html) {
  const holder = document.createElement("template");
  holder.innerHTML = html.trim();
  const fresh = holder.content.firstElementChild;
  fresh.querySelector(".source")?.classList.toggle("same", Boolean(old.querySelector(".source.same")));
  old.replaceWith(fresh);
  stale = true;
  if (old.contains(chosen)) chosen = null;
  if (old.contains(now)) now = null;
  if (player) mark();
}

function tellSpeakers({ names, labels }) {
  let before = "";
  for (const segment of transcript.querySelectorAll(".segment")) {
    const label = labels[segment.id.slice(1)] ?? "";
    const begins = Boolean(label) && label !== before;
    segment.dataset.label = label;
    segment.classList.toggle("begins", begins);
    const who = segment.querySelector(".who");
    who.hidden = !begins;
    who.querySelector("bdi").textContent = names[label] ?? label;
    before = label;
  }
}

// ---------------------------------------------------------------- searching

const search = byId("search");
const field = byId("search-text");
const painted = Boolean(globalThis.CSS?.highlights && globalThis.Highlight);
let matches = [];
let place = -1;
let pending = 0;

// Letters that change their number when made small would shift what is found: then the text is taken as it is.
const small = (text) => {
  const lower = text.toLocaleLowerCase();
  return lower.length === text.length ? lower : text;
};

function find() {
  clearTimeout(pending);
  const wanted = small(field.value.trim().replace(/\s+/g, " "));
  matches = [];
  place = -1;
  if (wanted) {
    for (const said of transcript.querySelectorAll(".said")) {
      collect(said, wanted);
      if (matches.length >= MOST_MATCHES) break;
    }
  }
  if (painted) {
    CSS.highlights.set("found", new Highlight(...matches));
    CSS.highlights.delete("found-now");
  }
  for (const id of ["search-previous", "search-next"]) byId(id).disabled = !matches.length;
  count(wanted);
}

function collect(said, wanted) {
  const text = small(said.textContent);
  let at = text.indexOf(wanted);
  if (at < 0) return;
  const nodes = [];
  const walker = document.createTreeWalker(said, NodeFilter.SHOW_TEXT);
  for (let length = 0; walker.nextNode(); length += walker.currentNode.length) nodes.push([length, walker.currentNode]);
  const spot = (offset, last) => {
    const [start, node] = nodes.findLast(([begin]) => (last ? begin < offset : begin <= offset));
    return [node, offset - start];
  };
  for (; at >= 0 && matches.length < MOST_MATCHES; at = text.indexOf(wanted, at + wanted.length)) {
    const range = new Range();
    range.setStart(...spot(at, false));
    range.setEnd(...spot(at + wanted.length, true));
    matches.push(range);
  }
}

function count(wanted) {
  const many = matches.length >= MOST_MATCHES ? `${MOST_MATCHES} or more` : String(matches.length);
  const told = place >= 0 ? `${place + 1} of ${many}` : `${many} found`;
  byId("search-count").textContent = !wanted ? "" : matches.length ? told : "nothing found";
}

function stepMatch(by) {
  if (pending) find();
  pending = 0;
  if (!matches.length) return;
  place = place < 0 && by < 0 ? matches.length - 1 : (place + by + matches.length) % matches.length;
  const range = matches[place];
  if (painted) CSS.highlights.set("found-now", new Highlight(range));
  setFollowing(false);
  const word = range.startContainer.parentElement.closest("[data-t]") ?? firstWord(segmentOf(range.startContainer.parentElement));
  choose(word);
  show(word);
  word.scrollIntoView({ block: "center" });
  count(field.value.trim());
}

if (search) {
  field.addEventListener("input", () => {
    clearTimeout(pending);
    pending = setTimeout(find, 120);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      stepMatch(-1);
    }
    if (event.key === "Escape") {
      field.value = "";
      find();
      (chosen ?? field).focus();
    }
  });
  search.addEventListener("submit", (event) => {
    event.preventDefault();
    stepMatch(1);
  });
  byId("search-previous").addEventListener("click", () => stepMatch(-1));
}

// ---------------------------------------------------------------- what is heard meanwhile

let fetching = false;
let again = false;

async function fetchNew() {
  again = fetching;
  if (fetching) return;
  fetching = true;
  const progress = byId("transcript-progress");
  const heard = new Set(progress.dataset.heard.split(",").filter(Boolean));
  for (let ordinal = 0; ordinal < Number(progress.dataset.pieces); ordinal += 1) {
    const part = byId(`piece-${ordinal}`) ?? newPart(ordinal);
    // At the end, a piece that is still waited for has become a gap, and says why.
    if (!("waiting" in part.dataset) || !(heard.has(String(ordinal)) || isOver(progress))) continue;
    const answer = await ask(`${base}pieces/${ordinal}`);
    if (!answer) break;
    const holder = document.createElement("template");
    holder.innerHTML = (await answer.text()).trim();
    part.replaceWith(holder.content);
    stale = true;
  }
  fetching = false;
  if (again) return fetchNew();
  if (transcript.querySelector(".segment")) byId("nothing-heard")?.remove();
  if (!chosen) begin();
  // The page came before there was any sound, and so without a player.
  if (!player && Number(progress.dataset.pieces)) location.reload();
}

function isOver(progress) {
  return ["done", "failed", "cancelled"].includes(progress.dataset.state);
}

function newPart(ordinal) {
  const part = document.createElement("div");
  part.id = `piece-${ordinal}`;
  part.className = "part part-waiting";
  part.dataset.waiting = "";
  transcript.append(part);
  return part;
}

// live.js changes the attributes of the element, which stays the same.
new MutationObserver(fetchNew).observe(byId("transcript-progress"), {
  attributes: true,
  attributeFilter: ["data-heard", "data-pieces", "data-state"],
});

// ---------------------------------------------------------------- where to begin

function begin() {
  const segment = /^#s\d+$/.test(location.hash) ? byId(location.hash.slice(1)) : null;
  choose(firstWord(segment) ?? transcript.querySelector("[data-t]"));
  if (chosen) show(chosen);
  byId("deck")?.classList.add("deck-ready");
  if (segment && player) player.currentTime = Number(segment.dataset.start);
}

begin();
