// Show the page of a link in a dialog over the list, and submit its form.
"use strict";
((keys) => {
  const { MAIN, main, dialog, content, isOurs, gettext, make, warning, announce, interpolate, focusIn, enhance } = keys;
  const { currentAddress } = keys;
  let address = ""; // of the page in the dialog
  let opener = ""; // the href of the link that opened the dialog
  let isSending = false;
  let isRemovingEntry = false;
  let isListStale = false; // the list has changed since it was loaded
  let actionCount = 0; // a response is dropped if the user has done something else since its request

  // Return undefined if there is no response, or an error page that is not ours, such as a proxy's.
  async function request(url, body) {
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

  function userOf(page) {
    return page.querySelector(MAIN)?.dataset.fintaKeysUser;
  }

  // Return true if another user has signed in, in another tab.
  function isForAnotherUser(page) {
    const user = userOf(page);
    return Boolean(user) && user !== userOf(document);
  }

  // Open the page of a link. `draft` are fields that the user left in its form.
  async function openDialog(href, openerHref = href, draft = undefined) {
    const action = ++actionCount;
    const url = new URL(href, location.href).href;
    const response = await requestWithDraft(url, draft);
    if (action !== actionCount) return;
    keys.forgetDraft();
    [address, opener] = [url, openerHref];
    if (response) handleResponse(response);
    else show(noResponsePanel());
  }

  // The server fills in the accounts of a scope: they may be on another page of the form than the first.
  async function requestWithDraft(url, draft) {
    const response = await request(url);
    const form = draft && response?.page.querySelector(`${MAIN} form:has([data-scope])`);
    if (!form) return response;
    const token = form.elements.csrfmiddlewaretoken.value;
    return request(url, new URLSearchParams([["turn", ""], ...draft, ["csrfmiddlewaretoken", token]]));
  }

  // Fill in the accounts of a form that is a page of its own.
  async function reopenPage(draft) {
    const response = main.querySelector("form [data-scope]") && (await requestWithDraft(location.href, draft));
    const panel = response?.page.querySelector(`${MAIN} .finta-panel`);
    if (!panel) return;
    main.querySelector(".finta-panel").replaceWith(document.adoptNode(panel));
    enhance(main);
  }

  async function openLink(link) {
    if (isSending || link.hasAttribute("aria-busy")) return;
    const openerHref = dialog.open ? opener : link.getAttribute("href");
    link.closest("[popover]:popover-open")?.hidePopover();
    link.setAttribute("aria-busy", "true");
    await openDialog(link.getAttribute("href"), openerHref);
    link.removeAttribute("aria-busy");
  }

  async function submitForm(form, submitter) {
    if (isSending) return;
    const fields = [...new FormData(form, submitter)];
    isSending = true;
    actionCount++;
    submitter.setAttribute("aria-disabled", "true");
    form.querySelector(".finta-fault")?.remove();
    const target = form.hasAttribute("action") ? form.action : address;
    const response = await request(target, new URLSearchParams(fields));
    isSending = false;
    submitter.removeAttribute("aria-disabled");
    if (response) handleResponse(response, keys.fieldsToKeep(form, fields));
    else warnThatOutcomeIsUnknown(form);
  }

  function handleResponse({ page, url, redirected, ok }, fields) {
    const panel = page.querySelector(`${MAIN} .finta-panel`);
    if (redirected && url.searchParams.has("next")) return keys.signInAgain(url, fields);
    if (isForAnotherUser(page)) return location.reload();
    if (redirected && url.href === address) { // after the password was confirmed
      show(panel);
      return keys.restoreDraft();
    }
    if (redirected && url.pathname === location.pathname) return showList(page);
    if (redirected) return refreshList(page.querySelector(`${MAIN} .finta-messages`));
    isListStale ||= !ok; // such as a key that was deleted in another tab
    return show(panel ?? page.querySelector(`${MAIN}, main`) ?? page.body);
  }

  function show(panel) {
    content.replaceChildren(document.adoptNode(panel));
    if (!content.querySelector(".finta-foot [type=submit]")) keys.forgetDraft();
    keys.watchSecret(content);
    isListStale ||= keys.hasUncopiedSecret(); // a key was created or rotated
    enhance(content);
    if (!dialog.open) open();
    dialog.scrollTop = 0;
    focusIn(content);
  }

  // The Back button closes the dialog, so it has an entry in the history.
  function open() {
    dialog.showModal();
    addEntry();
  }

  // Not with Turbo, which loads the page again when its own entry is reached.
  function addEntry() {
    if (!window.Turbo && !history.state?.fintaKeysDialog) history.pushState({ fintaKeysDialog: true }, "");
  }

  function removeEntry() {
    if (!history.state?.fintaKeysDialog) return;
    isRemovingEntry = true;
    history.back();
  }

  window.addEventListener("popstate", () => {
    const wasRemoved = isRemovingEntry;
    isRemovingEntry = false;
    if (!dialog.open) return;
    if (wasRemoved || !mayClose()) addEntry(); // opened again before the entry was gone, or to be kept open
    else dialog.close();
  });

  function showList(page, messages, action = actionCount) {
    isListStale = false;
    if (userOf(page) !== userOf(document)) return location.reload();
    if (action === actionCount) keys.forgetDraft();
    const before = rows().map(nameOfRow);
    main.replaceChildren(...document.adoptNode(page.querySelector(MAIN)).childNodes);
    markChangedRows(before);
    if (messages) main.prepend(document.adoptNode(messages));
    enhance(main);
    if (action === actionCount) dialog.close();
    announce(main.querySelector(".finta-messages")?.textContent.trim() ?? "");
  }

  const rows = () => [...main.querySelectorAll(".finta-list tbody tr:has(th)")];
  const nameOfRow = (row) => `${row.querySelector("a[data-dialog]")?.getAttribute("href")} ${row.querySelector("th").textContent}`;

  // Mark new and renamed keys, and the key whose dialog was open.
  function markChangedRows(before) {
    const changed = rows().filter((row) => !before.includes(nameOfRow(row)) || [...row.querySelectorAll("a")].some((link) => link.getAttribute("href") === opener));
    if (before.length && changed.length <= 2) for (const row of changed) row.classList.add("finta-changed");
  }

  async function refreshList(messages) {
    isListStale = false;
    const action = actionCount;
    const response = await request(currentAddress());
    if (response) return showList(response.page, messages, action);
    isListStale = true;
    address = location.href;
    if (action === actionCount) show(noResponsePanel());
  }

  function noResponsePanel() {
    const panel = make("section");
    const buttons = make("p", { class: "finta-buttons" });
    buttons.append(
      make("a", { class: "finta-button", "data-dialog": "", href: address }, gettext("Try again")),
      make("a", { class: "finta-button finta-quiet", "data-close": "", href: currentAddress() }, gettext("Close")),
    );
    panel.append(
      make("h1", { id: "finta-keys-title" }, gettext("No response")),
      make("p", { role: "alert" }, gettext("The server did not respond. Check your connection and try again.")),
      buttons,
    );
    return panel;
  }

  function warnThatOutcomeIsUnknown(form) {
    isListStale = true;
    keys.forgetDraft(); // it may be saved
    const page = main.querySelector("h1").textContent;
    const link = make("a", { href: currentAddress() }, interpolate(gettext("Check %(page)s"), { page }));
    const text = gettext("The server did not respond, so your change may not be saved. %(link)s, or try again. It will not be done twice.");
    const [before, after] = text.split("%(link)s");
    const alert = warning(before, "finta-fault");
    alert.append(link, after);
    form.querySelector(".finta-buttons").before(alert);
    link.focus();
  }

  // The server checks the field again. Until then, an error beside a mended field misleads.
  function removeError(field) {
    if (!field) return;
    field.classList.remove("finta-invalid");
    for (const errors of field.querySelectorAll(".errorlist")) errors.remove();
    for (const input of field.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  }

  function mayClose() {
    return !isSending && keys.confirmClose(content) && keys.confirmDiscard();
  }

  function closeDialog() {
    if (mayClose()) dialog.close();
  }

  keys.closeButton.addEventListener("click", closeDialog);
  // Before the browser's own handling, which can be cancelled only once: the second Escape always closes.
  document.addEventListener("keydown", (event) => {
    const clearsSearch = event.target.type === "search" && event.target.value;
    if (event.key !== "Escape" || !dialog.open || clearsSearch) return;
    event.preventDefault();
    closeDialog();
  });
  dialog.addEventListener("cancel", (event) => {
    if (!mayClose()) event.preventDefault();
  });
  dialog.addEventListener("close", async () => {
    if (keys.hasUncopiedSecret() || keys.hasDraft()) return dialog.showModal(); // such as the Back gesture of a phone
    actionCount++;
    content.replaceChildren();
    keys.forgetSecret();
    removeEntry();
    if (isListStale) await refreshList();
    if (dialog.open) return;
    const link = [...main.querySelectorAll("a[data-dialog]")].find((anchor) => anchor.getAttribute("href") === opener);
    const menu = link?.closest("[popover]");
    // In a narrow column, the link is in a menu that is closed now.
    const target = link?.checkVisibility() ? link : menu?.parentElement.querySelector("button");
    (target ?? main).focus();
  });
  window.addEventListener("beforeunload", (event) => {
    if (isSending || keys.hasUncopiedSecret()) event.preventDefault();
  });

  document.addEventListener("input", (event) => {
    if (isOurs(event.target)) removeError(event.target.closest(".finta-invalid"));
    const scope = event.target.closest("[data-scope]") ?? event.target.form?.querySelector("[data-scope]");
    if (!scope || !isOurs(scope)) return;
    if ("find" in event.target.dataset) keys.filterAccounts?.(event.target);
    else keys.updateScope?.(scope);
  });

  // Without this, Enter presses the first button of the form: the search for accounts, or Save.
  document.addEventListener("keydown", (event) => {
    const input = event.target;
    if (event.key !== "Enter" || !isOurs(input) || !input.matches("form input")) return;
    if ("find" in input.dataset) event.preventDefault();
    const find = input.form.querySelector("[name=turn]");
    if (!find) return;
    event.preventDefault();
    (input.name === "find" ? find : input.form.querySelector(".finta-buttons [type=submit]")).click();
  });

  const place = () => ({ address, opener });

  Object.assign(keys, { place, reopenPage, openDialog, openLink, submitForm, closeDialog, userOf });
})(window.fintaKeys);
