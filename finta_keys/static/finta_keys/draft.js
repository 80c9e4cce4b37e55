// Keep the fields of an open dialog while the user signs in again, and ask before they are dropped.
"use strict";
((keys) => {
  const { content, currentAddress, userOf, enhance, make, gettext } = keys;
  const STORAGE_KEY = "finta_keys.draft";
  let isDraft = false; // the dialog has a form that the user has changed

  content.addEventListener("input", (event) => {
    isDraft ||= !event.target.matches("[data-find], [name=find], [type=password], [name=finta_keys_example]");
  });
  content.addEventListener("click", (event) => {
    isDraft ||= event.target.closest("[data-check]") !== null;
    if (event.target.closest("[data-close]")) isDraft = false; // such as Cancel
  });

  function forgetDraft() {
    isDraft = false;
  }

  function hasDraft() {
    return isDraft;
  }

  // Return true if the dialog may close. With a draft, show a question instead, however often the user tries.
  function confirmDiscard() {
    if (isDraft) (content.querySelector(".finta-draft") ?? showQuestion()).querySelector("button").focus();
    return !isDraft;
  }

  function showQuestion() {
    const focused = document.activeElement;
    const question = make("div", { class: "finta-note finta-warning finta-draft", role: "alert" });
    const buttons = make("p", { class: "finta-buttons" });
    const keep = make("button", { type: "button", class: "finta-quiet" }, gettext("Keep editing"));
    const discard = make("button", { type: "button", class: "finta-quiet", "data-close": "" }, gettext("Discard"));
    keep.addEventListener("click", () => {
      question.remove();
      focused.focus();
    });
    buttons.append(keep, discard);
    question.append(make("p", {}, gettext("Discard this draft? It is not saved.")), buttons);
    content.querySelector(".finta-foot").prepend(question);
    return question;
  }

  // Go to the sign-in page, which leads back to this page.
  function signInAgain(url, opener, fields) {
    keys.forgetSecret();
    url.searchParams.set("next", currentAddress());
    const draft = { page: currentAddress(), user: userOf(document), opener, fields };
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(draft));
    location.assign(url);
  }

  // Return the fields that a draft may keep: hidden ones can hold what the user typed, passwords are never kept.
  function fieldsToKeep(form, fields) {
    return fields.filter(([name]) => name !== "csrfmiddlewaretoken" && form.elements[name]?.type !== "password");
  }

  // Say on the sign-in page that the session expired while a dialog was open.
  function explainSignIn(note, draft) {
    note.hidden = false;
    note.querySelector("[data-draft-kept]").hidden = !draft.fields;
  }

  // Open the dialog again and fill in its fields, if this user left it on this page.
  async function restoreDraft() {
    const stored = sessionStorage.getItem(STORAGE_KEY);
    const signInNote = stored && keys.main.querySelector("[data-session-expired]");
    if (signInNote) explainSignIn(signInNote, JSON.parse(stored));
    if (!stored || keys.main.querySelector("input[type=password]")) return;
    sessionStorage.removeItem(STORAGE_KEY);
    const draft = JSON.parse(stored);
    if (draft.page !== currentAddress() || draft.user !== userOf(document)) return;
    await keys.openDialog(draft.opener, draft.opener, draft.fields);
    const form = content.querySelector("form:not(:has([data-scope]))");
    if (form && draft.fields) fillIn(form, draft.fields);
    isDraft = Boolean(draft.fields);
  }

  function fillIn(form, fields) {
    for (const input of form.querySelectorAll("input:not([type=hidden])")) {
      const values = fields.filter(([name]) => name === input.name).map(([, value]) => value);
      if (input.type === "checkbox") input.checked = values.includes(input.value);
      else if (values.length) input.value = values[0];
    }
    enhance(content);
  }

  Object.assign(keys, { signInAgain, fieldsToKeep, forgetDraft, hasDraft, confirmDiscard });
  restoreDraft();
})(window.fintaKeys);
