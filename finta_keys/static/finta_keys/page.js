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
  const MAIN = "[data-finta-keys-user]";
  const main = document.querySelector(MAIN);
  const dialog = make("dialog", { "aria-labelledby": "finta-keys-title" });
  const content = make("div");
  const closeButton = make("button", { type: "button", class: "finta-close finta-quiet", "aria-label": gettext("Close") }, "×");
  dialog.append(content, closeButton, liveRegion());
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
    for (const scope of root.querySelectorAll("[data-scope]")) {
      if (keys.updateScope) keys.updateScope(scope);
      else loadScript(scope.dataset.scope);
    }
  }

  function loadScript(src) {
    return new Promise((resolve, reject) => {
      const script = make("script", { src });
      script.nonce = nonce; // for a Content-Security-Policy with nonces
      script.async = false; // in this order
      script.addEventListener("load", resolve);
      script.addEventListener("error", reject);
      document.head.append(script);
    });
  }

  // Load the scripts of dialogs once. The list does not need them until the user points at a link.
  let dialogScripts;
  function loadDialogScripts() {
    dialogScripts ??= Promise.all(dataset.later.split(" ").map(loadScript));
    return dialogScripts;
  }

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

  function currentAddress() {
    return location.pathname + location.search;
  }

  Object.assign(keys, {
    MAIN, main, dialog, content, closeButton,
    isOurs, findAll, make, warning, announce, interpolate, focusIn, enhance, gettext, ngettext,
    request, userOf, isForAnotherUser, currentAddress, loadDialogScripts,
  });
})(window.fintaKeys);
