// Files that are dropped go up at once, in parts (tus 1.0), and go on after a lost connection or a reloaded page.
// "Transcribe" makes a job of each as soon as it is whole. Without this script the form sends them itself.
import { announce } from "./app.js";

const PART_BYTES = 8 * 1024 * 1024;
const AT_ONCE = 2;
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;
const KEPT = "clustercore-upload ";

const form = document.getElementById("transcribe");
const list = document.getElementById("uploads");
const hint = document.getElementById("transcribe-hint");
const problem = document.getElementById("file-error");
const uploads = [];

const token = () => form.querySelector("[name=csrfmiddlewaretoken]").value;
const inBase64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// A name of another direction must not turn the sentence around it.
const isolated = (name) => `\u2068${name}\u2069`;

function amount(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), 4);
  return `${(bytes / 1000 ** power).toFixed(power > 1 ? 1 : 0)} ${units[power]}`;
}

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  // What time may mend by itself: too much at once, or a server that is being restarted.
  get passes() {
    return this.status === 429 || this.status >= 500;
  }
}

function said(status, text) {
  if (status === 401) return "Your session has ended. Sign in again in another tab, then press “Resume”.";
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `The hub refused it (${status}).`;
  }
}

// fetch cannot tell how much of a body has gone; XMLHttpRequest can.
function send(method, address, headers, body, onProgress, onStart) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress?.(event.loaded);
    request.onload = () =>
      request.status < 400 ? resolve(request) : reject(new Refused(request.status, said(request.status, request.responseText)));
    request.onerror = () => reject(new TypeError("connection lost"));
    request.onabort = () => reject(new DOMException("paused", "AbortError"));
    onStart?.(request);
    request.send(body);
  });
}

class Upload {
  constructor(file) {
    this.file = file;
    this.state = "queued";
    this.offset = 0;
    this.address = null;
    this.wanted = false;
    this.request = null;
    this.element = document.getElementById("upload-template").content.firstElementChild.cloneNode(true);
    this.element.querySelector(".upload-name").textContent = file.name;
    this.element.querySelector(".upload-name").title = file.name;
    this.progress = this.element.querySelector("progress");
    this.progress.setAttribute("aria-label", `Upload of ${file.name}`);
    for (const button of this.element.querySelectorAll("[data-does]")) {
      button.setAttribute("aria-label", `${button.textContent}: ${file.name}`);
      button.addEventListener("click", () => this[button.dataset.does]());
    }
    list.append(this.element);
    this.show("waits for its turn");
  }

  get key() {
    return `${KEPT}${this.file.name} ${this.file.size} ${this.file.lastModified}`;
  }

  show(words, tone = "muted") {
    const place = this.element.querySelector(".upload-words");
    place.textContent = words;
    place.className = `upload-words small ${tone === "muted" ? "muted" : `text-${tone}`}`;
    this.progress.value = this.file.size ? (1000 * this.offset) / this.file.size : 0;
    this.progress.className = tone === "muted" ? "" : tone;
    this.button("pause", ["queued", "sending", "waiting"].includes(this.state));
    this.button("resume", ["paused", "refused"].includes(this.state));
    this.button("leave", !["submitting", "job"].includes(this.state));
    tellTheForm();
  }

  button(does, isShown) {
    this.element.querySelector(`[data-does=${does}]`).hidden = !isShown;
  }

  pause() {
    this.state = "paused";
    this.request?.abort();
    this.show(`Paused at ${amount(this.offset)} of ${amount(this.file.size)}`, "waiting");
    next();
  }

  resume() {
    this.state = this.offset === this.file.size && this.address ? "whole" : "queued";
    this.show("waits for its turn");
    if (this.state === "whole" && this.wanted) this.submit();
    next();
  }

  leave() {
    this.state = "left";
    this.request?.abort();
    if (this.address) send("DELETE", this.address, { "Tus-Resumable": "1.0.0", "X-CSRFToken": token() }).catch(() => {});
    this.forget();
    uploads.splice(uploads.indexOf(this), 1);
    this.element.remove();
    tellTheForm();
    document.getElementById("file").focus();
    next();
  }

  remember() {
    try {
      localStorage.setItem(this.key, this.address);
    } catch {
      // It then cannot go on after a reload, and begins anew.
    }
  }

  forget() {
    try {
      localStorage.removeItem(this.key);
    } catch {
      // Nothing was kept.
    }
  }

  async run() {
    this.state = "sending";
    let wait = FIRST_WAIT;
    while (this.state === "sending" || this.state === "waiting") {
      try {
        this.state = "sending";
        const before = this.offset;
        await this.step();
        if (this.offset > before) wait = FIRST_WAIT;
      } catch (error) {
        if (error.name === "AbortError") return;
        if (error instanceof Refused && !error.passes && !(await this.mended(error))) return this.refuse(error.message);
        if (!(error instanceof Refused) || error.passes) {
          this.state = "waiting";
          const why = error instanceof Refused ? error.message : "Connection lost";
          this.show(`${why}. Trying again in ${Math.round(wait / 1000)} s; nothing is lost.`, "waiting");
          await Promise.race([pause(wait), new Promise((back) => addEventListener("online", back, { once: true }))]);
          wait = Math.min(wait * 2, LONGEST_WAIT);
          this.checked = false;
        }
      }
    }
  }

  // The hub forgot the upload (it expired), or has more of it than we thought.
  async mended(error) {
    if (error.status === 409) {
      this.checked = false;
      return true;
    }
    if (error.status === 404 && this.address) {
      this.forget();
      [this.address, this.offset] = [null, 0];
      return true;
    }
    return false;
  }

  async step() {
    if (!this.address) this.address = this.recall();
    if (!this.address) await this.create();
    else if (!this.checked) await this.check();
    if (this.offset < this.file.size) await this.part();
    if (this.offset === this.file.size && this.state === "sending") this.whole();
  }

  recall() {
    try {
      return localStorage.getItem(this.key);
    } catch {
      return null;
    }
  }

  headers(more) {
    return { "Tus-Resumable": "1.0.0", "X-CSRFToken": token(), ...more };
  }

  async create() {
    const told = [`filename ${inBase64(this.file.name)}`];
    if (this.file.type) told.push(`filetype ${inBase64(this.file.type)}`);
    const headers = this.headers({ "Upload-Length": String(this.file.size), "Upload-Metadata": told.join(",") });
    const answer = await send("POST", form.dataset.uploads, headers, null, null, (request) => (this.request = request));
    this.address = new URL(answer.getResponseHeader("Location"), location.href).pathname;
    [this.offset, this.checked] = [0, true];
    this.remember();
  }

  async check() {
    const answer = await send("HEAD", this.address, this.headers(), null, null, (request) => (this.request = request));
    this.offset = Number(answer.getResponseHeader("Upload-Offset"));
    this.checked = true;
  }

  async part() {
    const from = this.offset;
    const body = this.file.slice(from, from + PART_BYTES);
    const headers = this.headers({ "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(from) });
    const seen = (loaded) => {
      this.offset = Math.min(from + loaded, from + body.size);
      this.show(`${amount(this.offset)} of ${amount(this.file.size)}`);
    };
    try {
      const answer = await send("PATCH", this.address, headers, body, seen, (request) => (this.request = request));
      this.offset = Number(answer.getResponseHeader("Upload-Offset"));
    } catch (error) {
      // How much of this part arrived, only the hub knows.
      [this.offset, this.checked] = [from, false];
      throw error;
    }
  }

  whole() {
    this.state = "whole";
    this.show(`Uploaded (${amount(this.file.size)}). Press “Transcribe” to begin.`, "good");
    if (this.wanted) this.submit();
    next();
  }

  refuse(message) {
    this.state = "refused";
    this.show(message, "bad");
    announce(`${this.file.name}: ${message}`);
    next();
  }

  want() {
    this.wanted = true;
    if (this.state === "whole") this.submit();
    else if (["paused", "refused"].includes(this.state)) this.resume();
  }

  async submit() {
    this.state = "submitting";
    this.show("Making a job of it…");
    const upload = this.address.split("/").filter(Boolean).pop();
    const wishes = { upload, ...(this.wishes ??= wishesOf(form)) };
    const headers = { "Content-Type": "application/json", "X-CSRFToken": token(), "Idempotency-Key": `upload-${upload}` };
    try {
      const answer = await send("POST", form.dataset.transcriptions, headers, JSON.stringify(wishes));
      this.forget();
      this.becomes(JSON.parse(answer.responseText));
    } catch (error) {
      const lost = error instanceof Refused ? error.message : "Connection lost. Press “Resume”: it is made only once.";
      // Other wishes may be what mends it; the same key would be answered with the first.
      this.wishes = null;
      this.refuse(lost);
    }
  }

  becomes(job) {
    this.state = "job";
    this.offset = this.file.size;
    const place = this.element.querySelector(".upload-job");
    const link = document.createElement("a");
    link.href = form.dataset.job.replace("/0/", `/${job.id}/`);
    link.className = "job-row-title";
    const name = document.createElement("bdi");
    name.textContent = this.file.name;
    link.append(name);
    // As the live row is built, so that the link stays the same one when that comes: it may have the focus by then.
    const main = document.createElement("div");
    main.className = "job-row-main";
    main.append(link);
    const row = document.createElement("li");
    row.className = "job-row";
    row.id = `job-${job.id}-row`;
    row.append(main);
    const rows = document.createElement("ul");
    rows.className = "job-rows";
    rows.dataset.live = `job:${job.id}`;
    rows.append(row);
    place.append(rows);
    place.hidden = false;
    this.element.querySelector(".upload-name").hidden = true;
    this.element.querySelector(".upload-buttons").hidden = true;
    this.progress.hidden = true;
    this.element.classList.add("upload-done");
    this.show("");
    announce(`${this.file.name} is job ${job.id}.`);
    document.dispatchEvent(new Event("live:follow"));
  }
}

function wishesOf(given) {
  const fields = new FormData(given);
  const wishes = {};
  for (const name of ["language", "prompt", "quality", "engine", "track"]) {
    const value = String(fields.get(name) ?? "").trim();
    if (value) wishes[name] = value;
  }
  return wishes;
}

function next() {
  const busy = uploads.filter((upload) => ["sending", "waiting"].includes(upload.state)).length;
  for (const upload of uploads.filter((one) => one.state === "queued").slice(0, Math.max(0, AT_ONCE - busy))) upload.run();
}

function tellTheForm() {
  const open = uploads.filter((upload) => upload.state !== "job" && !upload.wanted).length;
  const button = document.getElementById("transcribe-go");
  if (open) button.textContent = open === 1 ? "Transcribe" : `Transcribe ${open} recordings`;
  else button.textContent = form.dataset.from && !uploads.length ? "Transcribe again" : "Transcribe";
  const going = uploads.filter((upload) => upload.wanted && !["job", "refused", "paused"].includes(upload.state)).length;
  hint.textContent = going ? "You may go on adding recordings. Keep this page open until they are uploaded." : "";
}

function add(files) {
  problem.textContent = "";
  const limit = Number(form.dataset.maxGb) * 1e9;
  for (const file of files) {
    if (uploads.some((one) => one.file.name === file.name && one.file.size === file.size && one.state !== "job")) continue;
    if (!file.size) problem.textContent = `${isolated(file.name)} is empty: nothing was recorded, or the copy failed.`;
    else if (file.size > limit) problem.textContent = `${isolated(file.name)} has ${amount(file.size)}; the hub takes up to ${form.dataset.maxGb} GB.`;
    else uploads.push(new Upload(file));
  }
  next();
}

function dropping() {
  const drop = document.getElementById("drop");
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  // Anywhere on the page: who misses the field by an inch must not find the browser playing the file instead.
  addEventListener("dragenter", (event) => {
    if (carriesFiles(event)) drop.classList.toggle("drop-over", ++depth > 0);
  });
  addEventListener("dragleave", (event) => {
    if (carriesFiles(event)) drop.classList.toggle("drop-over", --depth > 0);
  });
  addEventListener("dragover", (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    drop.classList.remove("drop-over");
    add(event.dataTransfer.files);
  });
}

function begin() {
  const input = document.getElementById("file");
  form.classList.add("js-ready");
  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });
  form.addEventListener("submit", (event) => {
    // Another job's own recording lies at the hub already: the form itself asks for it.
    if (!uploads.length && form.dataset.from) return;
    event.preventDefault();
    if (!uploads.some((upload) => upload.state !== "job")) {
      problem.textContent = "Choose a recording first: audio or video.";
      input.focus();
      return;
    }
    for (const upload of uploads) if (!upload.wanted) upload.want();
    tellTheForm();
  });
  addEventListener("beforeunload", (event) => {
    if (uploads.some((upload) => !["job", "refused", "paused"].includes(upload.state))) event.preventDefault();
  });
  dropping();
}

if (form) begin();
