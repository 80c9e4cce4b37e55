// Connect clicks and keys on the page to the functions of the other scripts. Load this file last.
"use strict";
((keys) => {
  const { main, dialog, isOurs, findAll } = keys;
  const SUBMIT_BLOCKED_MS = 4000;

  document.addEventListener("click", (event) => {
    const target = event.target.closest("a, button");
    if (!isOurs(target) || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if ("copy" in target.dataset) copy(target);
    else if (target.dataset.check) keys.checkGroup?.(target);
    else if ("close" in target.dataset) close(event, dialog.contains(target));
    else if ("dialog" in target.dataset && (dialog.contains(target) || !main.querySelector(".finta-panel"))) {
      event.preventDefault();
      main.querySelector(".finta-offline")?.remove();
      keys.loadDialogScripts().then(() => keys.openLink(target), () => openWithoutScripts(target));
    }
  });

  function openWithoutScripts(link) {
    if (navigator.onLine) location.assign(link.href);
    else keys.warnThatOffline();
  }

  async function copy(button) {
    await keys.loadDialogScripts();
    const isCopied = await keys.copy(button);
    if (isCopied && button.dataset.copy === "close") button.closest(".finta-panel").querySelector("a[data-close]").click();
  }

  function close(event, isInDialog) {
    if (event.target.closest("[data-uncopied]")) keys.forgetSecret();
    if (isInDialog) {
      event.preventDefault();
      keys.closeDialog();
    } else if (!keys.confirmClose || keys.confirmClose(main)) keys.forgetSecret?.(); // the link leads to the list
    else event.preventDefault();
  }

  for (const type of ["pointerover", "focusin"]) {
    document.addEventListener(type, (event) => {
      if (event.target.closest("a[data-dialog]") && isOurs(event.target)) keys.loadDialogScripts().catch(() => {});
    });
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const submitter = event.submitter ?? form.querySelector("[type=submit]");
    if (!isOurs(form) || form.method !== "post") return;
    if (dialog.contains(form)) {
      event.preventDefault();
      keys.submitForm(form, submitter);
    } else {
      // Not at once: browsers leave a disabled button out of the form.
      setTimeout(() => (submitter.disabled = true));
      // The user may have stopped the request. Sending it twice is safe.
      setTimeout(() => (submitter.disabled = false), SUBMIT_BLOCKED_MS);
    }
  });

  // The browser shows a page that it kept for the Back button as it was, with its buttons disabled.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) for (const button of findAll("button:disabled")) button.disabled = false;
  });

  keys.enhance(main);
  if (main.querySelector(".finta-panel") || sessionStorage.getItem("finta_keys.draft")) {
    keys.loadDialogScripts().then(() => keys.watchSecret(main));
  }
  // The browser may have looked for `autofocus` before Copy became visible.
  if (main.querySelector("[aria-invalid=true], .finta-invalid input, .finta-secret")) keys.focusIn(main);
})(window.fintaKeys);
