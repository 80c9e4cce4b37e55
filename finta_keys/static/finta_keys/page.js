// The elements, texts and requests that the other scripts share. Without scripts the pages work too.
//
// Each script adds its functions to `window.fintaKeys`. Turbo runs the scripts on every visit, and
// each run gets a new object.
"use strict";
window.fintaKeys = {};
((keys) => {
  const identity = (text) => text;
  const { gettext = identity, ngettext = (one, other, number) => (number === 1 ? one : other) } = window;
  const { nonce, dataset } = document.currentScript;
  // Our part of the page. Everything around it belongs to the host.
  const TOAST_MS = 6000;
  const MAIN = "[data-finta-keys-user]";
  const main = document.querySelector(MAIN);
  const dialog = make("dialog", { "aria-labelledby": "finta-keys-title" });
  const content = make("div");
  const closeBar = make("div", { class: "finta-close-bar" });
  const closeButton = make("button", { type: "button", class: "finta-bare finta-close", "aria-label": gettext("Close") }, "×");
  closeBar.append(closeButton);
  dialog.append(closeBar, content, liveRegion());
  // The dialog is a child of the body, so that the host's layout does not affect it.
  // Turbo must not keep a copy, which could hold a secret.
  const layer = make("div", { class: "finta-keys", "data-turbo": "false", "data-turbo-temporary": "" });
  layer.append(dialog, liveRegion());
  document.body.append(layer);

  function isOurs(element) {
    return main.contains(element) || dialog.contains(element);
  }

  function findAll(selector) {
    return [main, dialog].flatMap((root) => [...root.querySelectorAll(selector)]);
  }

  function make(tag, attributes = {}, text = "") {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  }

  function liveRegion() {
    return make("p", { class: "finta-visually-hidden finta-live", role: "status" });
  }

  function warning(text, extraClass = "") {
    return make("p", { class: `finta-note finta-warning ${extraClass}`, role: "alert" }, text);
  }

  // Screen readers skip everything outside an open dialog, so the dialog has a live region of its own.
  function announce(text) {
    (dialog.open ? dialog : layer).querySelector(":scope > .finta-live").textContent = text;
  }

  // Replace `%(name)s` in a translated text.
  function interpolate(text, values) {
    return text.replace(/%\((\w+)\)s/g, (placeholder, name) => values[name]);
  }

  function focusIn(root) {
    const target = root.querySelector("[aria-invalid=true]") ?? root.querySelector(".finta-invalid input")
      ?? root.querySelector("[autofocus]:not([hidden])") ?? root.querySelector("h1");
    if (target?.matches("h1")) target.tabIndex = -1;
    target?.focus();
  }

  // Prepare a part of the page that has just been inserted.
  function enhance(root) {
    for (const element of root.querySelectorAll("[data-js]")) element.hidden = false;
    for (const messages of root.querySelectorAll(".finta-messages")) showToast(messages);
    for (const scope of root.querySelectorAll("[data-scope]")) {
      if (keys.updateScope) keys.updateScope(scope);
      else loadScript(scope.dataset.scope);
    }
  }

  const scripts = {};
  function loadScript(src) {
    const script = make("script", { src });
    script.async = false; // in this order
    return (scripts[src] ??= append(script).catch((error) => {
      delete scripts[src];
      throw error;
    }));
  }

  function append(element) {
    element.nonce = nonce; // for a Content-Security-Policy with nonces
    return new Promise((resolve, reject) => {
      element.addEventListener("load", resolve);
      element.addEventListener("error", reject);
      document.head.append(element);
    });
  }

  // Load the scripts of dialogs once. The list does not need them until the user points at a link.
  let dialogScripts;
  function loadDialogScripts() {
    dialogScripts ??= Promise.all([loadStyle(), ...dataset.later.split(" ").map(loadScript)]).catch((error) => {
      dialogScripts = undefined;
      throw error;
    });
    return dialogScripts;
  }

  function loadStyle() {
    const link = make("link", { rel: "stylesheet", href: dataset.style });
    if ([...document.styleSheets].some((sheet) => sheet.href === link.href)) return Promise.resolve();
    return append(link);
  }

  // Show messages over the page. Success goes away, but not while the user reads it. A warning stays.
  function showToast(messages) {
    messages.classList.add("finta-toast");
    const close = make("button", { type: "button", class: "finta-bare", "aria-label": gettext("Close") }, "×");
    close.addEventListener("click", () => messages.remove());
    messages.append(close);
    if (messages.matches(".finta-warning, :has(.finta-warning)")) return;
    const timer = setInterval(() => {
      if (messages.matches(":hover, :focus-within")) return;
      messages.remove();
      clearInterval(timer);
    }, TOAST_MS);
  }

  function warnThatOffline() {
    const text = gettext("The server did not respond. Check your connection and try again.");
    const alert = warning(text, "finta-messages finta-offline");
    main.prepend(alert);
    showToast(alert);
  }

  function currentAddress() {
    return location.pathname + location.search;
  }

  Object.assign(keys, {
    MAIN, main, dialog, content, closeButton,
    isOurs, findAll, make, warning, announce, interpolate, focusIn, enhance, gettext, ngettext,
    currentAddress, loadDialogScripts, warnThatOffline,
  });
})(window.fintaKeys);
