// Keep the input of a form until it is saved or discarded, and ask before a dialog drops it.
"use strict";
((keys) => {
  const { main, dialog, content, isOurs, currentAddress, userOf, enhance, make, gettext } = keys;
  const STORAGE_KEY = "finta_keys.draft";
  // Not the forms of a host, which may not notice that restored fields are out of date.
  const INPUT = "div.finta-keys form[method=post] *";
  const NO_INPUT = "[data-find], [name=find], [type=password], [name=finta_keys_example]";
  let isDraft = false; // this page has a form that the user has changed

  // Not when the page is left: a phone may end the browser without an event.
  document.addEventListener("input", ({ target }) => {
    if (isOurs(target) && target.matches(INPUT) && !target.matches(NO_INPUT)) keepDraft(target.form);
  });
  // Before the dialog closes.
  document.addEventListener("click", ({ target }) => {
    if (isOurs(target) && target.closest("[data-close]")) forgetDraft(); // such as Cancel
  }, true);
  // The next page says whether the form of a full page was saved.
  document.addEventListener("submit", ({ target }) => {
    if (isDraft && main.contains(target)) store({ ...stored(), isSent: true });
  });

  const stored = () => JSON.parse(sessionStorage.getItem(STORAGE_KEY));
  const store = (draft) => sessionStorage.setItem(STORAGE_KEY, JSON.stringify(draft));
  const removeStored = () => sessionStorage.removeItem(STORAGE_KEY);

  function storeDraft(place, fields) {
    store({ page: currentAddress(), user: userOf(document), ...place, fields });
  }

  function keepDraft(form) {
    if (!userOf(document)) return;
    isDraft = true;
    storeDraft(dialog.contains(form) ? keys.place() : {}, fieldsToKeep(form, [...new FormData(form)]));
  }

  function forgetDraft() {
    if (isDraft) removeStored();
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
  function signInAgain(url, fields) {
    keys.forgetSecret();
    url.searchParams.set("next", currentAddress());
    storeDraft(keys.place(), fields);
    location.assign(url);
  }

  // Return the fields that a draft may keep. Hidden ones can hold what the user typed.
  function fieldsToKeep(form, fields) {
    return fields.filter(([name, value]) => {
      const isSecret = /_[0-9A-Za-z]{54}/.test(value); // pasted by mistake
      return name !== "csrfmiddlewaretoken" && form.elements[name]?.type !== "password" && !isSecret;
    });
  }

  // Open the form again and fill it in, if this user left it on this page.
  async function restoreDraft() {
    const draft = stored();
    if (!draft) return;
    if (main.querySelector("[type=password]")) return keepUntilSignedIn(draft);
    const user = userOf(document);
    if (!user) return;
    const isHere = draft.page === currentAddress();
    if (draft.user !== user || draft.isSent) {
      removeStored();
      const form = isHere && draft.user === user && formIn(main);
      if (form) keepDraft(form); // rejected, with the user's input
    } else if (isHere) await openDraft(draft);
  }

  // Say on the sign-in page that the session expired. Without a page to return to, the user has signed out.
  function keepUntilSignedIn(draft) {
    const note = main.querySelector("[data-session-expired]");
    if (note) {
      note.hidden = false;
      note.querySelector("[data-draft-kept]").hidden = !draft.fields;
      store({ ...draft, isSent: false });
    } else if (!userOf(document)) removeStored();
  }

  async function openDraft({ address, opener, fields }) {
    const root = address ? content : main;
    if (address) await keys.openDialog(address, opener, fields);
    else await keys.reopenPage(fields);
    const form = formIn(root);
    if (form?.querySelector("[type=password]")) return; // restored once it is confirmed
    if (!form || !fields) return removeStored();
    if (!form.querySelector("[data-scope]")) fillIn(form, fields);
    const text = gettext("Your draft was kept. It is not saved yet.");
    form.before(make("p", { class: "finta-note" }, text));
    keys.announce(text);
    keepDraft(form);
  }

  const formIn = (root) => root.querySelector(".finta-panel form:has(.finta-foot [type=submit])");

  function fillIn(form, fields) {
    for (const input of form.querySelectorAll("input:not([type=hidden]), select, textarea")) {
      const values = fields.filter(([name]) => name === input.name).map(([, value]) => value);
      if (/^(checkbox|radio)$/.test(input.type)) input.checked = values.includes(input.value);
      else if (values.length) input.value = values[0];
    }
    enhance(form);
  }

  Object.assign(keys, { signInAgain, fieldsToKeep, forgetDraft, hasDraft, confirmDiscard, restoreDraft });
  restoreDraft();
})(window.fintaKeys);
