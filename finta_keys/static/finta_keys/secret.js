// Copy a secret, and ask before the user leaves without a copy of it.
"use strict";
((keys) => {
  const { gettext, findAll, warning, announce } = keys;
  const CONFIRMATION_SHOWN_MS = 4000;
  const EAGER_MS = 120_000; // ask for the first call more often at first
  let isCopied = true; // false while a secret is shown that has not been copied

  function watchSecret(root) {
    isCopied = !root.querySelector(".finta-secret");
    watchFirstCall(root.querySelector("[data-first-call]"));
  }

  function forgetSecret() {
    isCopied = true;
  }

  function hasUncopiedSecret() {
    return !isCopied;
  }

  // Return true if the secret may be closed. Without a copy, show a question instead, however often the user tries.
  function confirmClose(root) {
    const question = root.querySelector("[data-ask]");
    if (isCopied || !question) return true;
    question.hidden = false;
    question.querySelector("[data-copy=close]").focus();
    return false;
  }

  // Return true if the text is in the clipboard now.
  async function copy(button) {
    const root = button.closest(".finta-panel");
    const code = (button.closest(".finta-copy") ?? root.querySelector(".finta-copy")).querySelector("code");
    const text = textOf(code, root);
    getSelection().selectAllChildren(text === code.textContent ? code : root.querySelector(".finta-secret"));
    let succeeded = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      succeeded = document.execCommand("copy"); // navigator.clipboard does not exist without TLS
    }
    if (succeeded) confirmCopy(button);
    else button.replaceWith(
      warning(gettext("Your browser does not allow copying here. The text is selected: copy it with the keyboard.")),
    );
    return succeeded;
  }

  // The example for a .env file shows only the hint of the secret.
  function textOf(code, root) {
    const hint = code.querySelector("[data-hint]");
    const secret = root.querySelector(".finta-secret");
    return hint ? code.textContent.replace(hint.textContent, secret.textContent) : code.textContent;
  }

  function confirmCopy(button) {
    const code = button.closest(".finta-copy")?.querySelector("code");
    isCopied ||= !code || code.matches(".finta-secret") || code.querySelector("[data-hint]") !== null;
    for (const question of findAll("[data-ask]")) question.hidden = isCopied || question.hidden;
    announce(gettext("Copied"));
    if (button.dataset.copy === "close") return;
    button.firstChild.textContent = gettext("Copied");
    setTimeout(() => {
      button.firstChild.textContent = gettext("Copy");
      announce("");
    }, CONFIRMATION_SHOWN_MS);
  }

  // Say when the secret was used for the first time. Stops when the dialog closes.
  async function watchFirstCall(line, start = Date.now()) {
    if (!line?.isConnected) return;
    const response = document.hidden ? undefined : await fetch(line.dataset.firstCall, { cache: "no-store" }).catch(() => undefined);
    const { used } = response?.ok ? await response.json().catch(() => ({})) : {};
    if (used) {
      line.classList.add("finta-arrived");
      line.textContent = line.dataset.arrived;
    } else setTimeout(watchFirstCall, Date.now() - start < EAGER_MS ? 2000 : 10_000, line, start);
  }

  // The user may also select the secret and copy it with the keyboard.
  document.addEventListener("copy", () => {
    const [secret] = findAll(".finta-secret");
    if (secret && getSelection().toString().includes(secret.textContent)) isCopied = true;
  });

  // Browsers keep the page for the Back button: it must not hold a secret.
  window.addEventListener("pagehide", () => {
    for (const code of findAll(".finta-copy code")) code.textContent = "";
  });

  Object.assign(keys, { watchSecret, forgetSecret, hasUncopiedSecret, confirmClose, copy });
})(window.fintaKeys);
