// The Copy button of the page with the secret in the admin. Without this script the button is hidden.
"use strict";
for (const button of document.querySelectorAll("[data-copy-code]")) {
  const code = button.parentElement.querySelector("code");
  button.hidden = false;
  button.addEventListener("click", async () => {
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      if (!document.execCommand("copy")) return; // the text is selected: copy it with the keyboard
    }
    button.textContent = button.dataset.copied;
  });
}
// Browsers keep the page for the Back button: it must not hold a secret.
window.addEventListener("pagehide", () => {
  for (const button of document.querySelectorAll("[data-copy-code]")) button.parentElement.querySelector("code").textContent = "";
});
