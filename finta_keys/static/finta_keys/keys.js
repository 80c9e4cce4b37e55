// What makes the pages quicker: dialogs over a list, Copy, and what a scope gains and loses before it is saved. All of
// it works without this file too, and the server knows nothing of it: a dialog shows the page of the link, its form is
// sent to the page's address, and what comes back is shown, or is the list that lies under the dialog.
"use strict";
(() => {
  const DRAFT = "finta_keys.draft";
  const main = document.getElementById("main");
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "title");
  const content = document.createElement("div");
  const close = button("×", "close quiet", "Close");
  dialog.append(content, close, live());
  document.body.append(dialog, live());

  let address = ""; // of the page that the dialog shows
  let opener = ""; // the href of the link that opened it
  let sending = false;
  let turn = 0; // counts what was asked for: an answer that comes after something else has happened is dropped
  let copied = true; // false while a secret is shown that was not copied
  let stale = false; // the list has changed under the dialog

  function button(text, className, label) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = className;
    made.textContent = text;
    made.setAttribute("aria-label", label);
    return made;
  }

  function live() {
    const region = document.createElement("p");
    region.className = "visually-hidden live";
    region.setAttribute("role", "status");
    return region;
  }

  // What stands outside an open dialog is not read out, so each has a region of its own.
  function announce(text) {
    (dialog.open ? dialog : document.body).querySelector(":scope > .live").textContent = text;
  }

  function here() {
    return location.pathname + location.search;
  }

  // Pages

  async function ask(url, body) {
    const options = body ? { method: "POST", body } : {};
    const response = await fetch(url, { credentials: "same-origin", cache: "no-store", ...options });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    // What stands between, such as a proxy, answered in the place of the site.
    if (!response.ok && !page.querySelector(".panel")) throw new TypeError(`Status ${response.status}`);
    return { page, url: new URL(response.url), redirected: response.redirected, ok: response.ok };
  }

  function arrive({ page, url, redirected, ok }, fields) {
    if (redirected && url.searchParams.has("next")) return leave(url, fields);
    if (isForSomebodyElse(page)) return location.reload();
    if (redirected && url.href === address) return show(page.querySelector(".panel")); // the way is free now
    if (redirected && url.pathname === location.pathname) return backToList(page);
    if (redirected) return refresh(page.querySelector(".messages"));
    stale ||= !ok; // The list shows something that is not so any more.
    return show(page.querySelector(".panel") ?? page.getElementById("main") ?? page.body);
  }

  // Somebody else has signed in in another tab.
  function isForSomebodyElse(page) {
    const { user } = page.body.dataset;
    return Boolean(user) && user !== document.body.dataset.user;
  }

  function show(panel) {
    content.replaceChildren(document.adoptNode(panel));
    copied = !content.querySelector(".secret");
    stale ||= !copied;
    enhance(content);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    focusIn(content);
  }

  function focusIn(root) {
    const wanted = root.querySelector("[aria-invalid=true]") ?? root.querySelector(".invalid input")
      ?? root.querySelector("[autofocus]:not([hidden])") ?? root.querySelector("h1");
    if (wanted?.matches("h1")) wanted.tabIndex = -1;
    wanted?.focus();
  }

  function backToList(page, messages, mine = turn) {
    stale = false;
    if (page.body.dataset.user !== document.body.dataset.user) return location.reload();
    main.replaceChildren(...document.adoptNode(page.getElementById("main")).childNodes);
    if (messages) main.prepend(document.adoptNode(messages));
    enhance(main);
    if (mine === turn) dialog.close();
    announce(main.querySelector(".messages")?.textContent.trim() ?? "");
  }

  // Somewhere else: the session has expired. The way leads back here, to the same dialog with what was typed.
  function leave(url, fields) {
    copied = true;
    url.searchParams.set("next", here());
    const draft = { page: here(), user: document.body.dataset.user, opener, fields };
    sessionStorage.setItem(DRAFT, JSON.stringify(draft));
    location.assign(url);
  }

  // What may be kept: what is hidden may be what was typed before a question came between. Never a password.
  function isTyped(form, name) {
    return name !== "csrfmiddlewaretoken" && form.elements[name]?.type !== "password";
  }

  async function takeUpDraft() {
    const kept = sessionStorage.getItem(DRAFT);
    if (!kept || document.querySelector("input[type=password]")) return;
    sessionStorage.removeItem(DRAFT);
    const draft = JSON.parse(kept);
    if (draft.page !== here() || draft.user !== document.body.dataset.user) return;
    await open(draft.opener);
    if (draft.fields) refill(content.querySelector("form"), draft.fields);
  }

  function refill(form, fields) {
    for (const input of form?.querySelectorAll("input:not([type=hidden])") ?? []) {
      const values = fields.filter(([name]) => name === input.name).map(([, value]) => value);
      if (input.type === "checkbox") input.checked = values.includes(input.value);
      else if (values.length) input.value = values[0];
    }
    enhance(content);
  }

  async function open(href, from = href) {
    const mine = ++turn;
    const wanted = new URL(href, location.href).href;
    let answer;
    try {
      answer = await ask(wanted);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    if (mine !== turn) return;
    [address, opener] = [wanted, from];
    if (!answer) return show(fault());
    arrive(answer);
  }

  function fault() {
    const panel = document.createElement("section");
    panel.innerHTML = `<h1 id="title">No answer</h1><p role="alert">The server could not be reached. Nothing was changed.</p>
      <p class="buttons"><a class="button" data-dialog>Try again</a> <a class="button quiet" data-close>Close</a></p>`;
    panel.querySelector("[data-dialog]").href = address;
    panel.querySelector("[data-close]").href = here();
    return panel;
  }

  async function send(form, submitter) {
    const fields = [...new FormData(form, submitter)];
    sending = true;
    turn++;
    submitter.setAttribute("aria-disabled", "true");
    form.querySelector(".fault")?.remove();
    const target = form.hasAttribute("action") ? form.action : address;
    try {
      const answer = await ask(target, new URLSearchParams(fields));
      sending = false;
      arrive(answer, fields.filter(([name]) => isTyped(form, name)));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      sayThatNoAnswerCame(form);
    } finally {
      sending = false;
      submitter.removeAttribute("aria-disabled");
    }
  }

  function sayThatNoAnswerCame(form) {
    stale = true;
    const alert = document.createElement("p");
    alert.className = "note warning fault";
    alert.setAttribute("role", "alert");
    const look = document.createElement("a");
    look.href = here();
    look.textContent = `Look at ${document.title.split(" · ")[0]}`;
    alert.append("No answer came, so nothing is known to have changed. ", look, " to see, or try again: nothing is done twice.");
    form.querySelector(".buttons").before(alert);
    look.focus();
  }

  // Closing

  // The way out of a secret that nobody has copied asks once.
  function mayClose(root) {
    if (sending) return false;
    const question = root.querySelector("[data-ask]");
    if (copied || !question?.hidden) return true;
    question.hidden = false;
    root.querySelector("[data-copy=secret]").focus();
    return false;
  }

  function closeDialog() {
    if (mayClose(content)) dialog.close();
  }

  close.addEventListener("click", closeDialog);
  // Before the browser: it asks by "cancel" only once, and after that closes all the same.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !dialog.open || (event.target.type === "search" && event.target.value)) return;
    event.preventDefault();
    closeDialog();
  });
  dialog.addEventListener("cancel", (event) => {
    if (!mayClose(content)) event.preventDefault();
  });
  dialog.addEventListener("close", async () => {
    turn++;
    content.replaceChildren();
    copied = true;
    if (stale) await refresh();
    if (dialog.open) return;
    const link = [...main.querySelectorAll("a[data-dialog]")].find((each) => each.getAttribute("href") === opener);
    (link ?? main).focus();
  });

  async function refresh(messages) {
    stale = false;
    const mine = turn;
    try {
      backToList((await ask(here())).page, messages, mine);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      stale = true;
      address = location.href;
      if (mine === turn) show(fault());
    }
  }

  window.addEventListener("beforeunload", (event) => {
    if (sending || !copied) event.preventDefault();
  });
  // No page that the browser keeps for the way back may hold a secret.
  window.addEventListener("pagehide", () => {
    for (const code of document.querySelectorAll(".copy code")) code.textContent = "";
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) for (const each of document.querySelectorAll("button:disabled")) each.disabled = false;
  });

  // Copying

  async function copy(pressed) {
    const code = document.getElementById(pressed.dataset.copy);
    getSelection().selectAllChildren(code);
    let done = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      done = document.execCommand("copy"); // Without TLS, browsers have no clipboard to write to.
    }
    if (done) sayCopied(pressed);
    else sayThatItIsSelected(pressed);
  }

  function sayCopied(pressed) {
    copied = true;
    for (const question of document.querySelectorAll("[data-ask]")) question.hidden = true;
    pressed.firstChild.textContent = "Copied";
    announce("Copied");
    setTimeout(() => {
      pressed.firstChild.textContent = "Copy";
      announce("");
    }, 4000);
  }

  function sayThatItIsSelected(pressed) {
    const alert = document.createElement("p");
    alert.className = "note warning";
    alert.setAttribute("role", "alert");
    alert.textContent = "This browser does not let a page copy. The text is selected: copy it with the keyboard.";
    pressed.replaceWith(alert);
  }

  document.addEventListener("copy", () => {
    const secret = document.querySelector(".secret");
    if (secret && getSelection().toString().includes(secret.textContent)) copied = true;
  });

  // Scope

  const text = (element) => element.textContent.trim().replace(/\s+/g, " ");
  const fold = (words) => words.normalize("NFKC").toLowerCase();

  function nameOf(box) {
    const group = box.closest("fieldset");
    const alone = group.parentElement.childElementCount === 1;
    return (alone ? "" : `${text(group.querySelector("legend"))} `) + text(box.closest("label"));
  }

  function listing(verb, boxes) {
    const names = boxes.slice(0, 6).map(nameOf);
    if (boxes.length > 6) names.push(`and ${boxes.length - 6} more`);
    return boxes.length ? `${verb} ${boxes.length}: ${names.join(", ")}. ` : "";
  }

  function tellScope(scope) {
    const boxes = [...scope.querySelectorAll("fieldset input")];
    const count = scope.querySelector("[data-count]");
    if (count) count.textContent = `${boxes.filter((box) => box.checked).length} of ${boxes.length}`;
    const change = scope.closest("form").querySelector("[data-change]");
    if (!change) return;
    change.className = "note";
    change.textContent = difference(scope.querySelector("[role=switch]"), boxes);
  }

  function difference(all, boxes) {
    const seen = (box) => "seen" in box.closest("label").dataset;
    const sees = (box) => all.checked || box.checked;
    const gained = listing("Gains", boxes.filter((box) => sees(box) && !seen(box)));
    const lost = listing("Loses", boxes.filter((box) => !sees(box) && seen(box)));
    let future = "";
    if (all.checked !== seen(all)) {
      future = all.checked ? "Sees every account that you add later." : "Does not see accounts that you add later.";
    }
    return (gained + lost + future).trim() || "Nothing changes yet.";
  }

  function find(input) {
    const words = fold(input.value).split(/\s+/);
    let hits = 0;
    for (const group of input.closest("[data-scope]").querySelectorAll("fieldset")) {
      let here = 0;
      for (const label of group.querySelectorAll("label")) {
        const hit = words.every((word) => fold(`${text(group.querySelector("legend"))} ${text(label)}`).includes(word));
        label.hidden = !hit;
        here += hit;
      }
      group.hidden = !here;
      hits += here;
    }
    input.parentElement.querySelector("[data-none]").textContent = hits ? "" : "No account has this name.";
  }

  function check(pressed) {
    for (const box of pressed.closest("fieldset").querySelectorAll("label:not([hidden]) input")) {
      box.checked = pressed.dataset.check === "all";
    }
    tellScope(pressed.closest("[data-scope]"));
  }

  function enhance(root) {
    for (const each of root.querySelectorAll("[data-js]")) each.hidden = false;
    for (const scope of root.querySelectorAll("[data-scope]")) tellScope(scope);
  }

  // What is pressed

  document.addEventListener("click", (event) => {
    const pressed = event.target.closest("a, button");
    if (!pressed || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const inDialog = dialog.contains(pressed);
    if (pressed.dataset.copy) copy(pressed);
    else if (pressed.dataset.check) check(pressed);
    else if ("close" in pressed.dataset && inDialog) {
      event.preventDefault();
      closeDialog();
    } else if ("close" in pressed.dataset && !mayClose(main)) event.preventDefault();
    else if ("close" in pressed.dataset) copied = true;
    else if ("dialog" in pressed.dataset && (inDialog || !main.querySelector(".panel"))) {
      event.preventDefault();
      follow(pressed);
    }
  });

  async function follow(link) {
    if (sending || link.hasAttribute("aria-busy")) return;
    const from = dialog.open ? opener : link.getAttribute("href");
    link.setAttribute("aria-busy", "true");
    await open(link.getAttribute("href"), from);
    link.removeAttribute("aria-busy");
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const submitter = event.submitter ?? form.querySelector("[type=submit]");
    if (form.method !== "post") return;
    if (dialog.contains(form)) {
      event.preventDefault();
      if (!sending) send(form, submitter);
    } else {
      setTimeout(() => (submitter.disabled = true)); // Later: a disabled button is not sent.
      setTimeout(() => (submitter.disabled = false), 4000); // It may have been stopped; nothing is done twice.
    }
  });

  document.addEventListener("input", (event) => {
    const scope = event.target.closest("[data-scope]");
    if (!scope) return;
    if ("find" in event.target.dataset) find(event.target);
    else tellScope(scope);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && "find" in event.target.dataset) event.preventDefault();
  });

  enhance(main);
  copied = !main.querySelector(".secret");
  if (main.querySelector("[aria-invalid=true], .invalid input")) focusIn(main);
  takeUpDraft();
})();
