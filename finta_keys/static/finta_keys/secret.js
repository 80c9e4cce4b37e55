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

  // Return true if the secret may be closed. The first attempt without a copy shows a question instead.
  function confirmClose(root) {
    const question = root.querySelector("[data-ask]");
    if (isCopied || !question?.hidden) return true;
    question.hidden = false;
    root.querySelector("[data-copy=secret]").focus();
    return false;
  }

  async function copy(button) {
    const code = button.closest(".finta-copy").querySelector("code");
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
  }

  function confirmCopy(button) {
    isCopied = true;
    for (const question of findAll("[data-ask]")) question.hidden = true;
    button.firstChild.textContent = gettext("Copied");
    announce(gettext("Copied"));
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
