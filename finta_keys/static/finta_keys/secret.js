// Copy a secret, and ask before the user leaves without a copy of it.
"use strict";
((keys) => {
  const { gettext, findAll, warning, announce } = keys;
  const CONFIRMATION_SHOWN_MS = 4000;
  let isCopied = true; // false while a secret is shown that has not been copied

  function watchSecret(root) {
    isCopied = !root.querySelector(".finta-secret");
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
    getSelection().selectAllChildren(code);
    let succeeded = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      succeeded = document.execCommand("copy"); // navigator.clipboard does not exist without TLS
    }
    if (succeeded) confirmCopy(button);
    else button.replaceWith(
      warning(gettext("Your browser does not allow copying here. The text is selected: copy it with the keyboard.")),
    );
    return succeeded;
  }

  function confirmCopy(button) {
    isCopied = true;
    for (const question of findAll("[data-ask]")) question.hidden = true;
    announce(gettext("Copied"));
    if (button.dataset.copy === "close") return;
    button.firstChild.textContent = gettext("Copied");
    setTimeout(() => {
      button.firstChild.textContent = gettext("Copy");
      announce("");
    }, CONFIRMATION_SHOWN_MS);
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
