// Every page works without this. It follows open requests and logs, copies, asks before what cannot be undone, and keeps
// times fresh. It never writes markup: new content is either text or a part of a page that Asgard rendered.
"use strict";
(() => {
  const later = (ms) => new Promise((done) => setTimeout(done, ms));
  const visible = () =>
    document.hidden
      ? new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }))
      : Promise.resolve();

  const voice = document.createElement("p");
  voice.className = "unseen";
  voice.setAttribute("role", "status");
  document.body.append(voice);
  const say = (text) => {
    voice.textContent = text;
  };

  // What was just done is said once, not again at every reload.
  const address = new URL(location.href);
  if (address.searchParams.has("said")) {
    address.searchParams.delete("said");
    history.replaceState(null, "", address);
  }

  // Copying. Without a secure context there is no clipboard to write to; selecting the text still helps.
  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    let copied = false;
    try {
      await navigator.clipboard.writeText(source.textContent);
      copied = true;
    } catch {
      copied = document.execCommand("copy");
    }
    const label = button.textContent;
    button.textContent = copied ? "Copied" : "Selected";
    say(copied ? "Copied." : "Selected; copy it with the keyboard.");
    await later(2000);
    button.textContent = label;
  };

  // Asking before what takes something away.
  const element = (name, text, className) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const ask = (question, verb) =>
    new Promise((answer) => {
      const dialog = document.createElement("dialog");
      const back = element("button", "Back", "quiet");
      const go = element("button", verb, "bad");
      const row = element("p", "", "actions");
      row.append(go, back);
      dialog.append(element("p", question), row);
      document.body.append(dialog);
      back.autofocus = true;
      back.addEventListener("click", () => dialog.close("no"));
      go.addEventListener("click", () => dialog.close("yes"));
      dialog.addEventListener("close", () => {
        dialog.remove();
        answer(dialog.returnValue === "yes");
      });
      dialog.showModal();
    });
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.confirm || form.dataset.sure) return;
    event.preventDefault();
    const button = event.submitter;
    if (await ask(form.dataset.confirm, button ? button.firstChild.textContent : "Go on")) {
      form.dataset.sure = "yes";
      form.requestSubmit(button);
    }
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });

  // Times, in the words that the pages use.
  const words = (at, now) => {
    const seconds = Math.floor(Math.abs(now - at) / 1000);
    if (seconds < 45) return "just now";
    const days = Math.floor(seconds / 86400);
    if (days > 6) return null;
    const span =
      seconds < 3600
        ? `${Math.max(1, Math.floor(seconds / 60))} min`
        : seconds < 86400
          ? `${Math.floor(seconds / 3600)} h`
          : days === 1
            ? "1 day"
            : `${days} days`;
    return at > now ? `in ${span}` : `${span} ago`;
  };
  setInterval(() => {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const text = words(Date.parse(time.dateTime), Date.now());
      if (text && text !== time.textContent) time.textContent = text;
    }
  }, 30000);

  const enhance = (root) => {
    for (const button of root.querySelectorAll("[data-copy], .follow")) button.hidden = false;
  };

  const read = async (path) => {
    const answer = await fetch(path, { headers: { accept: "application/json" }, credentials: "same-origin" });
    if (answer.status === 401) location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  };

  // Following what is open: when its version moves on, the part of the page that shows it is fetched again.
  const busy = (live) => {
    const at = document.activeElement;
    const typed = [...live.querySelectorAll("input, textarea")].some((field) => field.value !== field.defaultValue);
    return typed || (live.contains(at) && at.matches("input, textarea, select")) || document.querySelector("dialog[open]");
  };
  const renew = async (live) => {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("live");
    if (answer.redirected || !fresh) {
      location.reload();
      return live;
    }
    const opened = [...live.querySelectorAll("details")].map((details) => details.open);
    live.replaceWith(fresh);
    [...fresh.querySelectorAll("details")].forEach((details, index) => {
      details.open = opened[index] || details.open;
    });
    enhance(fresh);
    const status = fresh.querySelector("[role=status]");
    if (status) say(status.textContent);
    return fresh;
  };
  const follow = async () => {
    let live = document.getElementById("live");
    let pause = 1500;
    while (live && live.dataset.watch) {
      await later(pause);
      await visible();
      try {
        const seen = (await read(live.dataset.watch))[live.dataset.field || "version"];
        if (seen !== live.dataset.version && !busy(live)) live = await renew(live);
        pause = Math.min(pause * 1.1, 5000);
      } catch {
        pause = Math.min(pause * 2, 30000);
      }
    }
  };

  // A log that grows.
  const line = (entry) => {
    const level = entry.level === "error" || entry.level === "warn" ? entry.level : "info";
    const item = element("li", "", level);
    const time = element("time", entry.at.slice(11, 19));
    time.title = `${entry.at.slice(0, 19).replace("T", " ")} UTC`;
    item.append(time, " ");
    if (level !== "info") item.append(element("span", level, "level"), " ");
    if (entry.address) item.append(element("span", entry.address, "address"), " ");
    item.append(element("span", entry.message, "message"));
    return item;
  };
  const tail = async () => {
    const log = document.getElementById("log");
    if (!log || !log.dataset.log) return;
    const more = document.getElementById("log-more");
    let [next, pause, complete] = [log.dataset.next, 500, false];
    while (!complete) {
      await later(pause);
      await visible();
      try {
        const page = await read(`${log.dataset.log}?after=${encodeURIComponent(next)}`);
        const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
        log.append(...page.lines.map(line));
        if (page.lines.length) document.getElementById("log-empty")?.remove();
        if (atEnd) log.scrollTop = log.scrollHeight;
        [next, complete] = [page.next, page.complete];
        pause = page.lines.length ? 500 : Math.min(pause * 1.5, 3000);
      } catch {
        pause = Math.min(pause * 2, 30000);
      }
    }
    more?.remove();
  };

  enhance(document);
  follow();
  tail();
})();
