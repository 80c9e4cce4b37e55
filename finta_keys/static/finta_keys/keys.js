// What makes the pages quicker: dialogs over a list, Copy, and what a scope gains and loses before it is saved. All of
// it works without this file too, and the server knows nothing of it: a dialog shows the page of the link, its form is
// sent to the page's address, and what comes back is shown, or is the list that lies under the dialog.
"use strict";
(() => {
  const DRAFT = "finta_keys.draft";
  const MAIN = "[data-finta-keys-user]"; // what is ours of a page; all around it is the host's
  const { gettext = (text) => text, ngettext = (one, several, number) => (number === 1 ? one : several) } = window;
  const main = document.querySelector(MAIN);
  const dialog = make("dialog", { "aria-labelledby": "finta-keys-title" });
  const content = make("div");
  const close = make("button", { type: "button", class: "finta-close finta-quiet", "aria-label": gettext("Close") }, "×");
  dialog.append(content, close, live());
  // At the end of the host's page, with our sheet. Turbo keeps no copy of it, which might have a secret.
  const layer = make("div", { class: "finta-keys", "data-turbo": "false", "data-turbo-temporary": "" });
  layer.append(dialog, live());
  document.body.append(layer);

  let address = ""; // of the page that the dialog shows
  let opener = ""; // the href of the link that opened it
  let sending = false;
  let turn = 0; // counts what was asked for: an answer that comes after something else has happened is dropped
  let copied = true; // false while a secret is shown that was not copied
  let stale = false; // the list has changed under the dialog

  function isOurs(element) {
    return main.contains(element) || dialog.contains(element);
  }

  function ours(selector) {
    return [main, dialog].flatMap((each) => [...each.querySelectorAll(selector)]);
  }

  // Put the values in their places in a translated text.
  function filled(words, values) {
    return words.replace(/%\((\w+)\)s/g, (place, name) => values[name]);
  }

  function make(tag, attributes = {}, text = "") {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  }

  function live() {
    return make("p", { class: "finta-visually-hidden finta-live", role: "status" });
  }

  function warning(text, more = "") {
    return make("p", { class: `finta-note finta-warning ${more}`, role: "alert" }, text);
  }

  // What stands outside an open dialog is not read out, so each has a region of its own.
  function announce(text) {
    (dialog.open ? dialog : layer).querySelector(":scope > .finta-live").textContent = text;
  }

  function here() {
    return location.pathname + location.search;
  }

  // Pages

  // Nothing comes back where no answer came, or where what stands between, such as a proxy, gave it for the site.
  async function ask(url, body) {
    const options = body ? { method: "POST", body } : {};
    try {
      const response = await fetch(url, { credentials: "same-origin", cache: "no-store", ...options });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (!response.ok && !page.querySelector(`${MAIN} .finta-panel`)) return undefined;
      return { page, url: new URL(response.url), redirected: response.redirected, ok: response.ok };
    } catch (error) {
      if (error instanceof TypeError) return undefined;
      throw error;
    }
  }

  function arrive({ page, url, redirected, ok }, fields) {
    if (redirected && url.searchParams.has("next")) return leave(url, fields);
    if (isForSomebodyElse(page)) return location.reload();
    if (redirected && url.href === address) return show(page.querySelector(`${MAIN} .finta-panel`)); // the way is free now
    if (redirected && url.pathname === location.pathname) return backToList(page);
    if (redirected) return refresh(page.querySelector(`${MAIN} .finta-messages`));
    stale ||= !ok; // The list shows something that is not so any more.
    return show(page.querySelector(`${MAIN} .finta-panel`) ?? page.querySelector(`${MAIN}, main`) ?? page.body);
  }

  // Somebody else has signed in in another tab.
  function isForSomebodyElse(page) {
    const user = userOf(page);
    return Boolean(user) && user !== userOf(document);
  }

  function userOf(page) {
    return page.querySelector(MAIN)?.dataset.fintaKeysUser;
  }

  function show(panel) {
    content.replaceChildren(document.adoptNode(panel));
    copied = !content.querySelector(".finta-secret");
    stale ||= !copied;
    enhance(content);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    focusIn(content);
  }

  function focusIn(root) {
    const wanted = root.querySelector("[aria-invalid=true]") ?? root.querySelector(".finta-invalid input")
      ?? root.querySelector("[autofocus]:not([hidden])") ?? root.querySelector("h1");
    if (wanted?.matches("h1")) wanted.tabIndex = -1;
    wanted?.focus();
  }

  function backToList(page, messages, mine = turn) {
    stale = false;
    if (userOf(page) !== userOf(document)) return location.reload();
    main.replaceChildren(...document.adoptNode(page.querySelector(MAIN)).childNodes);
    if (messages) main.prepend(document.adoptNode(messages));
    enhance(main);
    if (mine === turn) dialog.close();
    announce(main.querySelector(".finta-messages")?.textContent.trim() ?? "");
  }

  // Somewhere else: the session has expired. The way leads back here, to the same dialog with what was typed.
  function leave(url, fields) {
    copied = true;
    url.searchParams.set("next", here());
    const draft = { page: here(), user: userOf(document), opener, fields };
    sessionStorage.setItem(DRAFT, JSON.stringify(draft));
    location.assign(url);
  }

  // What may be kept: what is hidden may be what was typed before a question came between. Never a password.
  function isTyped(form, name) {
    return name !== "csrfmiddlewaretoken" && form.elements[name]?.type !== "password";
  }

  async function takeUpDraft() {
    const kept = sessionStorage.getItem(DRAFT);
    if (!kept || main.querySelector("input[type=password]")) return;
    sessionStorage.removeItem(DRAFT);
    const draft = JSON.parse(kept);
    if (draft.page !== here() || draft.user !== userOf(document)) return;
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
    const answer = await ask(wanted);
    if (mine !== turn) return;
    [address, opener] = [wanted, from];
    if (answer) arrive(answer);
    else show(fault());
  }

  function fault() {
    const panel = make("section");
    const ways = make("p", { class: "finta-buttons" });
    ways.append(
      make("a", { class: "finta-button", "data-dialog": "", href: address }, gettext("Try again")),
      make("a", { class: "finta-button finta-quiet", "data-close": "", href: here() }, gettext("Close")),
    );
    panel.append(
      make("h1", { id: "finta-keys-title" }, gettext("No response")),
      make("p", { role: "alert" }, gettext("The server did not respond. Check your connection and try again.")),
      ways,
    );
    return panel;
  }

  async function send(form, submitter) {
    const fields = [...new FormData(form, submitter)];
    sending = true;
    turn++;
    submitter.setAttribute("aria-disabled", "true");
    form.querySelector(".finta-fault")?.remove();
    const target = form.hasAttribute("action") ? form.action : address;
    const answer = await ask(target, new URLSearchParams(fields));
    sending = false;
    submitter.removeAttribute("aria-disabled");
    if (answer) arrive(answer, fields.filter(([name]) => isTyped(form, name)));
    else sayThatNoAnswerCame(form);
  }

  function sayThatNoAnswerCame(form) {
    stale = true;
    const page = main.querySelector("h1").textContent;
    const look = make("a", { href: here() }, filled(gettext("Check %(page)s"), { page }));
    const said = gettext("The server did not respond, so your change may not be saved. %(link)s, or try again. It will not be done twice.");
    const [before, after] = said.split("%(link)s");
    const alert = warning(before, "finta-fault");
    alert.append(look, after);
    form.querySelector(".finta-buttons").before(alert);
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
    const answer = await ask(here());
    if (answer) return backToList(answer.page, messages, mine);
    stale = true;
    address = location.href;
    if (mine === turn) show(fault());
  }

  window.addEventListener("beforeunload", (event) => {
    if (sending || !copied) event.preventDefault();
  });
  // No page that the browser keeps for the way back may hold a secret.
  window.addEventListener("pagehide", () => {
    for (const code of ours(".finta-copy code")) code.textContent = "";
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) for (const each of ours("button:disabled")) each.disabled = false;
  });

  // Copying

  async function copy(pressed) {
    const code = pressed.closest(".finta-copy").querySelector("code");
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
    for (const question of ours("[data-ask]")) question.hidden = true;
    pressed.firstChild.textContent = gettext("Copied");
    announce(gettext("Copied"));
    setTimeout(() => {
      pressed.firstChild.textContent = gettext("Copy");
      announce("");
    }, 4000);
  }

  function sayThatItIsSelected(pressed) {
    pressed.replaceWith(warning(gettext("Your browser does not allow copying here. The text is selected: copy it with the keyboard.")));
  }

  document.addEventListener("copy", () => {
    const [secret] = ours(".finta-secret");
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

  function listing(sentence, boxes) {
    const names = boxes.slice(0, 6).map(nameOf);
    const left = boxes.length - names.length;
    if (left) names.push(filled(ngettext("and %(number)s more", "and %(number)s more", left), { number: left }));
    return boxes.length ? filled(sentence, { number: boxes.length, names: names.join(", ") }) : "";
  }

  function tellScope(scope) {
    const boxes = [...scope.querySelectorAll("fieldset input")];
    const count = scope.querySelector("[data-count]");
    const numbers = { chosen: boxes.filter((box) => box.checked).length, total: boxes.length };
    if (count) count.textContent = filled(gettext("%(chosen)s of %(total)s selected"), numbers);
    const change = scope.closest("form").querySelector("[data-change]");
    if (!change) return;
    change.className = "finta-note";
    change.textContent = difference(scope.querySelector("[role=switch]"), boxes, scope.dataset);
  }

  function difference(all, boxes, { accountWords }) {
    const seen = (box) => "seen" in box.closest("label").dataset;
    const sees = (box) => all.checked || box.checked;
    const gained = listing(gettext("Gains %(number)s: %(names)s."), boxes.filter((box) => sees(box) && !seen(box)));
    const lost = listing(gettext("Loses %(number)s: %(names)s."), boxes.filter((box) => !sees(box) && seen(box)));
    const future = all.checked
      ? filled(gettext("Includes %(account_words)s you add later."), { account_words: accountWords })
      : filled(gettext("Excludes %(account_words)s you add later."), { account_words: accountWords });
    const told = [gained, lost, all.checked === seen(all) ? "" : future].filter(Boolean);
    return told.join(" ") || gettext("No changes yet.");
  }

  function find(input) {
    const words = fold(input.value).split(/\s+/);
    const scope = input.closest("[data-scope]");
    let hits = 0;
    for (const group of scope.querySelectorAll("fieldset")) {
      let here = 0;
      for (const label of group.querySelectorAll("label")) {
        const hit = words.every((word) => fold(`${text(group.querySelector("legend"))} ${text(label)}`).includes(word));
        label.hidden = !hit;
        here += hit;
      }
      group.hidden = !here;
      hits += here;
    }
    const none = filled(gettext("No %(account_word)s has this name."), { account_word: scope.dataset.accountWord });
    input.parentElement.querySelector("[data-none]").textContent = hits ? "" : none;
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
    if (!isOurs(pressed) || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const inDialog = dialog.contains(pressed);
    if ("copy" in pressed.dataset) copy(pressed);
    else if (pressed.dataset.check) check(pressed);
    else if ("close" in pressed.dataset && inDialog) {
      event.preventDefault();
      closeDialog();
    } else if ("close" in pressed.dataset && !mayClose(main)) event.preventDefault();
    else if ("close" in pressed.dataset) copied = true;
    else if ("dialog" in pressed.dataset && (inDialog || !main.querySelector(".finta-panel"))) {
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
    if (!isOurs(form) || form.method !== "post") return;
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
    if (!scope || !isOurs(scope)) return;
    if ("find" in event.target.dataset) find(event.target);
    else tellScope(scope);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && isOurs(event.target) && "find" in event.target.dataset) event.preventDefault();
  });

  enhance(main);
  copied = !main.querySelector(".finta-secret");
  // Copy is hidden until here, perhaps later than the browser looks for what has autofocus.
  if (main.querySelector("[aria-invalid=true], .finta-invalid input, .finta-secret")) focusIn(main);
  takeUpDraft();
})();
